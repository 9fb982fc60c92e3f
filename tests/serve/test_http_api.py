"""The API in a process of its own, as users run it; read commands of a second process go through it."""

import json
import signal
import stat
from pathlib import Path

import pytest
from api_server import Server, fill, polyhouse

from polyhouse.warehouse.lock import holder

WALLET = bytes.fromhex("aa" * 20)
CONDITION = bytes.fromhex("c1" * 32)
TOKEN = bytes.fromhex("01" * 32)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("serve")
    fill(home)
    running = Server(home)
    yield running
    running.stop()


def test_the_leaderboard_answers_under_both_names_with_exact_numbers(server):
    query = "min_units=0&min_gains_losses=0"
    status, headers, text = server.request(f"/api/leaderboard?{query}")
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert headers["x-content-type-options"] == "nosniff"
    document = json.loads(text)
    assert document["rows"][0]["wallet"] == "0x" + WALLET.hex()
    assert '"volume":7.000001' in text
    assert server.request(f"/api/omega/leaderboard?{query}")[2] == text
    assert server.json("/api/leaderboard")[1]["rows"] == []


def test_the_wallet_route_answers_the_same_document_as_the_command(server):
    status, document = server.json("/api/wallets/0x" + "AA" * 20)
    assert status == 200
    assert set(document) == {
        "wallet", "as_of", "coverage", "provisional", "coverage_details", "totals", "categories", "units", "positions",
        "scores", "flags", "intervals", "metrics", "sync",
    }  # fmt: skip
    assert {"value", "is_whale", "inputs"} <= set(document["scores"]["whale"])
    assert {"value", "is_suspected", "inputs"} <= set(document["scores"]["insider"])
    assert document["coverage"] == "rest"
    position = document["positions"][0]
    assert position["token_id"] == str(int.from_bytes(TOKEN, "big"))
    assert (position["outcome"], position["outcome_index"], position["shares"], position["status"]) == (
        "Yes",
        0,
        6,
        "OPEN",
    )
    assert document["categories"][0]["category"] == "sports"
    assert document["units"][0] | {"realized": 0, "unrealized": 0} == {
        "unit": "0x" + CONDITION.hex(), "condition_ids": ["0x" + CONDITION.hex()], "category": "sports", "realized": 0,
        "unrealized": 0, "result": None, "closed_at": None,
    }  # fmt: skip
    assert document["sync"]["status"] == "pending"
    printed = polyhouse(server.home, "wallet", "0x" + "aa" * 20, "--json")
    assert printed.returncode == 0, printed.stderr
    assert json.loads(printed.stdout) == document


def test_a_registered_wallet_without_rows_has_zero_totals(server):
    status, document = server.json("/api/wallets/0x" + "00" * 19 + "01")
    assert status == 200
    assert document["totals"]["trades"] == 0
    assert document["totals"]["omega"] == {"value": None, "status": "NO_SAMPLE"}
    assert document["provisional"] == ["not_computed"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/wallets/0x" + "bb" * 20, 404, "UNKNOWN_WALLET"),
        ("/api/wallets/0xbb", 422, "BAD_INPUT"),
        ("/api/wallets/%27%3B%20DROP%20TABLE%20units", 422, "BAD_INPUT"),
        ("/api/markets/0x" + "bb" * 32, 404, "UNKNOWN_MARKET"),
        ("/api/markets/17", 404, "UNKNOWN_MARKET"),
        ("/api/leaderboard?sort=sharp", 422, "BAD_INPUT"),
        ("/api/leaderboard?window=8d", 422, "BAD_INPUT"),
        ("/api/leaderboard?limit=1000000000", 422, "BAD_INPUT"),
        ("/api/leaderboard?limit=-1", 422, "BAD_INPUT"),
        ("/api/leaderboard?min_trades=99999999999999999999", 422, "BAD_INPUT"),
        ("/api/nothing", 404, "HTTP_404"),
        ("/docs", 404, "HTTP_404"),
    ],
)
def test_errors_are_problem_documents(server, path, status, code):
    found, headers, text = server.request(path)
    problem = json.loads(text)
    assert (found, problem["status"], problem["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == headers["x-request-id"]
    assert {"type", "title", "detail", "hint"} <= set(problem)
    assert "Traceback" not in text


def test_market_categories_and_status(server):
    _, market = server.json("/api/markets/0x" + CONDITION.hex())
    assert (market["question"], market["category"]) == ("<script>Who?", "sports")
    assert [outcome["outcome"] for outcome in market["outcomes"]] == ["Yes", "No"]
    assert market["holders"][0]["shares"] == 6
    _, categories = server.json("/api/categories")
    assert categories["categories"][0] == "politics"
    _, status = server.json("/api/status")
    assert status["wallets"]["pending"] == 2
    assert (status["trades"], status["markets"], status["unmapped_tokens"]) == (2, 1, 0)


def test_health_readiness_and_metrics(server):
    assert server.request("/healthz")[::2] == (200, "ok\n")
    assert server.request("/readyz")[::2] == (200, "ready\n")
    status, _, text = server.request("/metrics")
    assert status == 200
    assert 'polyhouse_store_rows{table="observations"} 2' in text
    assert 'polyhouse_wallets{status="pending"} 2' in text
    assert 'polyhouse_http_requests_total{method="GET",route="/healthz",status="200"} ' in text


def test_openapi_lists_the_public_routes_only(server):
    paths = set(server.json("/openapi.json")[1]["paths"])
    assert {"/api/leaderboard", "/api/omega/leaderboard", "/api/wallets/{address}", "/api/status", "/readyz"} <= paths
    assert not any(path.startswith("/internal") for path in paths)


@pytest.mark.parametrize(
    "key", [None, "", "Bearer", "Bearer wrong", "Basic x", "Bearer " + "é" * 40, "Bearer " + "0" * 4000]
)
def test_the_internal_route_needs_the_token(server, key):
    headers = {} if key is None else {"Authorization": key.encode("utf-8").decode("latin-1")}
    body = json.dumps({"command": "status", "arguments": {}})
    status, _, text = server.request("/internal/query", "POST", body, headers)
    assert status == 401
    assert json.loads(text)["code"] == "AUTH"


def test_the_token_file_is_private_and_opens_the_internal_route(server):
    info = holder(f"chdb://{server.home / 'warehouse'}")
    token_file = Path(info.token_file)
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    headers = {"Authorization": f"Bearer {token_file.read_text()}"}
    for body, expected in (
        (b"{", 422),
        (b"[]", 422),
        (b'{"command": "drop", "arguments": {}}', 422),
        (b'{"command": "status", "arguments": {"x": 1}}', 200),
        (b'{"command": "leaderboard", "arguments": {"x": 1}}', 422),
        (b'{"command": "sql", "arguments": {"statement": "SELECT 1"}}', 200),
        (b"x" * 70_000, 413),
    ):
        assert server.request("/internal/query", "POST", body, headers)[0] == expected, body[:60]


def test_read_commands_of_another_process_go_through_the_server(server):
    result = polyhouse(server.home, "sql", "SELECT count() AS n FROM vw_positions")
    assert (result.returncode, result.stdout) == (0, "n\n1\n")
    result = polyhouse(server.home, "leaderboard", "--min-units", "0", "--min-gains-losses", "0", "--json")
    assert json.loads(result.stdout)["count"] == 1
    result = polyhouse(server.home, "sql", "INSERT INTO builds SELECT * FROM builds")
    assert result.returncode == 2
    result = polyhouse(server.home, "wallet", "0x" + "bb" * 20)
    assert result.returncode == 2
    assert "UNKNOWN_WALLET" in result.stderr


def test_commands_that_write_name_the_holder_and_leave_with_5(server):
    result = polyhouse(server.home, "metrics")
    assert result.returncode == 5
    assert result.stdout == ""
    assert f"pid {server.process.pid}" in result.stderr


def test_serving_elsewhere_needs_a_key(tmp_path):
    result = polyhouse(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")
    assert result.returncode == 2
    assert "POLYHOUSE_ADMIN_API_KEY" in result.stderr


def test_a_signal_ends_the_server_cleanly(tmp_path):
    running = Server(tmp_path)
    info = holder(f"chdb://{tmp_path / 'warehouse'}")
    assert Path(info.token_file).exists()
    assert running.stop() == 128 + signal.SIGTERM
    assert not Path(info.token_file).exists()
    assert holder(f"chdb://{tmp_path / 'warehouse'}") is None
