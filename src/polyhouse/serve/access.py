"""Who asks: keys of the admin routes, their scopes, and what is written about it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request

from polyhouse.errors import PolyhouseError
from polyhouse.serve.answers import Answers
from polyhouse.serve.limits import ClientLimit
from polyhouse.serve.problems import request_id, status_of
from polyhouse.serve.refusals import AdminOffError, KeyRefusedError, ScopeMissingError, TooManyRequestsError
from polyhouse.settings import Settings
from polyhouse.state.access import SCOPES, digest_of

T = TypeVar("T")
MASTER = "POLYHOUSE_ADMIN_API_KEY"
WRONG_KEYS_PER_MINUTE = 10
_NOBODY = "-"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever uses a key: its name and what it may do."""

    name: str
    scopes: tuple[str, ...]


class Access:
    """The door of the admin routes.

    Args:
        settings: for the key of the environment, which may do everything.
        answers: its state store has the other keys and the log; its threads read them.
    """

    def __init__(self, settings: Settings, answers: Answers) -> None:
        key = settings.admin_api_key
        self._master = None if key is None else digest_of(key.get_secret_value())
        self._answers = answers
        self._state = answers.stores.state
        self._wrong = ClientLimit(WRONG_KEYS_PER_MINUTE, WRONG_KEYS_PER_MINUTE)

    async def principal(self, request: Request, scope: str) -> Principal:
        """Whoever asks, if they may.

        Raises:
            AdminOffError: no key exists at all (404: the routes are not there).
            KeyRefusedError: no key or a wrong one.
            ScopeMissingError: the key is for other things.
            TooManyRequestsError: this client tried too many wrong keys lately.
        """
        client = client_of(request)
        wait = self._wrong.wait(client)
        if wait:
            raise TooManyRequestsError("too many wrong keys", retry_after=math.ceil(wait))
        given = _given(request)
        found = await self._answers.run(lambda: self._find(given))
        if found is None:
            if given:
                self._wrong.take(client)
            raise KeyRefusedError("this route needs a key", hint="send it as X-API-Key or Authorization: Bearer")
        if scope not in found.scopes:
            raise ScopeMissingError(f"the key {found.name!r} has no scope {scope!r}")
        return found

    async def logged(self, request: Request, scope: str, action: str, target: str, work: Callable[[Principal], T]) -> T:
        """Do something for whoever asks, if they may, and write it into the audit log, however it ends.

        Args:
            request: theirs.
            scope: what their key must be for.
            action: stable word of what is done.
            target: to what.
            work: does it, in a thread; gets who asks.
        """
        actor = _NOBODY
        outcome = "BUG"
        try:
            who = await self.principal(request, scope)
            actor = who.name
            result = await self._answers.run(lambda: work(who))
            outcome = "done"
        except PolyhouseError as error:
            outcome = f"{status_of(error)} {error.code}"
            raise
        finally:
            address, number = client_of(request), request_id(request)
            if not outcome.startswith("404 ADMIN_OFF"):
                await self._answers.run(
                    lambda: self._state.log(
                        actor, action, outcome=outcome, target=target, address=address, request=number
                    )
                )
        return result

    def _find(self, given: str) -> Principal | None:
        if self._master is not None and secrets.compare_digest(digest_of(given), self._master):
            return Principal(MASTER, SCOPES)
        key = self._state.key_of(given) if given else None
        if key is not None:
            self._state.note_use(key.name)
            return Principal(key.name, key.scopes)
        if self._master is None and not self._state.has_keys():
            raise AdminOffError("the admin routes are off", hint=f"set {MASTER}, or `polyhouse keys create NAME`")
        return None


def client_of(request: Request) -> str:
    """The address of whoever asks; behind a trusted proxy the one that it names."""
    return request.client.host if request.client else ""


def _given(request: Request) -> str:
    """The key of the request, from one of its two headers; never from the query, which ends up in logs."""
    header = request.headers.get("x-api-key", "")
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return header.strip() or (bearer.strip() if scheme.lower() == "bearer" else "")
