"""Waits for a state store on a server that is away for a moment: a restart must not end the work of hours.

Whole calls are made again, never statements, since a transaction that broke has to begin anew. Of a commit whose answer
was lost nobody knows whether it happened, so a call may take effect twice: the position of a checkpoint, the state of a
wallet and the value of a note are the same after the second time; what counts (pages of a checkpoint, attempts of a
wallet) may count one too many. ``start_run`` is left out, since it would make two runs, and ``create_key``, whose
second attempt would find the name of the first one.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from polyhouse.errors import RetryableError
from polyhouse.state.database import Database

S = TypeVar("S", bound=Database)

_NOT_REPEATED = frozenset({"close", "create_key", "start_run"})
_LONGEST_PAUSE_SECONDS = 2.0
_calls = threading.local()


def patient(store: type[S]) -> type[S]:
    """Class decorator: every public method of the store waits ``patience_seconds`` for it (0 = not at all)."""
    for name, method in inspect.getmembers(store, inspect.isfunction):
        if not name.startswith("_") and name not in _NOT_REPEATED and not inspect.isgeneratorfunction(method):
            setattr(store, name, _repeated(method))
    return store


def _repeated(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Database, *args: Any, **kwargs: Any) -> Any:
        # A call inside another one is part of it: the outer one is made again.
        if not self.patience_seconds or getattr(_calls, "is_inside", False):
            return method(self, *args, **kwargs)
        import tenacity

        # An iterator is used up by the first attempt.
        args = tuple(list(value) if isinstance(value, Iterator) else value for value in args)
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.patience_seconds),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=_LONGEST_PAUSE_SECONDS),
            retry=tenacity.retry_if_exception_type(RetryableError),
            reraise=True,
        )
        _calls.is_inside = True
        try:
            return attempts(method, self, *args, **kwargs)
        finally:
            _calls.is_inside = False

    return call
