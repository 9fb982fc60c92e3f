"""Polygon's raw logs: which contracts and events count (``eras``) and how they become columns (``decode``)."""
