"""Who may do what over HTTP: every route against every kind of key, other names, other addresses, oversized questions.

OWASP API Security Top 10 (2023) API1, API2, API4, API5, API8, API9; ``docs/security.md`` says which test is which.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from inside_app import MASTER, TOKEN, running_inside

from polyhouse.serve.hosts import answered_hosts, is_answered, name_of
from polyhouse.state.access import SCOPES

ADDRESS = "0x" + "00" * 19 + "ff"
CONDITION = "0x" + "11" * 32
OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"

PUBLIC, INTERNAL = "public", "internal"
ROUTES: dict[str, str] = {
    "GET /": PUBLIC,
    "GET /api/categories": PUBLIC,
    "GET /api/feed": PUBLIC,
    "GET /api/leaderboard": PUBLIC,
    "GET /api/markets/{condition_id}": PUBLIC,
    "GET /api/metrics": PUBLIC,
    "GET /api/omega/leaderboard": PUBLIC,
    "GET /api/status": PUBLIC,
    "GET /api/wallets/specialists": PUBLIC,
    "GET /api/wallets/{address}": PUBLIC,
    "GET /api/wallets/{address}/days": PUBLIC,
    "GET /api/wallets/{address}/explain/{name}": PUBLIC,
    "GET /api/wallets/{address}/metrics": PUBLIC,
    "GET /api/wallets/{address}/trades": PUBLIC,
    "GET /healthz": PUBLIC,
    "GET /metrics": PUBLIC,
    "GET /openapi.json": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /api/admin/audit": "audit",
    "GET /api/admin/jobs": "read",
    "GET /api/admin/jobs/{id}": "read",
    "GET /api/admin/schedule": "read",
    "POST /api/admin/ingest": "ingest",
    "POST /api/admin/jobs/{id}/cancel": "ingest",
    "POST /api/admin/schedule/{plan}/run": "ingest",
    "POST /api/admin/wallets/{address}/reset": "wallets",
    "POST /api/admin/wallets/{address}/retry": "wallets",
    "POST /internal/query": INTERNAL,
    "POST /internal/table": INTERNAL,
}
"""Every route and who may use it. A route that is not here fails the tests: somebody has to say whom it is for."""
ENDLESS = frozenset({"GET /api/events", "GET /live"})
"""Streams; the tests of the feed read them."""
VALUES = {"{address}": ADDRESS, "{condition_id}": CONDITION, "{id}": "1", "{plan}": "nothing", "{name}": "realized",
          "{metric}": "omega", "{market}": CONDITION, "{token}": "1", "{path:path}": "style.css"}  # fmt: skip
DOCUMENTED_PAGES = "GET /wallets/"

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


@pytest.fixture(scope="module")
def inside(tmp_path_factory):
    with running_inside(tmp_path_factory.mktemp("inside")) as app:
        yield app


@pytest.fixture(scope="module")
def keys(inside):
    """One key for each scope."""
    return {scope: inside.stores.state.create_key(scope, [scope]) for scope in SCOPES}


def routes_of(routes):
    """Method and path of every route, those of included routers too; mounted files are one route."""
    found = set()
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            found |= routes_of([*included.routes, *included._low_priority_routes])
        else:
            methods = getattr(route, "methods", None) or {"GET"}
            found |= {f"{method} {route.path}" for method in methods if method != "HEAD"}
    return found


def filled(path):
    for name, value in VALUES.items():
        path = path.replace(name, value)
    return path


def is_page(route):
    """A page of the dashboard: for people, readable by everybody, and in no document."""
    method, path = route.split()
    return method == "GET" and not path.startswith(("/api/", "/internal/"))


def test_every_route_says_whom_it_is_for(inside):
    found = routes_of(inside.app.routes) - ENDLESS
    unknown = {route for route in found - set(ROUTES) if not is_page(route)}
    assert unknown == set(), "a route without an entry in ROUTES"
    assert {route for route in ROUTES if route not in found} == set(), "an entry without a route"


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_every_route_with_every_key(inside, keys, route):
    method, path = route.split()
    needed = ROUTES[route]
    asked = filled(path)
    given = {
        "no key": {}, "bad key": {"X-API-Key": "ph_" + "x" * 43}, "master key": {"X-API-Key": MASTER},
        "token": {"Authorization": f"Bearer {TOKEN}"}, "query": {},
        **{f"{scope} key": {"X-API-Key": secret} for scope, secret in keys.items()},
    }  # fmt: skip
    for number, (who, headers) in enumerate(given.items()):
        where = f"{asked}?api_key={MASTER}&key={TOKEN}" if who == "query" else asked
        reply = inside.ask(method, where, headers, client=f"203.0.113.{number}")
        if needed == PUBLIC:
            assert reply.status in {200, 404, 422}, (who, reply.body)
        elif needed == INTERNAL:
            assert reply.status == 401, who  # from elsewhere even the right token opens nothing
        elif who in {"no key", "bad key", "token", "query"}:
            assert (reply.status, reply.document["code"]) == (401, "AUTH"), who
        elif who in {"master key", f"{needed} key"}:
            assert reply.status in {200, 202, 404, 413, 422}, (who, reply.body)
        else:
            assert (reply.status, reply.document["code"]) == (403, "SCOPE_MISSING"), who


def test_the_internal_routes_open_for_the_token_from_this_machine_only(inside):
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    body = json.dumps({"command": "status", "arguments": {}}).encode()
    assert inside.ask("POST", "/internal/query", bearer, body, client="127.0.0.1").status == 200
    forwarded = bearer | {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-Real-IP": "127.0.0.1"}
    assert inside.ask("POST", "/internal/query", forwarded, body).status == 401


MALFORMED = [
    "", " ", "\t", "x", "ph_", "ph_" + "0" * 43, "ph_" + "0" * 42, "ph_" + "0" * 44, MASTER[:-1], MASTER + "x",
    MASTER.upper(), " " + MASTER + "x", "Bearer " + MASTER, MASTER + "\0", MASTER + "\r\nX: y", "\u00e9" * 10,
    "\U0001f600",
    "' OR 1=1 --", "../../etc/passwd", "null", "0" * 1_000_000, "\udcff\udcfe",
]  # fmt: skip


def test_malformed_keys_get_one_and_the_same_answer(inside):
    answers = set()
    for number, secret in enumerate(MALFORMED):
        for headers in ({"X-API-Key": secret}, {"Authorization": f"Bearer {secret}"}):
            reply = inside.ask("GET", "/api/admin/jobs", headers, client=f"192.0.2.{number}")
            assert reply.status == 401, secret[:40]
            assert reply.headers["www-authenticate"] == "Bearer"
            answers.add(json.dumps(reply.document | {"request_id": ""}))
    assert len(MALFORMED) >= 20
    assert len(answers) == 1


def test_a_client_that_guesses_is_shut_out_by_its_address_and_no_header_changes_that(inside):
    codes = [
        inside.ask(
            "GET", "/api/admin/jobs", {"X-API-Key": f"guess{n}", "X-Forwarded-For": f"10.0.0.{n}"},
            client="203.0.113.99"
        ).status
        for n in range(14)
    ]  # fmt: skip
    assert codes == [401] * 10 + [429] * 4
    right = inside.ask("GET", "/api/admin/jobs", {"X-API-Key": MASTER}, client="203.0.113.99")
    assert right.status == 429
    assert 1 <= int(right.headers["retry-after"]) <= 60
    assert inside.ask("GET", "/api/admin/jobs", {"X-API-Key": MASTER}, client="203.0.113.100").status == 200


def test_every_answer_has_the_headers(inside):
    routes = routes_of(inside.app.routes) - ENDLESS
    assert len(routes) > len(ROUTES)
    for route in sorted(routes):
        _check_headers(inside, *route.split())


def _check_headers(inside, method, path):
    for asked, headers in ((filled(path), {}), (filled(path) + "?x=" + "y" * 9_000, {"Accept": "text/html"})):
        reply = inside.ask(method, asked, headers, client="203.0.113.200")
        assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert "script-src 'unsafe" not in policy
        assert "access-control-allow-origin" not in reply.headers
        assert "server" not in reply.headers
        assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/nothing", 404), ("/api/wallets/0x12", 422), ("/api/wallets/" + "x" * 10_000, 422), ("/nothing", 404),
        ("/api/leaderboard?limit=1e9", 422), ("/api/leaderboard?limit=-1", 422), ("/api/leaderboard?limit=1001", 422),
        ("/api/leaderboard?window=1000000d", 422), ("/api/leaderboard?sort=__class__", 422),
        ("/api/leaderboard?cursor=%00", 422), ("/api/leaderboard?" + "&".join(f"f{n}=1" for n in range(1_000)), 422),
        ("/api/leaderboard?min_trades=" + "9" * 5_000, 422), ("/api/feed?limit=1000000", 422),
        ("/api/feed?after=-1", 422), ("/api/feed?wallet=" + "0x" * 5_000, 422), ("/api/markets/%ff%fe", 422),
        ("/api/wallets/" + ADDRESS + "/trades?limit=1000000", 422),
        ("/api/wallets/" + ADDRESS + "/trades?cursor=zz", 404),
        ("/static/../../../../etc/passwd", 404), ("/static/%2e%2e/%2e%2e/settings", 404), ("/wallets/<script>", None),
    ],
)  # fmt: skip
def test_what_is_too_much_or_nonsense_is_refused_and_tells_nothing_of_the_inside(inside, path, status):
    for accept in ("application/json", "text/html"):
        reply = inside.ask("GET", path, {"Accept": accept})
        assert 400 <= reply.status < 500
        if status is not None and accept == "application/json":
            assert reply.status == status
        text = reply.body.decode()
        for word in ("Traceback", "File \"", "/src/", "site-packages", ".py", "polyhouse.", "sqlalchemy",
            "pydantic", "chdb",
                     str(inside.context.settings.home)):  # fmt: skip
            assert word not in text, word
        assert "<script>" not in text or reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("size", [65_537, 1_000_000])
def test_bodies_are_limited(inside, size):
    for path in ("/api/admin/ingest", "/api/admin/schedule/full/run"):
        reply = inside.ask("POST", path, {"X-API-Key": MASTER}, b"{" + b" " * size)
        assert reply.status in {413, 202}
        assert reply.status == 413 or path.endswith("/run")
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert inside.ask("POST", "/internal/query", bearer, b" " * size, client="127.0.0.1").status == 413


BODIES = [
    b"", b"null", b"[]", b"{}", b"\0", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b"[" * 30_000, b'{"action":' * 5_000,
    b'{"action": "full", "action": "nothing"}', b'{"action": "full", "x": 1}', b'{"action": ["full"]}',
    b'{"action": 1}',
    b'{"action": "\\ud800"}', b'{"action": "' + b"9" * 60_000 + b'"}', b'{"action": ' + b"9" * 60_000 + b"}", b"NaN",
    b'{"action": 1e999999}', b'{"command": "status", "arguments": []}', b'{"command": {}, "arguments": {}}',
    b'{"command": "__init__", "arguments": {}}', b'{"command": "status", "arguments": {"self": 1}}',
    b'{"command": "leaderboard", "arguments": {"limit": ' + b"9" * 5_000 + b"}}",
    b'{"command": "leaderboard", "arguments": {"limit": {"a": [1e400]}}}',
    b'{"command": "wallet", "arguments": {"address": {"a": 1}}}', b'{"command": "wallet", "arguments": {}}',
    b'{"command": "sql", "arguments": {"statement": 1}}', b'{"command": "sql", "arguments": {"statement": null}}',
    b'{"command": "sql", "arguments": {"statement": "SELECT 1", "max_rows": -1}}',
    b'{"command": "sql", "arguments": {"statement": "SELECT 1", "max_rows": 1e400}}',
    b'{"command": "sql", "arguments": {"statement": "SELECT \\ud800"}}',
    b'{"command": "explain", "arguments": {"address": "' + ADDRESS.encode() + b'", "name": "\\u0000"}}',
]  # fmt: skip


def test_a_bug_is_answered_with_the_headers_and_without_a_word_about_the_inside(inside, monkeypatch):
    monkeypatch.setattr("polyhouse.serve.routes.operations.exposition", lambda *_: 1 / 0)
    for accept in ("application/json", "text/html"):
        reply = inside.ask("GET", "/metrics", {"Accept": accept})
        assert reply.status == 500
        assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
        assert "x-request-id" in reply.headers
        for word in ("division", "Zero", "Traceback", "operations"):
            assert word not in reply.body.decode()


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_no_body_makes_an_internal_error(inside, body):
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    asked = (
        ("/api/admin/ingest", {"X-API-Key": MASTER}, "198.51.100.7"),
        ("/internal/query", bearer, "127.0.0.1"),
        ("/internal/table", bearer, "127.0.0.1"),
    )
    for path, headers, client in asked:
        reply = inside.ask("POST", path, headers, body, client=client)
        assert reply.status in {200, 202, 400, 404, 413, 422}, (path, reply.body[:300])
        assert reply.status < 400 or reply.document["detail"]


def test_the_document_of_the_api_is_the_committed_one(inside):
    """A change of the API shows as a difference of ``openapi.json``; it is written anew with
    ``POLYHOUSE_WRITE_OPENAPI=1``.
    """
    document = json.dumps(inside.ask("GET", "/openapi.json").document, indent=1, sort_keys=True) + "\n"
    if os.environ.get("POLYHOUSE_WRITE_OPENAPI"):
        OPENAPI.write_text(document, encoding="utf-8")
    assert json.loads(OPENAPI.read_text(encoding="utf-8")) == json.loads(document)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"), ("LOCALHOST:8000", "localhost"), ("localhost.", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8000", "::1"), ("[::1]", "::1"), ("", ""), ("localhost:80:90", ""), ("[::1", ""), ("localhost:x", ""),
        ("user@localhost", "user@localhost"), ("localhost/", "localhost/"),
    ],
)  # fmt: skip
def test_the_name_in_a_host_header(header, name):
    assert name_of(header) == name


@pytest.mark.parametrize(
    ("setting", "host", "header", "answered"),
    [
        ("", "127.0.0.1", "localhost:8000", True), ("", "127.0.0.1", "evil.example", False),
        ("", "127.0.0.1", "127.0.0.1.evil.example", False), ("", "127.0.0.1", "localhost.evil.example", False),
        ("", "127.0.0.2", "127.0.0.2:9", True), ("", "127.0.0.1", "", False),
        ("board.example, *.lab.example", "0.0.0.0", "board.example", True),
        ("board.example, *.lab.example", "0.0.0.0", "a.b.lab.example:443", True),
        ("board.example, *.lab.example", "0.0.0.0", "lab.example", False),
        ("board.example, *.lab.example", "0.0.0.0", "evillab.example", False),
        ("board.example", "0.0.0.0", "localhost", True),
    ],
)  # fmt: skip
def test_names_that_are_answered(setting, host, header, answered):
    assert is_answered(header, answered_hosts(setting, host, is_local=host.startswith("127."))) is answered


def test_without_a_list_a_server_for_others_answers_to_any_name():
    assert answered_hosts("", "0.0.0.0", is_local=False) == frozenset()
    assert answered_hosts("*", "127.0.0.1", is_local=True) == frozenset()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "", None, "localhost@evil.example", "[::ffff:1.2.3.4]"]
)
def test_other_names_are_misdirected_also_where_the_answer_is_kept(inside, host):
    assert inside.ask("GET", "/api/leaderboard").status == 200
    for path in ("/api/leaderboard", "/", "/api/admin/jobs", "/healthz"):
        reply = inside.ask("GET", path, {"X-API-Key": MASTER}, host=host)
        assert (reply.status, reply.document["code"]) == (421, "WRONG_HOST")
        assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
