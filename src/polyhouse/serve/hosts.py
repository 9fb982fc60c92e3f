"""Which names a server answers to.

A page of any web site may ask a browser for ``http://localhost:8000`` under a name of its own that it lets point there
(DNS rebinding), and would read the answers as its own. So a server on loopback answers to this machine's names only.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from polyhouse.serve.problems import problem

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
ANY = "*"


def answered_hosts(setting: str, host: str, *, is_local: bool) -> frozenset[str]:
    """The names that are answered, lower case; none = any.

    Args:
        setting: ``api_hosts``.
        host: interface that the server listens on.
        is_local: that interface is loopback.
    """
    given = frozenset(word.strip().lower().strip("[]") for word in setting.split(",") if word.strip())
    if ANY in given:
        return frozenset()
    if given:
        return given | _LOCAL  # commands of this machine ask the server too
    return _LOCAL | {host.lower()} if is_local else frozenset()


def name_of(header: str) -> str:
    """The name of a ``Host`` header without its port, lower case; "" if it is none."""
    text = header.strip().lower()
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        is_well = bool(bracket) and (not port or (port[0] == ":" and port[1:].isdigit()))
    else:
        name, colon, port = text.partition(":")
        is_well = not colon or port.isdigit()
    return name.removesuffix(".") if is_well else ""


def is_answered(header: str, hosts: frozenset[str]) -> bool:
    """Whether a request with this ``Host`` header is for us."""
    name = name_of(header)
    if name in hosts:
        return True
    parents = name.split(".")[1:]
    return any("*." + ".".join(parents[place:]) in hosts for place in range(len(parents)))


class HostMiddleware:
    """Refuses requests for other names with 421, before anything else looks at them."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], headers: Mapping[str, str]) -> None:
        self._app = app
        self._hosts = hosts
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"host"]
        if len(given) == 1 and is_answered(given[0].decode("latin-1"), self._hosts):
            await self._app(scope, receive, send)
            return
        refused = problem(
            Request(scope), 421, detail="this server does not answer to the name in the request", code="WRONG_HOST",
            hint="add the name to POLYHOUSE_API_HOSTS (api_hosts)",
        )  # fmt: skip
        refused.headers.update(self._headers)
        await refused(scope, receive, send)
