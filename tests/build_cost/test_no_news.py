"""A run that found nothing builds nothing; whatever changes what models are made of ends that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from polyhouse.errors import InvariantBrokenError
from polyhouse.models.build import BY_WALLET, BuildReport
from polyhouse.models.runner import build
from polyhouse.state import StateStore, open_state
from polyhouse.sync import touched, unchanged
from polyhouse.sync.reorg import PENDING_NOTE, REBUILD_NOTE
from polyhouse.sync.touched import rebuild, rebuild_alone
from polyhouse.warehouse.store import ClickHouseWarehouse

_AGAIN = "INSERT INTO {0} SELECT * REPLACE (version + 1 AS version) FROM {0} FINAL LIMIT 1"
CHANGES = {
    "a row": _AGAIN.format("observations"),
    "a market": _AGAIN.format("markets"),
    "an event": _AGAIN.format("events"),
    "a token": _AGAIN.format("tokens"),
    "a payout": _AGAIN.format("resolutions"),
    "a mark": "INSERT INTO given_marks (token, mark_e6, version) SELECT token, 1, 1 FROM token_map FINAL LIMIT 1",
    "a mark taken back": "DELETE FROM given_marks WHERE true",
    "a price to be found anew": "INSERT INTO price_changes SELECT token, tx_key FROM priced_fills LIMIT 1",
}  # fmt: skip
"""What a store learns or forgets → how, here."""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateStore]:
    with open_state(f"sqlite:///{tmp_path_factory.mktemp('state')}/state.db") as opened:
        yield opened


def _builds(warehouse: ClickHouseWarehouse) -> int:
    return int(warehouse.query("SELECT uniqExact(build) FROM builds").rows[0][0])


def _adds(warehouse: ClickHouseWarehouse, state: StateStore) -> int:
    """How many builds are there after a run without news that were not there before."""
    before = _builds(warehouse)
    rebuild(warehouse, state, ())
    return _builds(warehouse) - before


def test_without_news_there_is_no_build(warehouse: ClickHouseWarehouse, state: StateStore) -> None:
    assert _adds(warehouse, state) == 1, "nobody knows yet what the build before was made of"
    seen = [warehouse.query(f"SELECT count(), max(version) FROM {table}").rows for table in BY_WALLET]
    assert _adds(warehouse, state) == 0
    report, named = rebuild(warehouse, state, ())
    assert (report.wallets, report.broken, report.held, named) == (0, (), (), [])
    assert [(report.build, report.as_of)] == warehouse.query(
        "SELECT build, as_of FROM builds ORDER BY build DESC LIMIT 1"
    ).rows
    assert [warehouse.query(f"SELECT count(), max(version) FROM {table}").rows for table in BY_WALLET] == seen


@pytest.mark.parametrize("what", CHANGES)
def test_every_source_is_news(warehouse: ClickHouseWarehouse, state: StateStore, what: str) -> None:
    warehouse.command("TRUNCATE TABLE price_changes")
    unchanged.note_made_of(warehouse, state, unchanged.made_of(warehouse))
    assert unchanged.is_unchanged(warehouse, state)
    warehouse.command(CHANGES[what])
    assert not unchanged.is_unchanged(warehouse, state)


def test_merging_what_is_stored_is_no_news(warehouse: ClickHouseWarehouse, state: StateStore) -> None:
    rebuild(warehouse, state, ())
    merge = "OPTIMIZE TABLE price_points FINAL"
    columns = "INSERT INTO price_points (token, ts, price_e6, version) SELECT"
    warehouse.command(f"{columns} toFixedString('a', 32), toDateTime(1, 'UTC'), 1, 1")
    warehouse.command(f"{columns} toFixedString('b', 32), toDateTime(1, 'UTC'), 1, 2")
    unchanged.note_made_of(warehouse, state, unchanged.made_of(warehouse))
    warehouse.command(merge)
    assert unchanged.is_unchanged(warehouse, state)


def test_what_was_left_undone_is_done(
    warehouse: ClickHouseWarehouse, state: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wallet that waits, rows of the chain nobody built, another build, other rules, a killed publication."""
    (wallet,) = warehouse.query("SELECT wallet FROM wallet_coverage LIMIT 1").rows[0]
    rebuild(warehouse, state, ())
    state.set_note(PENDING_NOTE, 1)
    assert not unchanged.is_unchanged(warehouse, state)
    state.set_note(PENDING_NOTE, None)
    assert unchanged.is_unchanged(warehouse, state)
    monkeypatch.setattr(unchanged, "rules", lambda: "others")
    assert not unchanged.is_unchanged(warehouse, state)
    monkeypatch.undo()
    warehouse.command(
        "INSERT INTO publications SELECT p.* REPLACE (0 AS is_done, 2 AS version) FROM publications AS p FINAL"
        " ORDER BY build DESC LIMIT 1"
    )
    assert not unchanged.is_unchanged(warehouse, state)
    state.set_note(REBUILD_NOTE, [bytes(wallet).hex()])
    assert _adds(warehouse, state) == 1
    assert unchanged.is_unchanged(warehouse, state)
    rebuild_alone(warehouse, state, [bytes(wallet)])
    assert not unchanged.is_unchanged(warehouse, state)


def test_a_build_that_broke_a_check_is_made_again_and_told_again(
    warehouse: ClickHouseWarehouse, state: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **options: Any) -> BuildReport:
        return replace(build(*arguments, **options), broken=("a sum is wrong",))

    with monkeypatch.context() as patched:
        patched.setattr(touched, "build", broken)
        state.set_note(unchanged.NOTE, None)
        for _ in range(2):
            with pytest.raises(InvariantBrokenError, match="a sum is wrong"):
                rebuild(warehouse, state, ())
    assert _adds(warehouse, state) == 1
    assert _adds(warehouse, state) == 0


def test_on_shards_nobody_can_tell(warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def opener() -> Any:
        raise AssertionError("nobody opens a shard to see whether there is one")

    monkeypatch.setattr(ClickHouseWarehouse, "shards", lambda _self: (opener,))
    assert unchanged.made_of(warehouse) == ""
