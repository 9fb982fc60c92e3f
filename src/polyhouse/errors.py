"""Every error of the product, arranged by what the caller should do about it.

PolyhouseError                    exit 70  our bug
├─ ConfigError                    exit 2   fix the settings or the arguments
│   ├─ BadInputError              exit 2   fix the input (names what, where, what to do)
│   └─ StoreDamagedError          exit 2   put a backup back
├─ RetryableError                 exit 3   try again later
│   ├─ RateLimitedError                    the upstream asked us to wait
│   ├─ UpstreamUnavailableError            the upstream does not answer properly
│   ├─ CircuitOpenError                    the upstream failed repeatedly and is paused
│   ├─ WarehouseUnavailableError           the warehouse does not answer
│   ├─ DiskError                           a disk is full, read-only or failing
│   └─ BudgetSpentError                    what a metered warehouse may cost today is spent
├─ AuthError                      exit 4   fix a key
├─ StoreInUseError                exit 5   another process owns the store
├─ UpstreamRefusedError           exit 3   a request the upstream will never accept (4xx)
│   └─ CursorRejectedError                 a page cursor expired: start the partition again
├─ UpstreamContractError          exit 3   an answer of an unexpected shape, or a page that cannot be true
├─ InvariantBrokenError           exit 1   what was computed contradicts itself; it is not shown
├─ RowRejectedError               (never leaves a run) one row goes to quarantine, the run goes on
└─ RunInterruptedError            exit 130 stopped by a signal, resumable
"""

from __future__ import annotations


class PolyhouseError(Exception):
    """Base of all errors of the product.

    Args:
        message: what happened, where, in words for the user.
        hint: what to do next; printed on its own line.
    """

    code = "POLYHOUSE"
    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(PolyhouseError):
    """Settings or arguments are wrong."""

    code = "CONFIG"
    exit_code = 2


class BadInputError(ConfigError):
    """A value from outside cannot be what it claims to be."""

    code = "BAD_INPUT"


class StoreDamagedError(ConfigError):
    """Stored data is not what was written; nothing is read from what is left of it."""

    code = "STORE_DAMAGED"


class RetryableError(PolyhouseError):
    """Something outside is unavailable; the same call may succeed later."""

    code = "UNAVAILABLE"
    exit_code = 3


class RateLimitedError(RetryableError):
    """The upstream asked us to slow down; ``retry_after_seconds`` is its own figure, if it gave one."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class UpstreamUnavailableError(RetryableError):
    """The upstream failed (5xx, time-out, reset, truncated or non-JSON body)."""

    code = "UPSTREAM_UNAVAILABLE"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class CircuitOpenError(RetryableError):
    """The upstream failed several times in a row and is left alone for a while."""

    code = "CIRCUIT_OPEN"


class WarehouseUnavailableError(RetryableError):
    """The warehouse cannot be reached or refuses the statement for now.

    Args:
        message: as of every error.
        hint: as of every error.
        is_away: the server, or the way to it, is down for now; the same statement can succeed in a moment.
        never_arrived: and nobody took the statement.
    """

    code = "WAREHOUSE_UNAVAILABLE"

    def __init__(self, message: str, *, hint: str = "", is_away: bool = False, never_arrived: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_away = is_away or never_arrived
        self.never_arrived = never_arrived


class DiskError(RetryableError):
    """The disk of a store or of the home folder is full, read-only or failing; nothing half written counts."""

    code = "DISK"


class BudgetSpentError(RetryableError):
    """The day's budget of a metered warehouse does not suffice; nothing was charged for what was refused."""

    code = "BUDGET_SPENT"


class AuthError(PolyhouseError):
    """A key is missing or refused."""

    code = "AUTH"
    exit_code = 4


class StoreInUseError(PolyhouseError):
    """The embedded store is open in another process; the message names it."""

    code = "STORE_IN_USE"
    exit_code = 5


class UpstreamRefusedError(PolyhouseError):
    """The upstream refused the request for good (4xx); ``status`` is the HTTP status."""

    code = "UPSTREAM_REFUSED"
    exit_code = 3

    def __init__(self, message: str, *, status: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class CursorRejectedError(UpstreamRefusedError):
    """A stored page cursor is no longer accepted; the partition is read again from its last safe point."""

    code = "CURSOR_REJECTED"


class UpstreamContractError(PolyhouseError):
    """The upstream answered something its contract excludes (shape, repeated cursor, unsorted page)."""

    code = "UPSTREAM_CONTRACT"
    exit_code = 3


class InvariantBrokenError(PolyhouseError):
    """Checks of a build are broken; the message names them, their rows and the tables that stay as they were."""

    code = "INVARIANT"
    exit_code = 1


class RowRejectedError(PolyhouseError):
    """One row cannot be read; it is quarantined with ``reason`` (a stable word) and the run goes on."""

    code = "ROW_REJECTED"
    exit_code = 1

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RunInterruptedError(PolyhouseError):
    """A signal stopped the run at a page boundary; the same command goes on from there."""

    code = "INTERRUPTED"
    exit_code = 130
