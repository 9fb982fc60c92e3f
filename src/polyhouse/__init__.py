"""Polyhouse: a complete, correct and fresh copy of Polymarket in a store you own."""

__version__ = "0.1.0"
