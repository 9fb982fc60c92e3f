"""Metrics as pure functions of integers: values are exact decimals of nine places, undefined ones carry a status."""
