"""Answers that refuse a request, with the HTTP status that each of them is."""

from __future__ import annotations

from polyhouse.errors import PolyhouseError


class RefusedError(PolyhouseError):
    """A request that is not answered; ``status`` is the HTTP status, ``retry_after`` seconds to wait, 0 = no use."""

    status = 400
    code = "REFUSED"

    def __init__(self, message: str, *, hint: str = "", retry_after: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class KeyRefusedError(RefusedError):
    """No key, or one that does not hold."""

    status = 401
    code = "AUTH"


class ScopeMissingError(RefusedError):
    """A key that holds, for other things."""

    status = 403
    code = "SCOPE_MISSING"


class NothingThereError(RefusedError):
    """No such thing; ``code`` says which."""

    status = 404
    code = "NOT_FOUND"


class AdminOffError(NothingThereError):
    """There is no key, so nobody could use the admin routes."""

    code = "ADMIN_OFF"


class NotAcceptableError(RefusedError):
    """The client takes no form that there is."""

    status = 406
    code = "NOT_ACCEPTABLE"


class TooLargeError(RefusedError):
    """A body above the limit."""

    status = 413
    code = "BAD_INPUT"


class TooManyRequestsError(RefusedError):
    """A client asks more than its share."""

    status = 429
    code = "RATE_LIMITED"
