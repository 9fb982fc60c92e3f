"""Waits for a warehouse on a server that is away for a moment: a restart must not end the work of hours.

A statement that never arrived, because nobody accepted the connection, is sent again whatever it is. One whose answer
was lost may have been done: only what changes nothing or may be done twice is sent again, questions and inserts of rows
that have natural keys. Definitions and exchanges of tables are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from polyhouse.errors import WarehouseUnavailableError

T = TypeVar("T")

_LONGEST_PAUSE_SECONDS = 2.0


def patiently(seconds: float, work: Callable[[], T], *, may_repeat: bool) -> T:
    """Do ``work`` and do it again for so many seconds while the server is away.

    Args:
        seconds: 0 = not at all.
        work: one statement.
        may_repeat: it may be done twice.

    Raises:
        WarehouseUnavailableError: the server is still away.
    """
    if not seconds:
        return work()

    def is_worth_it(error: BaseException) -> bool:
        if not isinstance(error, WarehouseUnavailableError):
            return False
        return error.never_arrived or (error.is_away and may_repeat)

    import tenacity

    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=_LONGEST_PAUSE_SECONDS),
        retry=tenacity.retry_if_exception(is_worth_it),
        reraise=True,
    )
    return attempts(work)
