"""Polyhouse: a complete, correct and fresh copy of Polymarket in a store you own.

``polyhouse.open()`` answers questions from Python (docs/python.md); it is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyhouse.api.aio import AsyncPolyhouse, open_async
    from polyhouse.api.house import Polyhouse, open  # noqa: A004 - the name people look for

__version__ = "0.1.0"
_PLACES = {"AsyncPolyhouse": "aio", "open_async": "aio", "Polyhouse": "house", "open": "house"}
__all__ = ["AsyncPolyhouse", "Polyhouse", "__version__", "open", "open_async"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'polyhouse' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"polyhouse.api.{_PLACES[name]}"), name)
