"""The coverage ledger: intervals, holes, overlaps, lost logs."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from chain_world import serve, state_in, sync, universe
from hypothesis import given
from hypothesis import strategies as st

from polyhouse.domain.ids import format_address
from polyhouse.sim.runner import ServerThread
from polyhouse.sync.chain import cells
from polyhouse.sync.coverage import holes, lost, merged, overlaps, run_coverage_checks, without
from polyhouse.sync.store_checks import wallets_are_registered
from polyhouse.sync.verify import register_all
from polyhouse.warehouse import open_warehouse

intervals = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=8
)


def blocks(found: Any) -> set[int]:
    return {block for first, last in found for block in range(first, last + 1)}


@given(intervals, intervals)
def test_intervals_are_sets_of_blocks(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    assert blocks(merged(one)) == blocks(one)
    assert all(last + 1 < first for (_, last), (first, _) in zip(merged(one), merged(one)[1:], strict=False))
    assert blocks(without(one, other)) == blocks(one) - blocks(other)


@given(intervals, st.integers(1, 20))
def test_cells_hold_every_block_once(wanted: list[tuple[int, int]], span: int) -> None:
    found = cells(merged(wanted), span)
    assert sorted(block for _, parts in found for block in blocks(parts)) == sorted(blocks(wanted))
    assert len({key for key, _ in found}) == len(found)
    for key, parts in found:
        assert {block // span * span for block in blocks(parts)} == {int(key)}


def test_what_check_says(tmp_path: Path) -> None:
    def cover(group: str, first: int, last: int, rows: int) -> None:
        columns = {
            "source": ["chain"], "contract_group": [group], "from_block": [first], "to_block": [last], "rows": [rows]
        }  # fmt: skip
        warehouse.write("coverage", columns, run=1, token=f"{group}{first}")

    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        assert run_coverage_checks(warehouse) == []
        logs = [(5, 0, "ledger"), (5, 1, "registry"), (12, 0, "unknown"), (20, 0, "quarantine")]
        warehouse.write(
            "chain_logs",
            {
                "block": [log[0] for log in logs], "log_index": [log[1] for log in logs],
                "status": [log[2] for log in logs],
            },
            run=1,
            token="logs",
        )  # fmt: skip
        cover("registry", 0, 20, 1)
        cover("ledger", 0, 9, 2)
        cover("ledger", 10, 15, 2)  # one of its two logs was lost
        cover("ledger", 14, 16, 0)
        cover("ledger", 19, 20, 1)
        assert holes(warehouse) == {"registry": [], "ledger": [(17, 18)]}
        assert overlaps(warehouse) == [("ledger", (14, 16))]
        assert lost(warehouse) == [("ledger", (10, 15))]
        found = {check.name: check for check in run_coverage_checks(warehouse)}
        assert {name: check.broken for name, check in found.items()} == {
            "chain_has_no_holes": 1, "chain_is_read_once": 1, "chain_logs_are_stored": 1, "chain_logs_are_known": 1,
            "chain_logs_are_booked": 1,
        }  # fmt: skip
        assert "ledger 17–18" in found["chain_has_no_holes"].detail


async def test_blocks_are_covered_only_if_the_registry_knows_whose_rows_they_hold(tmp_path: Path) -> None:
    """Covered blocks are not read again, so a wallet that is missing then would be missing for ever."""
    simulated = serve(universe(wallets=6, fills=60))
    with (
        ServerThread(simulated),
        open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse,
        state_in(tmp_path) as state,
    ):
        file = sqlite3.connect(tmp_path / "state.db")
        refused = "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
        file.execute(f"CREATE TRIGGER nobody BEFORE INSERT ON wallets {refused}")
        cut = await sync(warehouse, state, simulated.rpc_urls)
        file.execute("DROP TRIGGER nobody")
        file.close()
        assert cut.status != "ok"
        assert (await sync(warehouse, state, simulated.rpc_urls)).status == "ok"
        rows = warehouse.query("SELECT DISTINCT wallet FROM observations").rows
        assert {bytes(wallet) for (wallet,) in rows} == set(state.wallet_addresses()) != set()
        assert wallets_are_registered(warehouse, state).ok
        lost_one, *_ = state.wallet_addresses()
        file = sqlite3.connect(tmp_path / "state.db")
        file.execute("DELETE FROM wallets WHERE address = ?", (lost_one,))
        file.commit()
        file.close()
        found = wallets_are_registered(warehouse, state)
        assert (found.ok, found.broken, found.examples) == (False, 1, (format_address(lost_one),))
        assert register_all(warehouse, state) == 1
        assert wallets_are_registered(warehouse, state).ok
