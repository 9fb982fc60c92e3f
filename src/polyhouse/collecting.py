"""How often Python looks for cycles of objects that nobody needs any more.

A loader makes some ten objects a row, none of them in a cycle, and each thousand of them made Python look through the
newest ones, sometimes through everything that was ever imported: a sixth of the processor time of a load. And whoever
looks through all that holds every thread for 0.2 s: the answers of a server wait.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (10_000, 20, 20)
"""Thresholds of the three generations (``gc.set_threshold``); Python's own begin with 700. Between two searches at most
some megabytes of cycles wait, those of a few thousand answers."""

_lock = threading.Lock()
_users = 0
_before = gc.get_threshold()


def pass_over_what_is_loaded() -> None:
    """What is there by now is not looked through any more, until the last ``seldom`` ends; outside of one, nothing.

    For a process that lives long, once, when it has loaded what it will use: cycles that wait at that moment stay.
    """
    with _lock:
        if _users:
            gc.freeze()


@contextmanager
def seldom() -> Iterator[None]:
    """Meanwhile Python looks for cycles seldom, and not among the objects that were there before.

    May be entered by several threads and inside itself; what was set before comes back with the last one that leaves.
    """
    global _users, _before  # noqa: PLW0603 - the collector is one of the process
    with _lock:
        if not _users:
            _before = gc.get_threshold()
            gc.set_threshold(*SELDOM)
            gc.freeze()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                gc.unfreeze()
                gc.set_threshold(*_before)
