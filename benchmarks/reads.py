"""Pages of leaderboards and documents of wallets, in process and warm, against the engine's floor: one row by its key.

Every page asks another question: another order, window or filter; orders were asked for before, with other filters.
Every document is that of another wallet.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import in_fresh_process, measured
from benchmarks.reads_store import POSITIONS, Wallets, reads_store

_WARM = 400


def run(fills: int, pages: int = 400, store: Path | None = None) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the floor.

    Args:
        fills: of the store.
        pages: that are timed, and twice as many as documents.
        store: folder in which the store is kept for the next time; None = it is made for this once.
    """
    if store is not None:
        return in_fresh_process(_reads, store, fills, pages)
    with tempfile.TemporaryDirectory() as folder:
        return in_fresh_process(_reads, Path(folder), fills, pages)


def _reads(folder: Path, fills: int, pages: int) -> list[tuple[str, str, str]]:
    from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard

    with reads_store(folder, fills) as (warehouse, wallets):
        started = time.perf_counter()
        leaderboard(warehouse, LeaderboardQuery())
        cold = time.perf_counter() - started
        asked = list(_questions(random.Random(1), pages))
        for query in asked:  # loads the columns and orders that the questions need
            leaderboard(warehouse, LeaderboardQuery(query.category, query.window, query.sort, reverse=query.reverse))
        floor = _timed([lambda n=n: _point(warehouse, wallets.address(n)) for n in range(pages)])
        with measured() as cost:
            page = _timed([lambda q=q: leaderboard(warehouse, q) for q in asked])
        follow = _timed(_following(warehouse, pages // 4))
        document, per_document = _documents(warehouse, wallets, pages // 2)
    return [
        (f"leaderboard page of 100, {wallets.count:,} wallets", _figures(page), _ratio(page, floor)),
        ("  any order and filter; CPU a page", f"{cost.cpu / pages * 1e3:.1f} ms", ""),
        ("  the next page by its cursor", _figures(follow), _ratio(follow, floor)),
        ("  the first page after a build", f"{cold * 1e3:.0f} ms", ""),
        ("wallet with everything", _figures(document), _ratio(document, floor)),
        ("  CPU a document", f"{per_document * 1e3:.1f} ms", ""),
        ("  floor: one row by its key", _figures(floor), ""),
    ]


def _questions(dice: random.Random, count: int):
    from polyhouse.reads.board_sorts import SORTS
    from polyhouse.reads.leaderboard import LeaderboardQuery

    for _ in range(count):
        yield LeaderboardQuery(
            category=dice.choice(["overall", "sports"]), window=dice.choice(["30d", "lifetime"]),
            sort=dice.choice([*SORTS, *["omega", "pnl", "roi", "win_rate"] * 20]), reverse=dice.random() < 0.1,
            min_trades=dice.choice([0, 0, dice.randrange(100), dice.randrange(100)]),
            min_pnl=dice.choice([None, None, "0", str(dice.randrange(1_500))]),
            min_win_rate=dice.choice([None, None, f"{dice.uniform(0.3, 0.6):.3f}"]),
            min_omega=dice.choice([None, None, f"{dice.uniform(0.8, 2):.3f}"]),
            active_within_days=dice.choice([None, None, dice.randrange(1, 50)]),
            preset=dice.choice([None, None, None, "copy_trading"]),
        )  # fmt: skip


def _documents(warehouse, wallets: Wallets, count: int) -> tuple[list[float], float]:
    """Times of ``count`` wallet documents as JSON text, and the processor time of one.

    Warm: others were asked for before, so that names of markets are known which many wallets hold.
    """
    from polyhouse.reads.exact import encode
    from polyhouse.reads.wallet import wallet

    chosen = random.Random(2).sample(range(wallets.count), k=_WARM + count)
    others, addresses = ([wallets.address(n) for n in part] for part in (chosen[:_WARM], chosen[_WARM:]))
    for other in others:
        assert len(wallet(warehouse, other, sync=None)["positions"]) == POSITIONS
    with measured() as cost:
        times = _timed([lambda a=a: encode(wallet(warehouse, a, sync=None)) for a in addresses])
    return times, cost.cpu / count


def _following(warehouse, count: int) -> list[Callable[[], object]]:
    from dataclasses import replace

    from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard

    query = LeaderboardQuery()
    state = {"cursor": leaderboard(warehouse, query)["next_cursor"]}

    def turn() -> None:
        state["cursor"] = leaderboard(warehouse, replace(query, cursor=state["cursor"]))["next_cursor"]

    return [turn] * count


def _point(warehouse, address: str) -> object:
    return warehouse.query(
        "SELECT realized, trades FROM wallet_totals FINAL WHERE wallet = toFixedString(unhex({wallet:String}), 20)"
        " AND category = 'overall' AND window = 'lifetime'",
        {"wallet": address[2:]},
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.reads")
    parser.add_argument("--fills", type=int, default=10_000_000)
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--store", type=Path, help="keep the store in this folder, and use the one that is there")
    options = parser.parse_args()
    for row in run(options.fills, options.pages, options.store):
        print("{:<46} {:<34} {}".format(*row), flush=True)


if __name__ == "__main__":
    main()
