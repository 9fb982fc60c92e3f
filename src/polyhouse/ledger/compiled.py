"""When compiled code pays: to load it takes longer than the objects that define the rules need for a few rows."""

from __future__ import annotations

import sys

LOADED_FROM = 1_000
"""Rows from which on compiled code that is loaded is faster than objects."""


def pays(module: str, rows: int, least: int) -> bool:
    """Whether to compute with the compiled functions of a module.

    Args:
        module: its name; once it was used, its functions are loaded.
        rows: how much there is to compute.
        least: rows from which on loading pays.
    """
    return rows >= (min(LOADED_FROM, least) if module in sys.modules else least)
