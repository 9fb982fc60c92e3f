"""Each thing is broken on purpose, and the doctor says that line, with a fix; nothing else of it fails."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from polyhouse.cli.app import run_command_line
from polyhouse.doctor import Finding, examine, machine
from polyhouse.models.checks import CheckResult, keep_results
from polyhouse.settings import Loaded, Settings, load
from polyhouse.sync import verify
from polyhouse.wiring import Stores, open_stores


class Reply(NamedTuple):
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@contextmanager
def upstream(reply: Reply) -> Iterator[str]:
    """A server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(reply.status)
            for name, value in ({"Date": self.date_time_string()} | dict(reply.headers)).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET  # noqa: N815 - the name that the server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a run ended just now."""
    return made(tmp_path_factory.mktemp("doctor") / "home")


def made(folder: Path) -> Path:
    with open_stores(Settings(home=folder)) as stores:
        stores.state.finish_run(stores.state.start_run("run"), "ok")
    return folder


def change_state(home: Path, sql: str) -> None:
    with closing(sqlite3.connect(home / "state.db")) as file, file:
        file.execute(sql)


def findings(home: Path, *, offline: bool = True, **settings: Any) -> dict[str, Finding]:
    loaded = Loaded(Settings(home=home, **settings), {})
    return {one.name: one for one in examine(lambda: loaded, offline=offline)}


def bad(found: dict[str, Finding]) -> dict[str, str]:
    return {name: one.level for name, one in found.items() if one.level != "ok"}


def opened(home: Path) -> Any:
    return open_stores(Settings(home=home))


def test_a_sound_installation_has_nothing_to_fix_but_that_it_is_empty(home: Path) -> None:
    found = findings(home)
    assert bad(found) == {"models": "warn"}
    assert found["models"].fix == "polyhouse metrics"
    assert {"version", "settings", "home", "disk", "memory", "open_files", "time_zone", "state", "warehouse",
            "last_run", "wallets", "leases", "stores_agree", "checks"} <= set(found)  # fmt: skip


def test_settings_that_cannot_be_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYHOUSE_RATE_SCALE", "quick")
    (finding,) = [one for one in examine(load) if one.name == "settings"]
    assert finding.level == "fail"
    assert "RATE_SCALE" in finding.text
    assert "polyhouse config" in finding.fix


def test_secrets_that_others_can_read(home: Path) -> None:
    file = home / "polyhouse.toml"
    file.write_text("")
    file.chmod(0o644)
    loaded = Loaded(Settings(home=home), {"admin_api_key": str(file)})
    found = {one.name: one for one in examine(lambda: loaded, offline=True)}
    file.unlink()
    assert (found["settings"].level, found["settings"].fix) == ("warn", f"chmod 600 {file}")


def test_a_home_that_cannot_be_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who can write anywhere: a folder of the kernel's takes nothing from anybody."""
    found = findings(Path("/proc/self"), warehouse=f"chdb://{home}/warehouse")
    assert found["home"].level == "fail"
    assert "POLYHOUSE_HOME" in found["home"].fix
    assert "warehouse" not in found


@pytest.mark.parametrize(("free", "level"), [(machine.DISK_FAIL - 1, "fail"), (machine.DISK_WARN - 1, "warn")])
def test_a_disk_that_is_nearly_full(home: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    usage = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
    found = findings(home)["disk"]
    assert found.level == level
    assert "make room" in found.fix


def test_too_little_memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: machine.MEMORY_FAIL - 1)
    assert findings(home)["memory"].level == "fail"


def test_too_few_open_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1_024))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    found = findings(home)["open_files"]
    assert found.level == "fail"
    assert "ulimit" in found.fix


def test_a_store_that_another_process_has_open(home: Path) -> None:
    with opened(home):
        found = findings(home)
    assert found["store_in_use"].level == "warn"
    assert f"pid {os.getpid()}" in found["store_in_use"].text
    assert "warehouse" not in found


def test_stores_of_a_newer_version(tmp_path: Path) -> None:
    other = made(tmp_path / "newer")
    with opened(other) as stores:
        stores.warehouse.command("INSERT INTO schema_migrations VALUES (9999, '9999_future.sql', '', now())")
    found = findings(other)
    assert found["warehouse"].level == "fail"
    assert "newer version" in found["warehouse"].text
    assert "Upgrade" in found["warehouse"].fix
    change_state(other, "UPDATE alembic_version SET version_num = '9999'")
    found = findings(other)
    assert found["state"].level == "fail"
    assert "newer version" in found["state"].text


def test_what_the_state_store_says(tmp_path: Path) -> None:
    """A state store ahead of the warehouse, wallets that failed, leases that ended, a run long ago, models behind."""
    other = made(tmp_path / "worn")
    wallets = [bytes([number] * 20) for number in range(1, 4)]
    with opened(other) as stores:
        state = stores.state
        state.register_wallets(wallets, "test")
        state.claim_wallets(2)
        state.mark_failed(wallets[0], "no")
        state.set_note(verify.NOTE, time.time_ns())
        _break_a_check(stores)
    change_state(other, "UPDATE wallets SET status = 'syncing', lease_owner = 'gone', lease_until = 1 WHERE rowid = 2")
    change_state(other, "UPDATE runs SET started_at = 1000, finished_at = 1000")
    found = findings(other)
    assert bad(found) == {
        "last_run": "warn", "wallets": "warn", "leases": "warn", "stores_agree": "fail", "models": "warn",
        "check days_add_up": "fail",
    }  # fmt: skip
    assert found["wallets"].fix == "polyhouse retry && polyhouse process"
    assert "hours ago" in found["last_run"].text
    assert "ahead of the warehouse" in found["stores_agree"].text
    assert "0xabc" in found["check days_add_up"].text


def _break_a_check(stores: Stores) -> None:
    broken = CheckResult("days_add_up", ok=False, broken=1, detail="violated: the days; e.g. 0xabc")
    keep_results(stores.warehouse, [broken], occasion="check")


@pytest.mark.parametrize(
    ("reply", "level", "words", "fix"),
    [
        (Reply(), "ok", "answers in", ""),
        (Reply(503), "warn", "out of order", "try again"),
        (Reply(429, (("Retry-After", "7"),)), "warn", "wait 7 s", "POLYHOUSE_RATE_SCALE"),
        (Reply(403), "fail", "refuses us", "POLYHOUSE_"),
        (Reply(404), "fail", "does not know", "check POLYHOUSE_"),
    ],
)
def test_what_upstreams_answer(home: Path, reply: Reply, level: str, words: str, fix: str) -> None:
    with opened(home), upstream(reply) as url:  # the stores are somebody else's meanwhile, so only upstreams are asked
        found = findings(
            home, offline=False, gamma_url=url, clob_url=url, data_url=url, rpc_url=f"{url}/secret-key",
            hypersync_url=url, hypersync_token="hidden-token",
        )  # fmt: skip
    for name in ("gamma", "clob", "data", "rpc", "hypersync"):
        assert found[name].level == level
        assert words in found[name].text
        assert fix in found[name].fix
    if reply.status == 403:
        assert "POLYHOUSE_HYPERSYNC_TOKEN" in found["hypersync"].fix
    shown = " ".join(one.text + one.fix for one in found.values())
    assert "secret-key" not in shown
    assert "hidden-token" not in shown


@pytest.mark.parametrize(("ahead", "level"), [(-30, "warn"), (7_200, "fail")])
def test_a_clock_that_goes_wrong(home: Path, ahead: int, level: str) -> None:
    from email.utils import formatdate

    with opened(home), upstream(Reply(headers=(("Date", formatdate(time.time() - ahead, usegmt=True)),))) as url:
        found = findings(home, offline=False, gamma_url=url, clob_url=url, data_url=url)["clock"]
    assert found.level == level
    assert ("ahead of" if ahead > 0 else "behind") in found.text
    assert "timedatectl" in found.fix


def test_an_upstream_that_is_not_there(home: Path) -> None:
    url = "http://127.0.0.1:9"
    with opened(home):
        found = findings(home, offline=False, gamma_url=url, clob_url=url, data_url=url, rate_scale=3)
    assert (found["data"].level, found["clock"].level, found["rate_limit"].level) == ("fail", "warn", "warn")
    assert "POLYHOUSE_DATA_URL" in found["data"].fix


def test_the_command(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_command_line(["--home", str(home), "doctor", "--offline"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "0 failures, 1 warnings"
    assert lines[lines.index("warn  models: no models were built yet") + 1] == "      fix: polyhouse metrics"
    monkeypatch.setattr(machine, "available_memory", lambda: 0)
    assert run_command_line(["--home", str(home), "doctor", "--offline", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert not document["ok"]
    assert {one["name"] for one in document["findings"] if one["level"] == "fail"} == {"memory"}
