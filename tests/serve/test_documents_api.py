"""What HTTP adds to the documents: validators, compression, forms, limits, other origins, and their description."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
from decimal import Decimal

import jsonschema_rs
import pyarrow as pa
import pytest
from api_server import NOBODY, Server, fill, until

from polyhouse.serve.openapi import EXAMPLE_MARKET, EXAMPLE_WALLET
from polyhouse.state import open_state

MASTER = "a-key"
BOARD = "/api/leaderboard?min_units=0&min_gains_losses=0"
WALLET = f"/api/wallets/{EXAMPLE_WALLET}"
TABLES = [BOARD, "/api/wallets/specialists", f"{WALLET}/trades", f"{WALLET}/days", f"{WALLET}/metrics", "/api/metrics"]
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("documents")
    fill(home, EXAMPLE_WALLET, EXAMPLE_MARKET)
    running = Server(
        home, admin_api_key=MASTER, api_cors_origins="https://example.org", api_rate_per_minute=100_000, **NOBODY
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def described(server):
    return server.json("/openapi.json")[1]


def resolved(described, schema):
    return {**schema, "components": described["components"]}


@pytest.mark.parametrize("path", [BOARD, WALLET, f"/api/markets/{EXAMPLE_MARKET}", "/api/categories", *TABLES])
def test_an_answer_that_the_client_has_is_304_until_something_changes(server, path):
    status, headers, text = server.request(path)
    assert status == 200
    assert headers["cache-control"] == "no-cache"
    assert {"Accept", "Accept-Encoding"} <= {word.strip() for word in headers["vary"].split(",")}
    for given in (headers["etag"], "*", f'"other", {headers["etag"]}'):
        again = server.raw(path, headers={"If-None-Match": given})
        assert (again[0], again[2]) == (304, b"")
        assert again[1]["etag"] == headers["etag"]
    assert server.request(path, headers={"If-None-Match": 'W/"0"'})[2] == text
    other = server.request(f"{path}{'&' if '?' in path else '?'}limit=7")
    assert other[0] in {200, 422}


def test_a_date_of_the_newest_build_is_a_validator_too(server):
    headers = until(lambda: (found := server.request(BOARD)[1]).get("last-modified") and found)
    assert server.request(BOARD, headers={"If-Modified-Since": headers["last-modified"]})[0] == 304
    assert server.request(BOARD, headers={"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"})[0] == 200
    assert server.request(BOARD, headers={"If-Modified-Since": "yesterday"})[0] == 200
    tagged = {"If-Modified-Since": headers["last-modified"], "If-None-Match": 'W/"other"'}
    assert server.request(BOARD, headers=tagged)[0] == 200, "a tag counts more than a date"


def test_what_changes_a_wallet_changes_its_tag_and_not_that_of_the_board(server):
    before, board = server.request(WALLET)[1]["etag"], server.request(BOARD)[1]["etag"]
    key = {"X-API-Key": MASTER}
    with open_state(f"sqlite:///{server.home}/state.db") as state:
        assert state.claim_wallets(2)
    after = server.request(WALLET, headers={"If-None-Match": before})
    assert after[0] == 200
    assert server.request(BOARD, headers={"If-None-Match": board})[0] == 304
    job = server.json("/api/admin/schedule/metrics/run", "POST", headers=key)[1]
    until(lambda: server.json(f"/api/admin/jobs/{job['id']}", headers=key)[1]["status"] == "done")
    assert server.request(BOARD, headers={"If-None-Match": board})[0] == 200, "a build changes every board"


def test_answers_are_compressed_for_those_who_take_it(server):
    plain = server.raw(WALLET)[2]
    status, headers, content = server.raw(WALLET, headers={"Accept-Encoding": "br, gzip"})
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert gzip.decompress(content) == plain
    assert len(content) < len(plain) / 2
    assert "content-encoding" not in server.raw(WALLET, headers={"Accept-Encoding": "gzip;q=0"})[1]


@pytest.mark.parametrize("path", TABLES)
def test_tables_are_answered_as_csv_and_arrow_with_the_same_content(server, path):
    document = server.json(path)[1]
    rows = document.get("rows") or document.get("days") or document.get("metrics") or []
    status, headers, text = server.request(path, headers={"Accept": "text/csv"})
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == len(rows)
    status, headers, content = server.raw(path, headers={"Accept": ARROW})
    assert (status, headers["content-type"]) == (200, ARROW)
    table = pa.ipc.open_stream(content).read_all()
    assert table.num_rows == len(rows)
    assert table.column_names == list(lines[0]) if lines else True
    for line, row, arrow in zip(lines, rows, table.to_pylist(), strict=True):
        for name, value in row.items():
            if name not in line or isinstance(value, dict | list | bool):
                continue
            assert line[name] == ("" if value is None else line[name])
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert Decimal(line[name]) == Decimal(str(value))
                assert float(arrow[name]) == float(value)
            elif isinstance(value, str):
                assert line[name] == value == arrow[name]
            else:
                assert arrow[name] is None


def test_money_is_exact_in_every_form(server):
    assert '"volume":7.000001' in server.request(BOARD)[2]
    lines = list(csv.DictReader(io.StringIO(server.request(BOARD, headers={"Accept": "text/csv"})[2])))
    assert lines[0]["volume"] == "7.000001"
    table = pa.ipc.open_stream(server.raw(BOARD, headers={"Accept": ARROW})[2]).read_all()
    assert table.schema.field("volume").type == pa.decimal128(38, 6)
    assert table["volume"][0].as_py() == Decimal("7.000001")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"), ("", "application/json"), ("text/*", "text/csv; charset=utf-8"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv; charset=utf-8"),
        ("text/csv;q=0, */*", "application/json"), ("application/*", "application/json"),
        (f"{ARROW};q=0.9, text/csv;q=0.8, */*;q=0.1", ARROW),
    ],
)  # fmt: skip
def test_the_form_is_the_one_that_the_client_likes_best(server, accept, kind):
    assert server.raw(BOARD, headers={"Accept": accept})[1]["content-type"] == kind


@pytest.mark.parametrize(("path", "accept"), [(BOARD, "image/png"), (WALLET, "text/csv"), ("/api/status", "text/csv")])
def test_a_form_that_does_not_exist_is_said_so(server, path, accept):
    status, _, text = server.request(path, headers={"Accept": accept})
    assert (status, json.loads(text)["code"]) == (406, "NOT_ACCEPTABLE")


def test_trades_are_paged_to_the_end_without_repeats(server):
    whole = server.json(f"{WALLET}/trades")[1]["rows"]
    assert [row["side"] for row in whole] == ["SELL", "BUY"], "newest first"
    first = server.json(f"{WALLET}/trades?limit=1")[1]
    second = server.json(f"{WALLET}/trades?limit=1&cursor={first['next_cursor']}")[1]
    assert first["rows"] + second["rows"] == whole
    assert second["next_cursor"] is None
    assert server.json(f"{WALLET}/trades?market={EXAMPLE_MARKET}")[1]["rows"] == whole
    assert server.json(f"{WALLET}/trades?market=0x{'cc' * 32}")[1]["rows"] == []
    for wrong in ("x", "é", "W10", first["next_cursor"][:-4], "9" * 900):
        assert server.request(f"{WALLET}/trades?cursor={wrong.encode().hex() if wrong == 'é' else wrong}")[0] == 422


def test_pages_of_other_origins_may_read_and_nothing_else(server):
    allowed = {"Origin": "https://example.org"}
    assert server.request(BOARD, headers=allowed)[1]["access-control-allow-origin"] == "https://example.org"
    assert "access-control-allow-origin" not in server.request(BOARD, headers={"Origin": "https://other.org"})[1]
    asked = allowed | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    assert server.request("/api/admin/ingest", "OPTIONS", headers=asked)[0] == 400


def test_a_client_that_asks_too_much_is_told_to_wait_and_others_are_not(tmp_path):
    running = Server(tmp_path, api_rate_per_minute=60, api_trusted_proxies="127.0.0.1")
    try:
        found = [running.request("/api/categories", headers={"X-Forwarded-For": "203.0.113.5"}) for _ in range(30)]
        refused = [answer for answer in found if answer[0] == 429]
        assert [answer[0] for answer in found[:10]] == [200] * 10, "a burst is let through"
        assert refused
        _, headers, text = refused[-1]
        assert 1 <= int(headers["retry-after"]) <= 60
        assert json.loads(text)["code"] == "RATE_LIMITED"
        assert headers["content-type"] == "application/problem+json"
        assert running.request("/api/categories", headers={"X-Forwarded-For": "203.0.113.6"})[0] == 200
        assert running.request("/healthz", headers={"X-Forwarded-For": "203.0.113.5"})[0] == 200
    finally:
        running.stop()


def test_nobody_passes_for_another_client_by_a_header(tmp_path):
    running = Server(tmp_path, api_rate_per_minute=6)
    try:
        found = {running.request("/api/categories", headers={"X-Forwarded-For": f"203.0.113.{n}"})[0] for n in range(9)}
        assert 429 in found
    finally:
        running.stop()


def first_line(server, target):
    """The beginning of a stream that does not end."""
    connection = http.client.HTTPConnection(server.address, timeout=30)
    connection.request("GET", target)
    try:
        return connection.getresponse().readline()
    finally:
        connection.close()


def test_every_route_has_examples_and_each_of_them_works(server, described):
    executed = 0
    for path, operations in described["paths"].items():
        if not path.startswith("/api/"):
            continue
        for method, operation in operations.items():
            examples = operation.get("x-examples")
            assert examples, f"{method} {path} has no example"
            for request in examples:
                word, target, *body = request.split(" ", 2)
                assert word.lower() == method
                if path == "/api/events":
                    assert first_line(server, target) == b"event: build\n"  # the others come as they happen
                    continue
                status, _, text = server.request(target, word, body[0] if body else None, {"X-API-Key": MASTER})
                assert status in {200, 202}, (request, text)
                executed += 1
    assert executed >= 15


def test_public_documents_are_what_openapi_says(server, described):
    for path, operations in described["paths"].items():
        if path == "/api/events":  # a stream is no document
            continue
        for request in operations.get("get", {}).get("x-examples", ()):
            status, document = server.json(request.split(" ")[1], headers={"X-API-Key": MASTER})
            schema = operations["get"]["responses"][str(status)]["content"]["application/json"]["schema"]
            errors = jsonschema_rs.validator_for(resolved(described, schema)).iter_errors(document)
            assert [f"{error.instance_path}: {error.message[:80]}" for error in errors] == [], request
            name = schema["$ref"].rsplit("/", 1)[1]
            undescribed = set(document) - set(described["components"]["schemas"][name]["properties"])
            assert not undescribed or name in {"Explained", "Market"}, (path, undescribed)


def test_every_field_of_a_ranked_wallet_is_described(server, described):
    row = server.json(BOARD)[1]["rows"][0]
    fields = described["components"]["schemas"]["Leaderboard"]["properties"]["rows"]["items"]["properties"]
    assert set(row) == set(fields)
    assert all(field.get("description") for field in fields.values())
    if row["metrics"] is not None:
        assert set(row["metrics"]) == set(fields["metrics"]["properties"])


def test_the_status_says_what_runs_and_what_comes_next(server):
    status = server.json("/api/status")[1]
    assert set(status["jobs"]) == {"running", "queued"}
    assert status["schedule"] == {"is_on": False, "next": []}
