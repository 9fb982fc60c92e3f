"""What the chain's logs mean can be derived again from what is stored: no node, the same rows, no leftovers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chain_world import RAW, dump, dump_models, engine_of, serve, state_in, sync, universe, write_events

from polyhouse.cli.app import run_command_line
from polyhouse.models.runner import build
from polyhouse.state import StateStore
from polyhouse.sync import stored_logs
from polyhouse.sync.chain_again import derive_again
from polyhouse.sync.coverage import run_coverage_checks
from polyhouse.sync.reorg import wallets_to_rebuild
from polyhouse.sync.report import RunReport
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")

DERIVED = {name: columns for name, columns in RAW.items() if name != "chain_logs"}


@pytest.fixture(scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    world = universe(seed=3, wallets=16, fills=250)
    async with serve(world) as server:
        with open_warehouse(f"chdb://{folder}/warehouse") as warehouse, state_in(folder) as state:
            write_events(warehouse, world)
            report = await sync(warehouse, state, server.rpc_urls)
            assert report.status == "ok", report.errors
            build(warehouse)
    return folder


async def again(warehouse: ClickHouseWarehouse, state: StateStore) -> RunReport:
    return await engine_of(warehouse, state).perform("sync chain --from-store", {}, derive_again)


async def test_rows_that_were_wiped_come_back_identical(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small pieces: blocks are never cut, wherever a piece ends.
    monkeypatch.setattr(stored_logs.stored_logs, "__kwdefaults__", {"where": "1", "params": None, "size": 37})
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse, state_in(home) as state:
        want = dump(warehouse, RAW), dump_models(warehouse)
        assert len(want[0]["observations"]) > 250
        for table in DERIVED:
            warehouse.command(f"TRUNCATE TABLE {table}")
        write_events(warehouse, universe(seed=3, wallets=16, fills=250))
        report = await again(warehouse, state)
        assert (report.status, report.errors) == ("ok", [])
        assert report.counts["logs"] == len(want[0]["chain_logs"])
        assert wallets_to_rebuild(state) is None, "everybody has to be rebuilt"
        build(warehouse)
        assert dump(warehouse, RAW) == want[0]
        assert dump_models(warehouse) == want[1]
        assert [check for check in run_coverage_checks(warehouse) if not check.ok] == []


async def test_what_a_rule_does_not_say_any_more_is_taken_out(home: Path) -> None:
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse, state_in(home) as state:
        want = dump(warehouse, DERIVED)
        ((block,),) = warehouse.query("SELECT median(block) FROM chain_logs").rows
        wrong: dict[str, list[Any]] = {
            "wallet": [b"\x01" * 20] * 2, "token": [b"\x02" * 32] * 2, "condition": [b"\x03" * 32] * 2,
            "tx": [b"\x04" * 32] * 2, "source": ["chain", "activity"], "kind": ["BUY"] * 2, "ts": [1_700_000_000] * 2,
            "block": [int(block), 0], "pos": [1, 1], "shares": [5] * 2, "cash": [3] * 2,
        }  # fmt: skip
        outside = {name: values[:1] for name, values in wrong.items()} | {"block": [10], "tx": [b"\x05" * 32]}
        warehouse.write("observations", wrong, run=1, token="wrong")
        warehouse.write("observations", outside, run=1, token="outside")
        # A log that an older registry did not know, and an event that it called otherwise.
        warehouse.command(
            "INSERT INTO chain_logs SELECT * REPLACE ('' AS event, 'unknown' AS status, version + 1 AS version)"
            " FROM (SELECT * FROM chain_logs FINAL WHERE event = 'PositionSplit')"
        )
        report = await again(warehouse, state)
        assert (report.status, report.counts["removed"]) == ("ok", 1)
        assert report.counts["renamed_kinds"] >= 1
        assert [check for check in run_coverage_checks(warehouse) if not check.ok] == []
        # Rows of other sources and of blocks that were never read stay.
        left = warehouse.query(
            "SELECT toString(source), block FROM observations FINAL WHERE wallet = unhex(repeat('01', 20))"
        )
        assert sorted(left.rows) == [("activity", 0), ("chain", 10)]
        warehouse.command("DELETE FROM observations WHERE wallet = unhex(repeat('01', 20))")
        assert dump(warehouse, DERIVED) == want


async def test_missing_logs_are_refused_and_nothing_changes(home: Path) -> None:
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse, state_in(home) as state:
        warehouse.command("CREATE TABLE kept AS chain_logs")
        warehouse.command("INSERT INTO kept SELECT * FROM chain_logs")
        warehouse.command("DELETE FROM chain_logs WHERE block = (SELECT max(block) FROM kept)")
        want = dump(warehouse, DERIVED)
        report = await again(warehouse, state)
        assert report.status == "failed"
        assert "logs are missing" in report.errors[0]
        assert dump(warehouse, DERIVED) == want
        warehouse.command("TRUNCATE TABLE chain_logs")
        warehouse.command("INSERT INTO chain_logs SELECT * FROM kept")
        warehouse.command("DROP TABLE kept")


def test_the_command_needs_no_node(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def call(folder: Path, *more: str) -> int:
        return run_command_line(["sync", "chain", "--from-store", "--home", str(folder), *more])

    assert call(home, "--json") == 0
    assert '"status":"ok"' in capsys.readouterr().out
    assert call(home, "--follow", "2") == 2
    assert call(home / "empty") == 2
    assert "no logs of the chain are stored" in capsys.readouterr().err
