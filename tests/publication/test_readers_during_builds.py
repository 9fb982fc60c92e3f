"""Readers see one complete model set while builds are published, are broken, die and are undone."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyhouse.errors import BadInputError, InvariantBrokenError, PolyhouseError, WarehouseUnavailableError
from polyhouse.models import publication, runner
from polyhouse.models.build import PUBLISHED, Build
from polyhouse.models.checks import CheckResult, kept_results, newest_results
from polyhouse.models.publication import finish_publication, newest_build, publications
from polyhouse.models.runner import build
from polyhouse.ports import BuildWishes
from polyhouse.reads.snapshot import of_one_state
from polyhouse.serve.gauges import RequestCounter, exposition
from polyhouse.sync.reorg import wallets_to_rebuild
from polyhouse.sync.touched import rebuild, roll_back
from polyhouse.warehouse.store import ClickHouseWarehouse
from polyhouse.wiring import Stores

SUMS = (
    "SELECT sum(t.realized), max(version) FROM positions AS t FINAL",
    "SELECT sum(t.realized), max(version) FROM units AS t FINAL",
    (
        "SELECT sum(t.realized), max(version) FROM wallet_totals AS t FINAL WHERE category = 'overall'"
        " AND window = 'lifetime'"
    ),
    (
        "SELECT sum(t.realized), max(version) FROM wallet_totals AS t FINAL WHERE category != 'overall'"
        " AND window = 'lifetime'"
    ),
    "SELECT sum(d.realized), max(version) FROM wallet_days AS d FINAL WHERE category = 'overall'",
)
"""Each has the whole realised PnL and the build that wrote last; asked one after the other, as a document does."""


def sums(warehouse: ClickHouseWarehouse) -> list[tuple[int, int]]:
    return [(int(total), int(version)) for sql in SUMS for total, version in warehouse.query(sql).rows]


def largest(warehouse: ClickHouseWarehouse) -> bytes:
    """The wallet with the most positions."""
    sql = "SELECT wallet FROM positions GROUP BY wallet ORDER BY count() DESC, wallet LIMIT 1"
    return bytes(warehouse.query(sql).rows[0][0])


def content(warehouse: ClickHouseWarehouse) -> dict[str, int]:
    """A digest of what readers see of each table, but for the number of the build that wrote it."""
    found = {}
    for table in PUBLISHED:
        names = [name for (name,) in warehouse.query(f"SELECT name FROM system.columns WHERE table = '{table}'"
                 " AND database = currentDatabase() AND name NOT IN ('version', 'is_deleted')").rows]  # fmt: skip
        final = (
            "" if table in {"flag_levels", "category_specialists", "category_stats", "metric_catalogue"} else "FINAL"
        )
        sql = f"SELECT groupBitXor(sipHash64(tuple({', '.join(names)}))) FROM {table} {final}"
        found[table] = int(warehouse.query(sql).rows[0][0])
    return found


def earn(warehouse: ClickHouseWarehouse, cents: int, number: int) -> None:
    """The largest wallet bought once more, so that what it made is another sum."""
    (row,) = warehouse.query(
        "SELECT wallet, token, tx FROM observations WHERE kind = 'BUY' AND wallet ="
        " (SELECT wallet FROM positions GROUP BY wallet ORDER BY count() DESC, wallet LIMIT 1) ORDER BY ts LIMIT 1"
    ).rows
    warehouse.command(
        "INSERT INTO observations SELECT * REPLACE ({tx:FixedString(32)} AS tx, cash + {n:Int64} AS cash,"
        " 'activity' AS source, 0 AS block)"
        " FROM (SELECT * FROM observations WHERE wallet = {w:FixedString(20)} AND tx = {old:FixedString(32)}"
        " AND kind = 'BUY' LIMIT 1)",
        {"tx": number.to_bytes(32, "big"), "n": cents * 10_000, "w": bytes(row[0]), "old": bytes(row[2])},
    )


def test_sums_agree_at_every_moment_while_builds_are_published(stores: Stores) -> None:
    warehouse, over = stores.warehouse, threading.Event()
    seen: list[list[tuple[int, int]]] = []
    failed: list[PolyhouseError] = []

    def read() -> None:
        with warehouse.reader() as reader:
            while not over.is_set():
                try:
                    seen.append(of_one_state(reader, lambda: sums(reader)))
                except PolyhouseError as error:
                    failed.append(error)
                over.wait(0.05)  # the builds need the processor, too

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in (1, 2):
            earn(warehouse, number, number)
            build(warehouse, [largest(warehouse)] if number == 1 else None)
    finally:
        over.set()
        thread.join()
    assert failed == []
    for one in seen:
        assert len({total for total, _ in one}) == 1, one
        assert len({version for _, version in one}) == 1, one
    assert len({one[0][1] for one in seen}) >= 2, "the reader met several builds"


def test_a_read_that_meets_a_publication_is_made_again(stores: Stores) -> None:
    """Without the look before and after it would mix two builds."""
    warehouse = stores.warehouse
    earn(warehouse, 50, 50)
    tries: list[list[tuple[int, int]]] = []

    def read() -> list[tuple[int, int]]:
        first = sums(warehouse)[:2]
        if not tries:
            build(warehouse, [largest(warehouse)])
        tries.append(first + sums(warehouse)[2:])
        return tries[-1]

    found = of_one_state(warehouse, read)
    assert len({version for _, version in tries[0]}) == 2
    assert len(tries) == 2
    assert len(set(found)) == 1


def test_who_reads_slower_than_builds_come_is_told(stores: Stores) -> None:
    warehouse = stores.warehouse

    def read() -> None:
        with warehouse.changes.publishing():
            pass

    with pytest.raises(WarehouseUnavailableError, match="changed again and again"):
        of_one_state(warehouse, read)


def test_a_rebuild_is_rolled_back_and_forth(stores: Stores) -> None:
    warehouse, state = stores.warehouse, stores.state
    build(warehouse)
    before, shown = content(warehouse), newest_build(warehouse)
    earn(warehouse, 77, 77)
    build(warehouse)
    after = content(warehouse)
    assert before["positions"] != after["positions"]
    back = roll_back(warehouse, state)
    assert content(warehouse) == before
    assert (back.kind, back.restored) == ("rollback", shown)
    assert newest_build(warehouse) == back.build, "kept answers have another version"
    assert roll_back(warehouse, state).restored == back.replaced
    assert content(warehouse) == after
    assert [one.kind for one in publications(warehouse, limit=3)] == ["rollback", "rollback", "all"]


def test_a_small_build_after_a_rollback_is_right(stores: Stores) -> None:
    """Nobody names the wallet whose rows arrived between both builds, and it is built."""
    warehouse, state = stores.warehouse, stores.state
    roll_back(warehouse, state)
    assert largest(warehouse) in (wallets_to_rebuild(state) or [])
    rebuild(warehouse, state, [])
    assert wallets_to_rebuild(state) == []
    rebuilt = content(warehouse)
    build(warehouse, anew=True)
    assert {table for table, digest in content(warehouse).items() if digest != rebuilt[table]} == set()


def test_nothing_is_kept_where_the_settings_say_so(stores: Stores) -> None:
    warehouse = stores.warehouse
    usual = warehouse.build_wishes
    warehouse.build_wishes = BuildWishes(keeps_previous=False)
    try:
        build(warehouse)
    finally:
        warehouse.build_wishes = usual
    left = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND match(name, '__(next|previous)$')"
    assert warehouse.query(left).rows == [(0,)]
    with pytest.raises(BadInputError, match="no earlier build is kept"):
        roll_back(warehouse, stores.state)
    build(warehouse)


@pytest.mark.parametrize("done", [0, 7])
def test_who_was_killed_while_publishing_is_completed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    """The statement exchanges pair after pair: what is left of them is exchanged when the store is opened next."""
    warehouse = stores.warehouse
    earn(warehouse, 5, 1_000 + done)

    class KilledError(Exception):
        pass

    def killed(run: Build, *tables: str) -> None:
        if done:
            pairs = ", ".join(f"{table} AND {table}__next" for table in tables[:done])
            run.define(f"EXCHANGE TABLES {pairs}")
        raise KilledError

    monkeypatch.setattr(Build, "put_in_place", killed)
    with pytest.raises(KilledError):
        build(warehouse, [largest(warehouse)])
    monkeypatch.undo()
    pending = publications(warehouse, limit=1)[0]
    assert not pending.is_done
    assert newest_build(warehouse) < pending.build
    assert finish_publication(warehouse)
    assert not finish_publication(warehouse)
    assert newest_build(warehouse) == pending.build
    assert set(sums(warehouse)) == {sums(warehouse)[0]}
    assert sums(warehouse)[0][1] == pending.build


def broken_by(monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """A defect of ours: what stands beside is damaged before it is looked at."""
    real: Callable[[Build], list[CheckResult]] = runner.check_build

    def damaged(run: Build) -> list[CheckResult]:
        run.warehouse.command(damage.format(version=run.version))
        return real(run)

    monkeypatch.setattr(runner, "check_build", damaged)


DAY_TOO_MUCH = (
    "INSERT INTO wallet_days__next SELECT * REPLACE (realized + 1000000 AS realized, version + 1 AS version)"
    " FROM (SELECT * FROM wallet_days__next WHERE version = {version} ORDER BY wallet, category, day LIMIT 1)"
)


@pytest.mark.parametrize("everyone", [True, False])
def test_what_contradicts_itself_is_not_shown_and_the_rest_is(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, everyone: bool
) -> None:
    warehouse, state = stores.warehouse, stores.state
    wallet = largest(warehouse)
    earn(warehouse, 9, 2_000 + everyone)
    before = content(warehouse)
    broken_by(monkeypatch, DAY_TOO_MUCH)
    with pytest.raises(InvariantBrokenError) as told:
        rebuild(warehouse, state, None if everyone else [wallet])
    assert told.value.exit_code == 1
    assert "days_add_up" in str(told.value)
    assert "0x" in str(told.value)
    assert "not published: " in str(told.value)
    after = content(warehouse)
    held = publications(warehouse, limit=1)[0].held
    assert {"wallet_days", "wallet_metrics_complete", "wallet_metrics_by_category"} <= set(held)
    assert not {"ledger", "positions", "units", "wallet_totals", "token_map"} & set(held)
    assert {table for table in held if after[table] != before[table]} == set()
    assert after["positions"] != before["positions"]
    assert after["wallet_totals"] != before["wallet_totals"]
    (broken,) = [one for one in newest_results(warehouse) if not one.ok and one.occasion == "build"]
    assert (broken.name, broken.scope, broken.guards) == (
        "days_add_up", "all" if everyone else "touched", ("wallet_days",)
    )  # fmt: skip
    assert broken.examples[0].startswith("0x")
    noted = wallets_to_rebuild(state)
    assert noted is None if everyone else wallet in (noted or [])
    monkeypatch.undo()
    rebuild(warehouse, state, [])
    assert [one.name for one in newest_results(warehouse) if not one.ok] == []
    assert len({one.run for one in kept_results(warehouse, name="days_add_up")}) >= 2
    assert set(sums(warehouse)) == {sums(warehouse)[0]}


def test_a_broken_ledger_stops_everything_that_is_made_of_it(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse, state = stores.warehouse, stores.state
    before = content(warehouse)
    contract = "4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
    broken_by(
        monkeypatch,
        "INSERT INTO ledger__next SELECT * REPLACE (unhex('" + contract + "') AS wallet) FROM ledger__next LIMIT 1",
    )
    with pytest.raises(InvariantBrokenError, match=f"no_infrastructure_owner.*0x{contract}"):
        rebuild(warehouse, state, None)
    assert content(warehouse) | {"token_map": 0} == before | {"token_map": 0}
    monkeypatch.undo()
    rebuild(warehouse, state, None)


def test_told_only_where_the_settings_say_so(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse, state = stores.warehouse, stores.state
    usual = warehouse.build_wishes
    broken_by(monkeypatch, DAY_TOO_MUCH)
    try:
        warehouse.build_wishes = BuildWishes(checks="tell")
        with pytest.raises(InvariantBrokenError, match=r"days_add_up(?!.*not published)"):
            rebuild(warehouse, state, None)
        assert publications(warehouse, limit=1)[0].held == ()
        warehouse.build_wishes = BuildWishes(checks="off")
        number = rebuild(warehouse, state, [largest(warehouse)])[0].build
        assert not any(one.run == number for one in kept_results(warehouse))
    finally:
        warehouse.build_wishes = usual
    monkeypatch.undo()
    rebuild(warehouse, state, None)


def test_a_version_with_other_columns_is_not_rolled_back_to(stores: Stores) -> None:
    warehouse: Any = stores.warehouse
    build(warehouse)
    warehouse.command("ALTER TABLE units__previous ADD COLUMN extra UInt8")
    with pytest.raises(BadInputError, match="other columns"):
        publication.rollback(warehouse)


def test_gauges_tell_of_builds_checks_and_queues_and_all_are_documented(stores: Stores) -> None:
    build(stores.warehouse)
    text = exposition(stores.warehouse, stores.state, RequestCounter())
    assert "polyhouse_unbuilt_wallets 0" in text or "polyhouse_unbuilt_wallets -1" in text
    assert 'polyhouse_build_held_tables{kind="all"} 0' in text
    assert re.search(r'^polyhouse_model_step_duration_seconds\{step="metrics"\} \d+\.\d+', text, re.MULTILINE)
    assert re.search(r'^polyhouse_model_rows_written\{table="positions"\} [1-9]', text, re.MULTILINE)
    assert 'polyhouse_check_broken_rows{check="zero_sum"} 0' in text
    documented = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    names = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert {name for name in names if f"`{name}`" not in documented} <= {
        "polyhouse_upstream_errors", "polyhouse_upstream_throttled"
    }  # fmt: skip
    for sample in text.splitlines():
        assert sample.startswith("#") or re.fullmatch(r"\w+(\{[^}]*\})? -?[0-9.e+-]+", sample), sample
