"""The kept price history: the rule of a transaction's price, and that catching up equals making anew."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from score_store import OPEN, USD, columns, fill, load, market_tables, token

from polyhouse.models.build import Build
from polyhouse.models.checks import run_checks
from polyhouse.models.price_columns import (
    complements_of,
    day_marks,
    last_of_each,
    load_closes,
    load_prices,
    second_prices,
)  # fmt: skip
from polyhouse.models.steps import price_history_step
from polyhouse.models.steps.price_history_step import keep_prices
from polyhouse.ports import Warehouse
from polyhouse.state import open_state
from polyhouse.sync.reorg import remove_from

Row = dict[str, Any]
BEST = {"chain": 3, "trades": 2, "activity": 1}
DAY = 86_400


def history(warehouse: Warehouse) -> Counter[tuple[Any, ...]]:
    """The kept prices; transactions of one place and price are told apart by nothing but their number."""
    rows = warehouse.query(
        "SELECT token, toUnixTimestamp(ts), toString(source), block, tx_index, pos, price_e6 FROM token_prices FINAL"
    ).rows
    return Counter((bytes(row[0]), *row[1:]) for row in rows)


def keep(warehouse: Warehouse) -> Counter[tuple[Any, ...]]:
    """The prices after a build, beside which the last ones of days were kept."""
    keep_prices(Build(warehouse, None))
    prices = history(warehouse)
    days = warehouse.query(
        "SELECT token, toUnixTimestamp(ts), 'fill', block, tx_index, pos, price_e6, toUInt16(day) FROM token_days FINAL"
    ).rows
    assert Counter((bytes(row[0]), *row[1:]) for row in days) == closes_of(prices)
    return prices


def closes_of(prices: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """The rule of the last price of a day; of equal places the higher price counts."""
    last: dict[tuple[bytes, int], tuple[Any, ...]] = {}
    for row in prices:
        if row[2] == "fill":
            day = row[0], row[1] // DAY
            last[day] = max(last.get(day, ()), row)
    return Counter((*row, day) for (_, day), row in last.items())


def anew(warehouse: Warehouse) -> Counter[tuple[Any, ...]]:
    warehouse.command("TRUNCATE TABLE price_builds")
    return keep(warehouse)


def rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def plain(rows: list[Row]) -> Counter[tuple[Any, ...]]:
    """The rule, one transaction at a time."""
    groups: defaultdict[tuple[bytes, bytes], list[Row]] = defaultdict(list)
    for row in rows:
        if row["kind"] in {"BUY", "SELL"} and row["shares"] > 0 and not row.get("label"):
            groups[row["token"], row["tx"]].append(row)
    found: Counter[tuple[Any, ...]] = Counter()
    for (name, _), fills in groups.items():
        if len({one["wallet"] for one in fills}) == 1 and len({one["kind"] for one in fills}) == 2:
            continue
        place, price = max((_place(one), _price(one)) for one in fills)
        if price >= 0:
            found[(name, place[1], "fill", *place[2:], price)] += 1
    return found


def _place(row: Row) -> tuple[int, ...]:
    return (
        BEST.get(row["source"], 0), row["ts"], row.get("block", 0), row.get("tx_index", 0), row["pos"],
    )  # fmt: skip


def _price(row: Row) -> int:
    printed = row.get("price_e12", 0)
    if printed > 0 and printed % 1_000_000 != 500_000:
        return rounded(printed, 1_000_000)
    shares = row["shares_gross"] - row.get("refund_shares", 0)
    return rounded((row["usdc_gross"] - row.get("refund_usdc", 0)) * 1_000_000, shares) if shares > 0 else -1


def crowd(seed: int, count: int) -> list[Row]:
    """Fills of few wallets, tokens, transactions and seconds, so that everything collides."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        row = fill(
            chance.randint(1, 4), chance.choice((0, 0.5, 30, 31)), chance.randint(1, 9), chance.randint(1, 99),
            outcome=chance.randint(0, 1), kind=chance.choice(("BUY", "SELL")), tx=chance.randint(1, count // 3),
        )  # fmt: skip
        source = chance.choice(("chain", "trades", "activity", "dump"))
        on_chain = {"block": 1_000 + chance.randint(0, 3), "tx_index": chance.randint(0, 2), "pos": number}
        rows.append(
            row
            | {"source": source, "pos": chance.randint(0, 3), "ordinal": number}
            | (on_chain if source == "chain" else {})
            | chance.choice(({}, {}, {"price_e12": 123_456_500_000}, {"price_e12": 777_777_654_321}))
            | chance.choice(({}, {}, {}, {"refund_shares": row["shares"]}, {"refund_usdc": 1}))
        )
    return rows


def filled(rows: list[Row]) -> dict[str, list[Any]]:
    names = {name for row in rows for name in row}
    zeros: Row = dict.fromkeys(names, 0)
    return columns(zeros | row for row in rows)


@pytest.mark.parametrize("seed", range(3))
def test_every_transaction_has_the_price_of_the_rule(warehouse: Warehouse, seed: int) -> None:
    rows = crowd(seed, 300)
    load(warehouse, {"observations": filled(rows)})
    assert keep(warehouse) == plain(rows)
    assert len(plain(rows)) > 50


def test_catching_up_equals_making_anew(warehouse: Warehouse) -> None:
    """Whatever arrives when, and whichever source tells of a transaction later."""
    rows = crowd(7, 600)
    sent = 0
    for until in (200, 230, 231, 231, 400, 600):
        if until > sent:
            load(warehouse, {"observations": filled(rows[sent:until])})
        before = warehouse.query("SELECT count() FROM token_prices").rows[0][0]
        assert keep(warehouse) == plain(rows[:until])
        if until == sent:
            assert warehouse.query("SELECT count() FROM token_prices").rows[0][0] == before, "nothing new, no row"
        sent = until
    caught_up = history(warehouse)
    assert anew(warehouse) == caught_up


def test_rows_of_files_are_found_although_their_versions_are_old(warehouse: Warehouse) -> None:
    rows = crowd(9, 300)
    load(warehouse, {"observations": filled(rows[:280])})
    keep(warehouse)
    late = filled(rows[280:])
    load(warehouse, {"observations": late})
    warehouse.command("OPTIMIZE TABLE observations FINAL")
    assert keep(warehouse) == plain(rows)
    names = ", ".join(late)
    warehouse.command(
        f"INSERT INTO observations ({names}, version) SELECT * REPLACE (reverse(tx) AS tx), 3 FROM"
        f" (SELECT {names} FROM observations FINAL WHERE source = 'dump' LIMIT 20)"
    )
    grown = keep(warehouse)
    assert grown > plain(rows)
    assert anew(warehouse) == grown


def test_other_rules_make_everything_anew(warehouse: Warehouse) -> None:
    rows = crowd(3, 200)
    load(warehouse, {"observations": filled(rows)})
    keep(warehouse)
    warehouse.command("ALTER TABLE price_builds UPDATE rules = 'older' WHERE 1 SETTINGS mutations_sync = 2")
    warehouse.command("ALTER TABLE token_prices UPDATE price_e6 = 5 WHERE 1 SETTINGS mutations_sync = 2")
    assert keep(warehouse) == plain(rows)


def test_abandoned_blocks_leave_the_price_of_what_remains(warehouse: Warehouse, tmp_path: Any) -> None:
    """Where the chain spoke for a transaction, another source may take over."""
    rows = crowd(5, 600)
    load(warehouse, {"observations": filled(rows)})
    assert keep(warehouse) == plain(rows)
    with open_state(f"sqlite:///{tmp_path}/state.db") as state:
        remove_from(warehouse, state, 1, 1_002, OPEN, "fork")
    left = [row for row in rows if row.get("block", 0) < 1_002]
    assert plain(left) != plain(rows)
    assert keep(warehouse) == plain(left)
    assert anew(warehouse) == plain(left)


def test_a_history_that_strayed_is_told(warehouse: Warehouse) -> None:
    load(warehouse, {"observations": filled(crowd(2, 100))})
    keep(warehouse)

    def broken() -> int:
        return next(check.broken for check in run_checks(warehouse) if check.name == "prices_follow_the_fills")

    assert broken() == 0
    warehouse.command(
        "INSERT INTO token_prices SELECT * REPLACE (price_e6 + 1 AS price_e6, version + 1 AS version)"
        " FROM token_prices FINAL ORDER BY token LIMIT 1"
    )
    assert broken() == 2, "one that should not be, and one that is missing"
    load(warehouse, {"observations": columns([fill(9, 40, 1, 10)])})
    assert broken() == 0, "nothing is told while rows wait for a build"


def test_days_follow_what_a_killed_build_wrote(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had found the prices and buried one, and died before it looked at their days."""
    rows = crowd(3, 300)
    load(warehouse, {"observations": filled(rows[:290])})
    before = keep(warehouse)
    load(warehouse, {"observations": filled(rows[290:])})
    token_of, tx_key = warehouse.query(
        "SELECT token, tx_key FROM token_prices FINAL WHERE source = 'fill' ORDER BY ts DESC, price_e6 DESC LIMIT 1"
    ).rows[0]
    gone = f"token = unhex('{bytes(token_of).hex()}') AND sipHash64(tx) = {tx_key}"
    for table, condition in (("observations", gone), ("priced_fills", gone.replace("sipHash64(tx)", "tx_key"))):
        warehouse.command(f"DELETE FROM {table} WHERE {condition}")
    warehouse.command(f"INSERT INTO price_changes VALUES (unhex('{bytes(token_of).hex()}'), {tx_key})")
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(price_history_step, "_catch_up_days", _die)
        keep_prices(Build(warehouse, None))
    after = keep(warehouse)
    assert before - after, "one price is gone"
    assert after - before, "and others came"


def _die(_run: Build) -> None:
    raise KeyboardInterrupt


def points(*rows: tuple[int, int, int, int]) -> dict[str, list[Any]]:
    names = ("outcome", "ts", "seconds", "price")
    given = [dict(zip(names, row, strict=True)) for row in rows]
    return {
        "token": [token(1, row["outcome"]) for row in given], "resolution_seconds": [row["seconds"] for row in given],
        "ts": [OPEN + row["ts"] for row in given], "source": ["clob"] * len(given),
        "price_e6": [row["price"] for row in given],
    }  # fmt: skip


def test_published_points_stand_where_nobody_traded(warehouse: Warehouse) -> None:
    hour = 3_600
    load(warehouse, {"observations": columns([fill(1, 2, 10, 500)])})  # at 2 h, for 0.50
    load(
        warehouse,
        {"price_points": points(
            (0, hour, hour, 400_000), (0, 2 * hour, hour, 450_000), (0, 3 * hour - 1, hour, 460_000),
            (0, 3 * hour, hour, 470_000), (0, 3 * hour, 600, 475_000), (1, 2 * hour, hour, 600_000),
        )},
    )  # fmt: skip

    def pointed() -> dict[tuple[int, int], int]:
        return {(row[0][0] - token(1, 0)[0], row[1] - OPEN): row[6] for row in history(warehouse) if row[2] == "point"}

    keep(warehouse)
    wanted = {(0, hour): 400_000, (0, 3 * hour): 475_000, (1, 2 * hour): 600_000}
    assert pointed() == wanted
    load(warehouse, {"observations": columns([fill(2, 0.5, 10, 300), fill(3, 2, 10, 600, outcome=1)])})
    keep(warehouse)
    assert pointed() == {(0, 3 * hour): 475_000}, "fills win, whenever they arrive"
    load(warehouse, {"price_points": points((0, 5 * hour, hour, 480_000))})
    caught_up = keep(warehouse)
    assert pointed() == {(0, 3 * hour): 475_000, (0, 5 * hour): 480_000}
    assert anew(warehouse) == caught_up


@pytest.mark.parametrize("seed", [1, 2])
def test_prices_of_seconds_and_days_from_columns(warehouse: Warehouse, seed: int) -> None:
    """What the columns answer equals the definition on the rows."""
    rows = crowd(seed, 400)
    load(warehouse, market_tables() | {"observations": filled(rows)})
    told = [(name[0] - token(1, 0)[0], *rest) for name, *rest in keep(warehouse).elements()]
    prices = load_prices(warehouse, "1")
    outcome = prices.tokens[:, 0].astype(np.int64) - token(1, 0)[0]
    seconds: dict[int, tuple[int, ...]] = {}
    closes: dict[tuple[int, int], tuple[int, ...]] = {}
    for side, ts, _, block, tx_index, pos, price in told:
        first = price if side == 0 else USD - price
        seconds[ts] = max(seconds.get(ts, (-1,)), (block, tx_index, pos, price, -side, first))
        closes[side, ts // DAY] = max(closes.get((side, ts // DAY), (-1,)), (ts, block, tx_index, pos, price))
    keys, first = second_prices(prices, np.full(2, 6), outcome)
    assert dict(zip((keys - (6 << 32)).tolist(), first.tolist(), strict=True)) == {
        ts: rank[-1] for ts, rank in sorted(seconds.items())
    }
    last = load_closes(warehouse, "1")
    assert last.tokens.tolist() == prices.tokens.tolist()
    marks = day_marks(last, outcome, complements_of(np.array([4, 4]), np.array([0, 1])))
    got = dict(zip(zip(marks.token.tolist(), marks.day.tolist(), strict=True), marks.price.tolist(), strict=True))
    wanted: dict[tuple[int, int], tuple[int, ...]] = {}
    for (side, day), (*place, price) in closes.items():
        for of, is_own, value in ((side, 1, price), (1 - side, 0, USD - price)):
            wanted[of, day] = max(wanted.get((of, day), (-1,)), (*place, is_own, value))
    assert got == {key: rank[-1] for key, rank in wanted.items()}


def test_the_last_of_each_key() -> None:
    chance = np.random.default_rng(1)
    for count in (0, 1, 2, 50, 2_000):
        key, low, high = (chance.integers(0, 12, count) for _ in range(3))
        got = last_of_each(key, low, high)
        assert key[got].tolist() == sorted(set(key.tolist()))
        for place in got.tolist():
            same = np.flatnonzero(key == key[place])
            assert (low[place], high[place]) == max(zip(low[same], high[same], strict=True))
