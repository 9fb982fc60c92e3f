"""Admin routes of a real server on a simulated Polymarket: keys, jobs, cancellation, kills, the log."""

from __future__ import annotations

import itertools
import json
import threading
import time

import pytest
from api_server import Server, polyhouse, until

from polyhouse.cli.simulation import simulated_polymarket

MASTER = "master-key-of-the-environment"
ROUTES = [
    ("POST", "/api/admin/ingest", "ingest"),
    ("GET", "/api/admin/jobs", "read"),
    ("GET", "/api/admin/jobs/1", "read"),
    ("POST", "/api/admin/jobs/1/cancel", "ingest"),
    ("POST", "/api/admin/wallets/0x00000000000000000000000000000000000000ff/retry", "wallets"),
    ("POST", "/api/admin/wallets/0x00000000000000000000000000000000000000ff/reset", "wallets"),
    ("GET", "/api/admin/schedule", "read"),
    ("POST", "/api/admin/schedule/nothing/run", "ingest"),
    ("GET", "/api/admin/audit", "audit"),
]


@pytest.fixture(scope="module")
def upstream():
    with simulated_polymarket(seed=5, wallets=16, rate_scale=20.0) as running:
        yield {
            "gamma_url": running.gamma_url, "clob_url": running.clob_url, "data_url": running.data_url,
            "rate_scale": 20, "api_rate_per_minute": 0,
        }  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("admin")


@pytest.fixture(scope="module")
def secrets(home):
    found = {}
    for scope in ("read", "ingest", "wallets", "audit"):
        made = polyhouse(home, "keys", "create", f"only-{scope}", "--scope", scope, "--json")
        found[scope] = json.loads(made.stdout)["secret"]
    return found


@pytest.fixture(scope="module")
def server(home, secrets, upstream):
    running = Server(home, admin_api_key=MASTER, **upstream)
    yield running
    running.stop()


def key(secret=MASTER, **more):
    return {"X-API-Key": secret} | {name.replace("_", "-"): value for name, value in more.items()}


def ended(server, number):
    def look():
        _, job = server.json(f"/api/admin/jobs/{number}", headers=key())
        return job["status"] not in {"queued", "running"} and job

    return until(look, 300)


def test_without_any_key_the_admin_routes_are_not_there(tmp_path):
    running = Server(tmp_path)
    try:
        for method, path, _ in ROUTES:
            status, _, text = running.request(path, method, headers=key("anything"))
            assert (status, json.loads(text)["code"]) == (404, "ADMIN_OFF"), path
        assert json.loads(polyhouse(tmp_path, "keys", "create", "ann", "--json").stdout)["name"] == "ann"
        assert running.request("/api/admin/jobs", headers=key("anything"))[0] == 401
    finally:
        running.stop()


def test_each_route_takes_the_scope_it_needs_and_no_other(server, secrets):
    documented = server.json("/openapi.json")[1]["paths"]
    known = {path for _, path, _ in ROUTES}
    assert {path for path in documented if path.startswith("/api/admin")} == {
        path.replace("jobs/1", "jobs/{id}").replace("nothing", "{plan}").replace("0x" + "00" * 19 + "ff", "{address}")
        for path in known
    }
    for method, path, needed in ROUTES:
        for scope, secret in secrets.items():
            status, _, text = server.request(path, method, headers=key(secret))
            if scope == needed:
                assert status in {200, 202, 404, 422}, (path, scope, text)
            else:
                assert (status, json.loads(text)["code"]) == (403, "SCOPE_MISSING"), (path, scope)
        bearer = {"Authorization": f"Bearer {secrets[needed]}"}
        assert server.request(path, method, headers=bearer)[0] not in {401, 403}
        assert server.request(f"{path}?api_key={MASTER}", method)[0] == 401


@pytest.mark.parametrize(
    "secret",
    ["", " ", "x", MASTER[:-1], MASTER + "x", MASTER.upper(), "ph_" + "0" * 43, "é" * 10, "0" * 8000, "'; --"],
)
def test_wrong_keys_are_refused_with_one_answer(home, upstream, secret, tmp_path_factory, refusing):
    status, headers, text = refusing.request(
        "/api/admin/jobs", headers={"X-API-Key": secret.encode().decode("latin-1")}
    )
    assert status == 401
    assert headers["www-authenticate"] == "Bearer"
    document = json.loads(text)
    assert document | {"request_id": ""} == {
        "type": "about:blank", "title": "Key missing or refused", "status": 401, "detail": "this route needs a key",
        "code": "AUTH", "hint": "send it as X-API-Key or Authorization: Bearer", "request_id": "",
    }  # fmt: skip


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    """A server of its own: wrong keys make it shut the door for a while."""
    running = Server(tmp_path_factory.mktemp("refusing"), admin_api_key=MASTER)
    yield running
    running.stop()


def test_after_too_many_wrong_keys_the_right_one_must_wait_too(refusing):
    for _ in range(12):
        status, headers, _ = refusing.request("/api/admin/jobs", headers=key("wrong"))
    assert status == 429
    assert int(headers["retry-after"]) >= 1
    assert refusing.request("/api/admin/jobs", headers=key())[0] == 429
    assert refusing.request("/api/leaderboard")[0] == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 422), (b"{", 422), (b"[]", 422), (b"{}", 422), (b'{"action":"drop"}', 422), (b'{"action":5}', 422),
     (b'{"action":"full","x":1}', 422), (b'{"action":"' + b"x" * 70_000 + b'"}', 413), (b"\xff\xfe", 422)],
)  # fmt: skip
def test_what_is_no_request_is_refused(server, body, status):
    found, _, text = server.request("/api/admin/ingest", "POST", body, key())
    assert (found, json.loads(text)["code"]) == (status, "BAD_INPUT")
    assert server.request("/api/admin/ingest", "POST", body)[0] == 401


def test_a_full_job_fills_the_store_and_says_how_far_it_is(server):
    status, headers, text = server.request("/api/admin/ingest", "POST", '{"action": "full"}', key())
    job = json.loads(text)
    assert (status, job["action"], job["origin"]) == (202, "full", "key:POLYHOUSE_ADMIN_API_KEY")
    assert headers["location"] == f"/api/admin/jobs/{job['id']}"
    seen = set()

    def look():
        _, found = server.json(headers["location"], headers=key())
        seen.add((found["progress"] or {}).get("step"))
        return found["status"] not in {"queued", "running"} and found

    done = until(look)
    assert done["status"] == "done", done
    assert [run["command"] for run in done["result"]["runs"]] == ["discover", "process"]
    assert all(run["status"] == "ok" for run in done["result"]["runs"])
    assert len(seen - {None, ""}) >= 1, "its progress was to be seen while it ran"
    assert done["progress"]["done"] > 0
    _, board = server.json("/api/leaderboard?min_units=0&min_gains_losses=0")
    assert board["count"] > 5
    _, jobs = server.json("/api/admin/jobs?status=done", headers=key())
    assert job["id"] in [row["id"] for row in jobs["rows"]]


def test_a_repeat_with_the_same_key_answers_with_the_same_job(server):
    ask = ("/api/admin/ingest", "POST", '{"action": "discover"}')
    first = server.request(*ask, key(Idempotency_Key="monday"))
    number = json.loads(first[2])["id"]
    assert (first[0], first[1]["idempotency-replayed"]) == (202, "false")
    ended(server, number)
    again = server.request(*ask, key(Idempotency_Key="monday"))
    assert (again[0], json.loads(again[2])["id"]) == (202, number)
    assert again[1]["idempotency-replayed"] == "true"
    other = server.request(*ask, key(Idempotency_Key="tuesday"))
    assert json.loads(other[2])["id"] > number
    ended(server, json.loads(other[2])["id"])
    status, document = server.json("/api/admin/ingest", "POST", {"action": "process"}, key(Idempotency_Key="monday"))
    assert (status, document["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert server.json("/api/admin/ingest", "POST", {"action": "process"}, key(Idempotency_Key="x" * 300))[0] == 422


def test_wallets_are_queued_again_and_unknown_ones_are_not_found(server):
    address = server.json("/api/leaderboard?min_units=0&min_gains_losses=0")[1]["rows"][0]["wallet"]
    status, document = server.json(f"/api/admin/wallets/{address}/reset", "POST", headers=key())
    assert (status, document) == (200, {"wallet": address, "queued": True})
    assert server.json(f"/api/wallets/{address}")[1]["sync"]["status"] == "pending"
    assert server.json(f"/api/admin/wallets/{address}/retry", "POST", headers=key())[1]["queued"] is False
    for word in ("retry", "reset"):
        unknown = server.json(f"/api/admin/wallets/0x{'ff' * 20}/{word}", "POST", headers=key())
        assert (unknown[0], unknown[1]["code"]) == (404, "UNKNOWN_WALLET")
        assert server.json(f"/api/admin/wallets/0xff/{word}", "POST", headers=key())[0] == 422


def test_a_plan_is_run_now_and_its_job_is_shown_in_the_schedule(server):
    status, job = server.json("/api/admin/schedule/open-markets/run", "POST", headers=key())
    assert (status, job["action"]) == (202, "open-markets")
    assert ended(server, job["id"])["status"] in {"done", "partial"}
    _, schedule = server.json("/api/admin/schedule", headers=key())
    assert schedule["is_on"] is False
    assert {row["plan"] for row in schedule["rows"]} >= {"top", "incremental", "full", "everything", "open-markets"}
    assert all(row["next_at"] for row in schedule["rows"])
    assert server.json("/api/admin/schedule/nothing/run", "POST", headers=key())[0] == 404


@pytest.mark.timeout(400)
def test_readers_meet_no_error_and_nothing_older_than_what_was_committed_before_they_asked(server):
    board = "/api/leaderboard?min_units=0&min_gains_losses=0"
    wallets = [row["wallet"] for row in server.json(board)[1]["rows"][:3]]
    pages = [board, "/api/categories", "/api/status", *(f"/api/wallets/{wallet}" for wallet in wallets)]
    (token_file,) = server.home.glob("serve-*.token")
    bearer = {"Authorization": f"Bearer {token_file.read_text()}"}
    newest = '{"command": "sql", "arguments": {"statement": "SELECT max(build) AS b FROM builds"}}'
    commits, reads, over = [], [], threading.Event()

    def watch():
        while not over.is_set():
            text = server.request("/internal/query", "POST", newest, bearer)[2]
            commits.append((time.monotonic(), int(json.loads(text)["rows"][0][0])))
            time.sleep(0.1)

    def read(first):
        for page in itertools.islice(itertools.cycle(pages), first, None):
            if over.is_set():
                return
            sent = time.monotonic()
            status, headers, _ = server.request(page)
            reads.append((sent, status, headers.get("etag", "")))
            time.sleep(0.02)

    threads = [threading.Thread(target=watch), *(threading.Thread(target=read, args=(n,)) for n in range(6))]
    for thread in threads:
        thread.start()
    try:
        job = server.json("/api/admin/schedule/everything/run", "POST", headers=key())[1]
        assert ended(server, job["id"])["status"] in {"done", "partial"}
    finally:
        time.sleep(0.2)
        over.set()
        for thread in threads:
            thread.join()
    assert {status for _, status, _ in reads} == {200}
    assert len({build for _, build in commits}) > 1, "the job published builds meanwhile"
    for sent, _, tag in reads:
        if tag:
            shown = int(tag.split("-")[1].split(".")[0], 16)
            assert shown >= max((build for at, build in commits if at <= sent), default=0)


def test_jobs_are_paged(server):
    _, first = server.json("/api/admin/jobs?limit=2", headers=key())
    assert (first["count"], len(first["rows"])) == (2, 2)
    _, second = server.json(f"/api/admin/jobs?limit=2&cursor={first['next']}", headers=key())
    ids = [row["id"] for row in first["rows"] + second["rows"]]
    assert ids == sorted(set(ids), reverse=True)
    for wrong in ("x", "-1", "1e9", "9" * 30):
        assert server.json(f"/api/admin/jobs?cursor={wrong}", headers=key())[0] == 422
    assert server.json("/api/admin/jobs/999999", headers=key())[0] == 404


def test_the_log_says_who_did_what_and_how_it_ended(server, secrets):
    server.request("/api/admin/jobs/999999/cancel", "POST", headers=key(secrets["ingest"]))
    server.request("/api/admin/wallets/0xff/reset", "POST", headers=key(secrets["read"]))
    _, log = server.json("/api/admin/audit?limit=200", headers=key(secrets["audit"]))
    refused, missing = log["rows"][:2]
    assert (missing["actor"], missing["action"], missing["target"]) == ("only-ingest", "job.cancel", "999999")
    assert missing["outcome"] == "404 NOT_FOUND"
    assert (refused["action"], refused["outcome"]) == ("wallet.reset", "403 SCOPE_MISSING")
    done = {(row["actor"], row["action"], row["target"]) for row in log["rows"] if row["outcome"] == "done"}
    assert ("POLYHOUSE_ADMIN_API_KEY", "job.start", "full") in done
    assert ("POLYHOUSE_ADMIN_API_KEY", "job.start", "open-markets") in done
    text = json.dumps(log)
    assert MASTER not in text
    assert not any(secret in text for secret in secrets.values())


def test_a_key_ends_at_its_revocation(server, home):
    secret = json.loads(polyhouse(home, "keys", "create", "short", "--scope", "read", "--json").stdout)["secret"]
    assert server.request("/api/admin/jobs", headers=key(secret))[0] == 200
    assert polyhouse(home, "keys", "revoke", "short").returncode == 0
    assert server.request("/api/admin/jobs", headers=key(secret))[0] == 401
    assert polyhouse(home, "keys", "revoke", "short").returncode == 1
    listed = json.loads(polyhouse(home, "keys", "list", "--json").stdout)
    row = next(row for row in listed["rows"] if row["name"] == "short")
    assert row["revoked_at"]
    assert row["used_at"]
    assert secret not in json.dumps(listed)
