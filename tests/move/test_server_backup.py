"""Backups of a warehouse on a server, by the server's own means, with the state store on PostgreSQL."""

from __future__ import annotations

import signal

import pytest
from clickhouse_endpoint import running_endpoint
from moved_stores import Home, fill_stores, state_rows, wallets_of

from polyhouse.errors import ConfigError
from polyhouse.move.backup import back_up
from polyhouse.move.restore import restore
from polyhouse.settings import Settings
from polyhouse.state import open_state
from polyhouse.warehouse import open_warehouse
from polyhouse.wiring import open_state_only

_DISK = """<clickhouse>
<storage_configuration><disks><backups><type>local</type><path>{folder}/</path></backups></disks></storage_configuration>
<backups><allowed_disk>backups</allowed_disk></backups>
</clickhouse>"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "disk").mkdir()
    (folder / "store.xml").write_text(_DISK.format(folder=folder / "disk"))
    with running_endpoint(folder / "store") as url:
        yield url


def test_a_server_is_backed_up_while_it_works_and_restored(server, postgres_url, tmp_path):
    home = Home(tmp_path / "home", server, postgres_url)
    fill_stores(home, 1, 2)
    with pytest.raises(ConfigError, match="needs the name of the server's disk"):
        back_up(server, postgres_url, tmp_path / "one")
    back_up(server, postgres_url, tmp_path / "one", disk="backups")
    state = state_rows(postgres_url)
    fill_stores(home, 3)
    manifest = back_up(server, postgres_url, tmp_path / "two", disk="backups", base=tmp_path / "one")
    assert manifest.tables["observations"] == 3
    assert [file.path for file in manifest.files] == ["state.db"]
    with open_warehouse(server) as warehouse:
        warehouse.command("INSERT INTO given_marks (token, version) SELECT unhex(repeat('01', 32)), 1")

    with open_state(postgres_url) as machine:
        run = machine.start_run("worker", {})
        machine.renew_leases()
        with pytest.raises(ConfigError, match=r"Somebody works on these stores: worker \("):
            restore(tmp_path / "one", server, postgres_url)
        machine.finish_run(run, "ok")
    killed = home.run("restore", str(tmp_path / "one"), "--force", failpoint="R3")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    settings = Settings(home=home.folder, warehouse=server, state=postgres_url)
    with pytest.raises(ConfigError, match="restore is going on"), open_state_only(settings):
        pass
    restore(tmp_path / "one", server, postgres_url)
    assert wallets_of(home) == [1, 2]
    assert state_rows(postgres_url) == state
    with open_warehouse(server) as warehouse:
        assert warehouse.query("SELECT count() FROM given_marks").rows == [(0,)], "it came after the backup"
        assert warehouse.query("SELECT count() FROM vw_observations").rows == [(2,)]
        databases = [name for (name,) in warehouse.query("SELECT name FROM system.databases").rows]
    assert not [name for name in databases if "restoring" in name]
    fill_stores(home, 4)
    restore(tmp_path / "two", server, postgres_url, force=True)
    assert wallets_of(home) == [1, 2, 3]
    fill_stores(home, 5)
    assert wallets_of(home) == [1, 2, 3, 5], "and PostgreSQL numbers new rows behind those that came back"
