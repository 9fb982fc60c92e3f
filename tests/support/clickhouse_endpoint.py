"""A ClickHouse server as clients see it over HTTP, for tests: the embedded engine in a process of its own.

It speaks what clickhouse-connect speaks: ``GET /ping``; statements in the URL or the body, settings and ``param_*`` as
URL parameters; rows of an INSERT behind the statement, in any format; gzip, lz4 and zstd both ways; sessions with
temporary tables; the engine's errors with their code. Like a server, and unlike the embedded engine, it keeps nothing
from one request to the next unless they name a session, and takes one statement a request. One request is served after
another.

``python clickhouse_endpoint.py --folder F`` prints its port and ends when its standard input does.

With ``--nodes 127.0.0.1,127.0.0.2`` it is a node of a cluster with so many shards, itself the one of ``--host``; all
of them have one port. What needs a Keeper is stood in for: a statement ``ON CLUSTER`` is sent to all nodes, and a
replicated table is one without replicas. The engine sends no query to another node: it listens to no TCP port, so the
one in the configuration only makes it know itself.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

USER = "polyhouse"
DATABASE = "polymarket"

CLUSTER = "test_cluster"
_CONFIGURATION = """<clickhouse>
<tcp_port>9000</tcp_port><remote_servers><{cluster}>{shards}</{cluster}></remote_servers>
</clickhouse>"""
_SHARD = "<shard><replica><host>{host}</host><port>9000</port></replica></shard>"
_ON_CLUSTER = re.compile(rb" ON CLUSTER '\w+'")
_REPLICATED = re.compile(rb"\bReplicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?")
_OPTIONS = "logger.console=0&mark_cache_size=33554432&background_pool_size=2&max_thread_pool_size=200"
_OF_THE_SERVER = {"compile_expressions": "0", "compile_aggregate_expressions": "0", "compile_sort_description": "0"}
"""How this server is set up, for clients that do not say otherwise: to compile expressions costs more than they do."""
_TRANSPORT = {
    "database", "session_id", "session_timeout", "session_check", "query_id", "compress", "decompress", "buffer_size",
    "wait_end_of_query", "default_format", "client_protocol_version", "role", "quota_key", "query", "user", "password",
}  # fmt: skip
_INSERT = re.compile(rb"^\s*(INSERT\s+INTO\s+.+?)\s+FORMAT\s+(\w+)[ \t]*\r?\n?", re.IGNORECASE | re.DOTALL)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_LEAVES_TRACES = re.compile(rb"\s*(SET|USE|CREATE\s+TEMPORARY)\b", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)")
_NOT_FOUND, _WRONG, _REFUSED = {46, 47, 60, 81}, {6, 26, 27, 36, 38, 41, 42, 43, 53, 62, 115, 117, 164}, {192, 193, 516}
_SYNTAX_ERROR, _AUTHENTICATION_FAILED, _SESSION_NOT_FOUND = 62, 516, 372


class EngineError(Exception):
    """The engine refused a statement; the text is its own."""


class Sessions:
    """Connections to the engine: one for each session; requests without one share those with equal settings."""

    def __init__(self, folder: Path, nodes: tuple[str, ...]) -> None:
        import chdb

        options = _OPTIONS
        configuration = folder.with_name(folder.name + ".xml")
        if nodes:
            shards = "".join(_SHARD.format(host=host) for host in nodes)
            configuration.write_text(_CONFIGURATION.format(cluster=CLUSTER, shards=shards))
        if configuration.exists():  # a test may have put its own there
            options += f"&config-file={configuration}"
        self._connect = lambda: chdb.connect(f"{folder}?{options}")
        self._kept: dict[str, object] = {}
        self._plain: dict[tuple, object] = {}
        self._anchor = self._connect()  # the engine ends with its last connection
        self._anchor.query(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")

    @contextlib.contextmanager
    def handle(self, parameters: dict[str, str], settings: dict[str, str], text: bytes):
        """A connection as the request wants it."""
        name, database = parameters.get("session_id", ""), parameters.get("database") or "default"
        if parameters.get("session_check") == "1" and name not in self._kept:
            raise EngineError(f"Code: {_SESSION_NOT_FOUND}. DB::Exception: Session {name} not found")
        key = (database, *sorted(settings.items()))
        handle = None if name else self._plain.pop(key, None)
        if handle is None:
            handle = self._prepared(self._kept.pop(name, None), database, settings)
        try:
            yield handle
        finally:
            if name:
                self._kept[name] = handle
            elif _LEAVES_TRACES.match(text):
                handle.close()
            else:
                self._plain[key] = handle

    def close(self) -> None:
        for handle in (*self._kept.values(), *self._plain.values(), self._anchor):
            handle.close()

    def _prepared(self, handle, database: str, settings: dict[str, str]):
        handle = handle or self._connect()
        try:
            _query(handle, f"USE `{database}`", "TabSeparated", {})
            chosen = _OF_THE_SERVER | settings
            pairs = ", ".join(f"{_name(name)} = {_quoted(value)}" for name, value in chosen.items())
            _query(handle, f"SET {pairs}", "TabSeparated", {})
        except EngineError:
            handle.close()
            raise
        return handle


class Answer:
    """What a statement gave."""

    def __init__(self, body: bytes, format_name: str, summary: dict[str, str]) -> None:
        self.body, self.format_name, self.summary = body, format_name, summary


def execute(sessions: Sessions, parameters: dict[str, str], body: bytes, *, readonly: bool) -> Answer:
    """Run one request."""
    statement = parameters.get("query", "").encode()
    text = statement + b"\n" + body if statement else body
    settings = {name: value for name, value in parameters.items() if name not in _TRANSPORT}
    values = {name[6:]: settings.pop(name) for name in list(settings) if name.startswith("param_")}
    if readonly:
        settings.setdefault("readonly", "2")
    with sessions.handle(parameters, settings, text) as handle:
        insert = _INSERT.match(text)
        if insert is not None and insert.end() < len(text):
            return _insert(handle, insert, text[insert.end() :])
        sql = text.decode()
        _refuse_several(sql)
        return _run(handle, sql, parameters.get("default_format", "TabSeparated"), values)


def _run(handle, sql: str, default: str, values: dict[str, str]) -> Answer:
    named = _FORMAT.search(sql)
    if named is not None:
        result = _query(handle, sql, default, values)
        return Answer(bytes(result.bytes() or b""), named[1], _summary(result, "read"))
    if default != "TabSeparated":
        result = _query(handle, sql, default, values)
        return Answer(bytes(result.bytes() or b""), default, _summary(result, "read"))
    # With names a statement that answers at all answers something, also if there are no rows.
    result = _query(handle, sql, "TabSeparatedWithNames", values)
    names, _, rows = bytes(result.bytes() or b"").partition(b"\n")
    return Answer(rows, default if names else "", _summary(result, "read"))


def _insert(handle, insert: re.Match[bytes], rows: bytes) -> Answer:
    with tempfile.NamedTemporaryFile(suffix=".rows") as file:
        file.write(rows)
        file.flush()
        head = insert[1].decode()
        sql = f"{head} FROM INFILE {_quoted(file.name)} FORMAT {insert[2].decode()}"
        return Answer(b"", "", _summary(_query(handle, sql, "TabSeparated", {}), "written"))


def _query(handle, sql: str, format_name: str, values: dict[str, str]):
    try:
        return handle.query(sql, format_name, params=values) if values else handle.query(sql, format_name)
    except Exception as error:
        raise EngineError(str(error)) from error


def _refuse_several(sql: str) -> None:
    from polyhouse.warehouse.lexer import split_statements

    if len(split_statements(sql)) > 1:
        raise EngineError(f"Code: {_SYNTAX_ERROR}. DB::Exception: Syntax error (Multi-statements are not allowed)")


def _summary(result, verb: str) -> dict[str, str]:
    return {
        f"{verb}_rows": str(result.rows_read()),
        f"{verb}_bytes": str(result.bytes_read()),
        "elapsed_ns": str(int(result.elapsed() * 1e9)),
    }


def _name(text: str) -> str:
    if not re.fullmatch(r"\w+", text):
        raise EngineError(f"Code: 115. DB::Exception: Unknown setting {text!r}")
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def compressed(body: bytes, encoding: str) -> bytes:
    """Content-Encoding, applied."""
    if encoding == "gzip":
        return gzip.compress(body, 1)
    if encoding == "lz4":
        import lz4.frame

        return lz4.frame.compress(body)
    import zstandard

    return zstandard.ZstdCompressor().compress(body)


def plain(body: bytes, encoding: str) -> bytes:
    """Content-Encoding, undone."""
    if encoding in {"", "identity"}:
        return body
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "lz4":
        import lz4.frame

        return lz4.frame.decompress(body)
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together: in two packets the second waits for the client's acknowledgement
    disable_nagle_algorithm = True
    server: Endpoint

    def do_GET(self) -> None:
        """A sign of life, or a statement that only reads."""
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self._execute(b"", readonly=True)

    def do_POST(self) -> None:
        """A statement."""
        body = plain(self._body(), self.headers.get("Content-Encoding", ""))
        if self.server.nodes and (_ON_CLUSTER.search(body) or _REPLICATED.search(body)):
            everywhere = bool(_ON_CLUSTER.search(body))
            body = _REPLICATED.sub(rb"\1(", _ON_CLUSTER.sub(b"", body))
            if everywhere:
                self._send_to_others(body)
        self._execute(body, readonly=False)

    def _send_to_others(self, body: bytes) -> None:
        """A definition reaches every node; here one after the other, with a Keeper all at once."""
        own, port = self.server.server_address[:2]
        kept = {name: self.headers[name] for name in ("Authorization",) if name in self.headers}
        for host in self.server.nodes:
            if host != own:
                request = urllib.request.Request(f"http://{host}:{port}{self.path}", body, kept)
                urllib.request.urlopen(request, timeout=60).read()

    def log_message(self, *_: object) -> None:
        """Nothing: the engine's errors go to the client."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _execute(self, body: bytes, *, readonly: bool) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        headers = {
            "X-ClickHouse-Server-Display-Name": "test",
            "X-ClickHouse-Query-Id": parameters.get("query_id") or secrets.token_hex(16),
            "X-ClickHouse-Timezone": "UTC",
        }
        try:
            self._check_user(parameters)
            with self.server.turn:
                answer = execute(self.server.sessions, parameters, body, readonly=readonly)
        except EngineError as error:
            self._refuse(str(error), headers)
            return
        headers["X-ClickHouse-Summary"] = json.dumps(answer.summary)
        if answer.format_name:
            headers["X-ClickHouse-Format"] = answer.format_name
        self._answer(200, self._encoded(answer.body, parameters, headers), headers)

    def _encoded(self, body: bytes, parameters: dict[str, str], headers: dict[str, str]) -> bytes:
        accepted = [one.strip() for one in self.headers.get("Accept-Encoding", "").split(",")]
        encoding = next((one for one in accepted if one in {"gzip", "lz4", "zstd"}), "")
        if not body or not encoding or parameters.get("enable_http_compression") != "1":
            return body
        headers["Content-Encoding"] = encoding
        return compressed(body, encoding)

    def _check_user(self, parameters: dict[str, str]) -> None:
        given = (parameters.get("user", "default"), parameters.get("password", ""))
        scheme, _, word = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            user, _, password = base64.b64decode(word).decode().partition(":")
            given = (user, password)
        if given != (USER, self.server.password):
            raise EngineError(
                f"Code: {_AUTHENTICATION_FAILED}. DB::Exception: {given[0]}: Authentication failed: password is "
                "incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)"
            )

    def _refuse(self, text: str, headers: dict[str, str]) -> None:
        found = _CODE.search(text)
        code = int(found[1]) if found else 1002
        known = {403: _REFUSED, 404: _NOT_FOUND, 400: _WRONG}
        status = next((status for status, codes in known.items() if code in codes), 500)
        self._answer(status, text.encode() + b"\n", {**headers, "X-ClickHouse-Exception-Code": str(code)})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain; charset=UTF-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Endpoint(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True

    def __init__(
        self,
        sessions: Sessions,
        password: str,
        address: tuple[str, int] = ("127.0.0.1", 0),
        nodes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(address, Handler)
        self.turn = threading.Lock()
        self.password = password
        self.nodes = nodes
        self.sessions = sessions


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--nodes", default="")
    given = parser.parse_args()
    nodes = tuple(host for host in given.nodes.split(",") if host)
    sessions = Sessions(given.folder, nodes)
    endpoint = Endpoint(sessions, os.environ["ENDPOINT_PASSWORD"], (given.host, given.port), nodes)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    print(endpoint.server_address[1], flush=True)
    sys.stdin.read()
    endpoint.shutdown()
    with endpoint.turn:
        endpoint.sessions.close()


@contextlib.contextmanager
def running_endpoint(folder: Path, *, password: str = "", arguments: tuple[str, ...] = ()):
    """An endpoint over the store in ``folder`` while the block runs; gives its URL with user, password and database."""
    password = password or secrets.token_hex(8)
    process = subprocess.Popen(
        [sys.executable, __file__, "--folder", str(folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "ENDPOINT_PASSWORD": password, "TZ": "UTC"},
    )
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"the endpoint did not start (exit {process.wait()})")
        host = arguments[arguments.index("--host") + 1] if "--host" in arguments else "127.0.0.1"
        yield f"clickhouse://{USER}:{password}@{host}:{port}/{DATABASE}"
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        process.stdout.close()


@contextlib.contextmanager
def running_cluster(folder: Path, shards: int):
    """Endpoints that are the shards of one cluster, while the block runs; gives the URL of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    hosts = [f"127.0.0.{number + 1}" for number in range(shards)]
    password, port = secrets.token_hex(8), _free_port(hosts)
    with contextlib.ExitStack() as running:
        urls = [
            running.enter_context(
                running_endpoint(
                    folder / host,
                    password=password,
                    arguments=("--host", host, "--port", str(port), "--nodes", ",".join(hosts)),
                )
            )
            for host in hosts
        ]
        yield f"{urls[0]}?cluster={CLUSTER}"


def _free_port(hosts: list[str]) -> int:
    """A port that is free on all of these addresses."""
    while True:
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            first = probes.enter_context(socket.socket())
            first.bind((hosts[0], 0))
            port = first.getsockname()[1]
            for host in hosts[1:]:
                probes.enter_context(socket.socket()).bind((host, port))
            return port


if __name__ == "__main__":
    main()
