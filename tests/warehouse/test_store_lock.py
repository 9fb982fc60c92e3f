"""One process per embedded store; the second one learns who has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

from polyhouse.errors import ConfigError, StoreInUseError
from polyhouse.warehouse import holder, open_warehouse

HOLD = """
import sys
from polyhouse.warehouse import open_warehouse
warehouse = open_warehouse(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
warehouse.close()
"""
TRY = """
import sys
from polyhouse.errors import PolyhouseError
from polyhouse.warehouse import open_warehouse
try:
    open_warehouse(sys.argv[1])
except PolyhouseError as error:
    print(error, error.hint)
    sys.exit(error.exit_code)
"""


@pytest.fixture
def second_process(url):
    """Another process that has the store open."""
    command = [sys.executable, "-c", HOLD, url, "--key", "clickhouse://me:secret@host/db"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_a_second_process_ends_with_5_and_the_holders_name(url):
    assert holder(url) is None
    with open_warehouse(url) as warehouse:
        outcome = subprocess.run([sys.executable, "-c", TRY, url], capture_output=True, text=True, check=False)
        assert outcome.returncode == 5, outcome.stderr
        assert f"pid {os.getpid()}" in outcome.stdout
        assert "since 20" in outcome.stdout
        assert "polyhouse serve" in outcome.stdout
        assert warehouse.query("SELECT 1").rows == [(1,)], "the holder is not disturbed"
    assert holder(url) is None


def test_the_holder_is_described_without_secrets_and_a_dead_one_is_taken_over(url, second_process):
    info = holder(url)
    assert info.pid == second_process.pid
    assert abs(info.started_at - time.time()) < 60
    assert "clickhouse://me:***@host/db" in info.command
    assert "secret" not in info.command
    with pytest.raises(StoreInUseError, match=f"pid {second_process.pid}"):
        open_warehouse(url)
    second_process.kill()
    second_process.wait()
    assert holder(url) is None
    with open_warehouse(url) as warehouse:
        assert warehouse.query("SELECT count() FROM observations_current").rows == [(0,)]


def test_serve_tells_its_address_and_key_file(url, tmp_path):
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(0o644)
    with open_warehouse(url) as warehouse:
        with pytest.raises(ConfigError, match="other users"):
            warehouse.set_server_url("http://127.0.0.1:1", str(key))
        key.chmod(0o600)
        warehouse.set_server_url("http://127.0.0.1:1", str(key))
        info = holder(url)
        assert (info.url, info.token_file) == ("http://127.0.0.1:1", str(key))
        with pytest.raises(StoreInUseError, match="this process") as caught:
            open_warehouse(url)
        assert "http://127.0.0.1:1" in caught.value.hint
        warehouse.set_server_url("")
        assert holder(url).url == ""


def test_an_unreadable_lock_file_still_locks(url, tmp_path):
    lock = tmp_path / "store.lock"
    lock.write_text("not json")
    assert holder(url) is None
    with open_warehouse(url):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
        lock.write_text("{}")
        assert holder(url).pid == 0
        with pytest.raises(StoreInUseError, match="another process"):
            open_warehouse(url)


def test_one_process_has_one_embedded_store(url):
    other = url + "2"
    with open_warehouse(url), pytest.raises(StoreInUseError, match="already has"):
        open_warehouse(other)
    assert holder(other) is None
    open_warehouse(other).close()


def test_a_reader_does_not_make_a_store(url, tmp_path):
    with pytest.raises(ConfigError, match="no warehouse"):
        open_warehouse(url, readonly_ok=True)
    assert list(tmp_path.iterdir()) == []
    open_warehouse(url).close()
    open_warehouse(url, readonly_ok=True).close()


def test_importing_the_package_is_cheap():
    heavy = "chdb", "pyarrow", "clickhouse_connect", "pandas"
    code = textwrap.dedent(f"""
        import sys
        import polyhouse.warehouse
        print(*[name for name in {heavy!r} if name in sys.modules])
    """)
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == ""
