"""Asks a read command: in this process, or through the server that owns the embedded store."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from polyhouse.cli.base import Run
from polyhouse.errors import AuthError, BadInputError, PolyhouseError, StoreInUseError, WarehouseUnavailableError

if TYPE_CHECKING:
    from polyhouse.warehouse.lock import HolderInfo

TIMEOUT_SECONDS = 60.0
INTERNAL_ROUTE = "/internal/query"


def ask(run: Run, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The document of a read command.

    Arguments that are None are left out. ``as_of`` is built first if it is not kept; a server that owns the store
    answers only what is kept.

    Raises:
        StoreInUseError: another process owns the store and serves no reads.
        PolyhouseError: whatever the read itself raises, wherever it ran.
    """
    arguments = {key: value for key, value in arguments.items() if value is not None}
    server = _server(run)
    if server is not None:
        return ask_server(server, name, arguments)
    from polyhouse.reads.queries import answer
    from polyhouse.wiring import open_stores

    try:
        with open_stores(run.settings) as stores:
            if "as_of" in arguments:
                from polyhouse.cli.moments import keep

                keep(stores, arguments["as_of"])
            return answer(name, arguments, stores.warehouse, stores.state)
    except StoreInUseError:
        server = _server(run)  # one may have started between the look and the attempt
        if server is None:
            raise
        return ask_server(server, name, arguments)


def ask_server(server: HolderInfo, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Let the process that owns the store answer, over loopback."""
    from polyhouse.reads.exact import decode, encode

    try:
        token = Path(server.token_file).read_text(encoding="ascii").strip()
    except OSError as error:
        raise AuthError(
            f"the store is open in {server.describe()} and its key file cannot be read: {error.strerror}",
            hint="run as the user who started the server",
        ) from error
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=TIMEOUT_SECONDS)
    try:
        body = encode({"command": name, "arguments": arguments})
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", INTERNAL_ROUTE, body, headers)
        response = connection.getresponse()
        text = response.read()
    except OSError as error:
        raise WarehouseUnavailableError(
            f"the store is open in {server.describe()}, which does not answer at {server.url}: {error}"
        ) from error
    finally:
        connection.close()
    document: dict[str, Any] = decode(text)
    if response.status != http.client.OK:
        raise _as_error(document, response.status)
    return document


def _server(run: Run) -> HolderInfo | None:
    from polyhouse.warehouse.lock import holder

    info = holder(run.settings.engine_url())
    return info if info is not None and info.url else None


def _as_error(problem: dict[str, Any], status: int) -> PolyhouseError:
    message = str(problem.get("detail") or problem.get("title") or f"the server answered {status}")
    hint = str(problem.get("hint") or "")
    code = str(problem.get("code") or "")
    kind: type[PolyhouseError]
    if status in {401, 403}:
        kind = AuthError
    elif status == 503:
        kind = WarehouseUnavailableError
    elif status < 500:
        kind = BadInputError
    else:
        kind = PolyhouseError
    error = kind(message, hint=hint)
    if code:
        error.code = code
    return error
