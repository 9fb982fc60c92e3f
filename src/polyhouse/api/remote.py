"""Questions to the server that owns the embedded store, over loopback, with the key of its owner."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from polyhouse.errors import AuthError, BadInputError, PolyhouseError, WarehouseUnavailableError
from polyhouse.reads.exact import decode, encode

if TYPE_CHECKING:
    from polyhouse.reads.relations.answer import Answer
    from polyhouse.reads.relations.question import Question
    from polyhouse.warehouse.lock import HolderInfo

TIMEOUT_SECONDS = 60.0
INTERNAL_ROUTE = "/internal/query"
TABLE_ROUTE = "/internal/table"


def ask_server(server: HolderInfo, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a read command.

    Raises:
        AuthError: the server's key file cannot be read by this user.
        WarehouseUnavailableError: the server does not answer.
        PolyhouseError: whatever the read raised there.
    """
    with _asked(server, INTERNAL_ROUTE, {"command": name, "arguments": dict(arguments)}) as response:
        document: dict[str, Any] = decode(_read_all(server, response))
    return document


@contextmanager
def stream_from(server: HolderInfo, question: Question) -> Iterator[Answer]:
    """The answer to a question to a table, batch by batch as they arrive; errors as of ``ask_server``.

    A connection that breaks before the end is an error while batches are taken, never an end of the rows.
    """
    import pyarrow as pa

    from polyhouse.reads.relations.answer import Answer

    with _asked(server, TABLE_ROUTE, question.document()) as response:
        reader = pa.ipc.open_stream(pa.PythonFile(response, mode="r"))

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from reader
                response.read()  # the last, empty chunk: without it the server broke off
            except (OSError, http.client.HTTPException, pa.ArrowInvalid) as error:
                raise _broken(server, error) from error

        yield Answer(reader.schema, batches())


@contextmanager
def _asked(server: HolderInfo, route: str, body: Mapping[str, Any]) -> Iterator[http.client.HTTPResponse]:
    """An answer that is none of an error, open for reading."""
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
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", route, encode(body), headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise _broken(server, error) from error
        if response.status != http.client.OK:
            raise _as_error(decode(_read_all(server, response)), response.status)
        yield response
    finally:
        connection.close()


def _read_all(server: HolderInfo, response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _broken(server, error) from error


def _broken(server: HolderInfo, error: Exception) -> WarehouseUnavailableError:
    return WarehouseUnavailableError(
        f"the store is open in {server.describe()}, which does not answer at {server.url}: {error}"
    )


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
