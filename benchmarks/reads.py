"""Pages of leaderboards, in process and warm, against the engine's floor: one row of one wallet by its key.

The store holds what a history of so many fills comes to at 100 fills a wallet: totals of every wallet in all windows,
as a whole and in one category, and all metrics. Every page asks another question: another order, window or filter.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable

from benchmarks.measure import in_fresh_process, measured

_AS_OF = 1_790_000_000
_WINDOWS = "['1d', '7d', '30d', '90d', '180d', 'lifetime']"
_WALLET = "toFixedString(SHA1(toString({})), 20)"


def run(fills: int, pages: int = 400) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the floor."""
    return in_fresh_process(_reads, fills, pages)


def _reads(fills: int, pages: int) -> list[tuple[str, str, str]]:
    from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard
    from polyhouse.warehouse import open_warehouse

    wallets = fills // 100
    with tempfile.TemporaryDirectory() as folder, open_warehouse(f"chdb://{folder}/warehouse") as warehouse:
        _fill(warehouse, wallets)
        dice = random.Random(1)
        started = time.perf_counter()
        leaderboard(warehouse, LeaderboardQuery())
        cold = time.perf_counter() - started
        for query in _questions(dice, pages):
            leaderboard(warehouse, query)  # loads the columns that the questions need
        floor = _timed([lambda n=n: _point(warehouse, n) for n in range(pages)])
        with measured() as cost:
            page = _timed([lambda q=q: leaderboard(warehouse, q) for q in _questions(random.Random(1), pages)])
        follow = _timed(_following(warehouse, pages // 4))
    return [
        (f"leaderboard page of 100, {wallets:,} wallets", _figures(page), _ratio(page, floor)),
        ("  any order and filter; CPU a page", f"{cost.cpu / pages * 1e3:.1f} ms", ""),
        ("  the next page by its cursor", _figures(follow), _ratio(follow, floor)),
        ("  the first page after a build", f"{cold * 1e3:.0f} ms", ""),
        ("  floor: one row by its key", _figures(floor), ""),
    ]


def _questions(dice: random.Random, count: int):
    from polyhouse.reads.board_sorts import SORTS
    from polyhouse.reads.leaderboard import LeaderboardQuery

    for _ in range(count):
        yield LeaderboardQuery(
            category=dice.choice(["overall", "sports"]), window=dice.choice(["30d", "lifetime"]),
            sort=dice.choice([*SORTS, *["omega", "pnl", "roi", "win_rate"] * 20]), reverse=dice.random() < 0.1,
            min_trades=dice.choice([0, 0, 10, 50]), min_pnl=dice.choice([None, None, "0", "1000"]),
            min_win_rate=dice.choice([None, None, "0.5"]), min_omega=dice.choice([None, None, "1.5"]),
            active_within_days=dice.choice([None, None, 7]), preset=dice.choice([None, None, None, "copy_trading"]),
        )  # fmt: skip


def _following(warehouse, count: int) -> list[Callable[[], object]]:
    from dataclasses import replace

    from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard

    query = LeaderboardQuery()
    state = {"cursor": leaderboard(warehouse, query)["next_cursor"]}

    def turn() -> None:
        state["cursor"] = leaderboard(warehouse, replace(query, cursor=state["cursor"]))["next_cursor"]

    return [turn] * count


def _point(warehouse, number: int) -> object:
    return warehouse.query(
        f"SELECT realized, trades FROM wallet_totals FINAL WHERE wallet = {_WALLET.format('{n:UInt64}')}"
        " AND category = 'overall' AND window = 'lifetime'",
        {"n": number},
    )


def _timed(calls: list[Callable[[], object]]) -> list[float]:
    times = []
    for call in calls:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return sorted(times)


def _figures(times: list[float]) -> str:
    return f"p50 {statistics.median(times) * 1e3:.1f} ms, p99 {times[int(len(times) * 0.99) - 1] * 1e3:.1f} ms"


def _ratio(times: list[float], floor: list[float]) -> str:
    return f"{statistics.median(times) / statistics.median(floor):.1f} × the floor"


def _fill(warehouse, wallets: int) -> None:
    from polyhouse.models.metric_tables import metric_columns, prepare_metric_tables

    prepare_metric_tables(warehouse)
    warehouse.command(
        "INSERT INTO wallet_totals (wallet, category, window, realized, unrealized, fees, volume, trades, markets,"
        " wins, losses, flats, gains, losses_abs, bought_cost, last_trade_ts, version) SELECT"
        f" {_WALLET.format('intDiv(number, 12)')}, if(number % 2, 'overall', 'sports'),"
        f" {_WINDOWS}[intDiv(number, 2) % 6 + 1], rand(1) % 2000000000 - 900000000, rand(2) % 90000000 - 45000000,"
        " rand(3) % 9000000, rand(4), 20 + rand(5) % 200, rand(6) % 60, rand(7) % 60, rand(8) % 60, rand(9) % 3,"
        f" rand(10) % 3000000000, rand(11) % 3000000000, rand(12) % 4000000000, {_AS_OF} - rand(13) % 5000000, 1"
        f" FROM numbers({12 * wallets})"
    )
    names = [name for name, kind in metric_columns().items() if "Float64" in kind]
    values = ", ".join(f"if(rand({n}) % 3 = 0, NULL, rand({n}) / 1e7) AS {name}" for n, name in enumerate(names))
    for table, column, value in (
        ("wallet_metrics_complete", "", ""),
        ("wallet_metrics_by_category", "category, ", "'sports', "),
    ):
        warehouse.command(
            f"INSERT INTO {table} (wallet, {column}window, version, {', '.join(names)}) SELECT"
            f" {_WALLET.format('intDiv(number, 2)')}, {value}['30d', 'lifetime'][number % 2 + 1], 1, {values}"
            f" FROM numbers({2 * wallets})"
        )
    warehouse.command(f"INSERT INTO builds VALUES (1, {_AS_OF}, 'all', {wallets}, 1, 1, now())")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.reads")
    parser.add_argument("--fills", type=int, default=10_000_000)
    parser.add_argument("--pages", type=int, default=400)
    options = parser.parse_args()
    for row in run(options.fills, options.pages):
        print("{:<46} {:<34} {}".format(*row), flush=True)


if __name__ == "__main__":
    main()
