"""Pages of leaderboards and documents of wallets, in process and warm, against the engine's floor: one row by its key.

The store holds what a history of so many fills comes to at 100 fills a wallet: fills, positions and units of every
wallet, totals in all windows, as a whole and in one category, all metrics, scores, flags and intervals. Every page asks
another question: another order, window or filter. Every document is that of another wallet.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np

from benchmarks.measure import in_fresh_process, measured

_AS_OF = 1_790_000_000
_WINDOWS = "['1d', '7d', '30d', '90d', '180d', 'lifetime']"
_WALLET = "toFixedString(SHA1(toString({})), 20)"
_FILLS, _POSITIONS = 100, 40
_WARM = 400


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
        document, per_document = _documents(warehouse, wallets, pages // 2)
    return [
        (f"leaderboard page of 100, {wallets:,} wallets", _figures(page), _ratio(page, floor)),
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
            min_trades=dice.choice([0, 0, 10, 50]), min_pnl=dice.choice([None, None, "0", "1000"]),
            min_win_rate=dice.choice([None, None, "0.5"]), min_omega=dice.choice([None, None, "1.5"]),
            active_within_days=dice.choice([None, None, 7]), preset=dice.choice([None, None, None, "copy_trading"]),
        )  # fmt: skip


def _documents(warehouse, wallets: int, count: int) -> tuple[list[float], float]:
    """Times of ``count`` wallet documents as JSON text, and the processor time of one.

    Warm: others were asked for before, so that names of markets are known which many wallets hold.
    """
    import hashlib

    from polyhouse.reads.exact import encode
    from polyhouse.reads.wallet import wallet

    chosen = random.Random(2).choices(range(wallets), k=count)
    addresses = ["0x" + hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest() for number in chosen]
    for number in range(_WARM):
        other = "0x" + hashlib.sha1(f"{wallets - number - 1}".encode(), usedforsecurity=False).hexdigest()
        if other not in addresses:
            assert len(wallet(warehouse, other, sync=None)["positions"]) == _POSITIONS
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
    _fill_histories(warehouse, wallets)
    _fill_documents(warehouse)
    warehouse.command(f"INSERT INTO builds VALUES (1, {_AS_OF}, 'all', {wallets}, 1, 1, now())")


def _fill_histories(warehouse, wallets: int) -> None:
    """What is kept of each wallet besides totals and metrics."""
    token = f"toFixedString(SHA256(toString(number % {_POSITIONS} + {{}} * 7 % 5000)), 32)"
    of_fill, of_position = f"intDiv(number, {_FILLS})", f"intDiv(number, {_POSITIONS})"
    ts = f"toDateTime({_AS_OF} - number % 4000000, 'UTC')"
    condition = token.format(of_position)
    flags = "['skilled', 'lucky', 'insider', 'bot', 'market_maker', 'wash_trader']"
    rows = [
        ("observations (wallet, token, tx, source, kind, ts, shares, cash, usdc_gross, version)",
         (f"{_WALLET.format(of_fill)}, {token.format(of_fill)}, toFixedString(SHA256(toString(number)), 32),"
         f" 'activity', 'BUY', {ts}, rand(1), rand(2), rand(2), 1"), wallets * _FILLS),
        ("ledger (wallet, token, ts, tx, row_key, kind, source, ds, du, volume, version)",
         (f"{_WALLET.format(of_fill)}, {token.format(of_fill)}, {ts}, toFixedString(SHA256(toString(number)), 32),"
         " number, 'BUY', 'activity', rand(1), -toInt64(rand(2)), rand(2), 1"), wallets * _FILLS),
        ("positions (wallet, token, condition, category, shares, cost, realized, unrealized, status, version)",
         (f"{_WALLET.format(of_position)}, {condition}, {condition}, 'sports', rand(1), rand(2), rand(3), rand(4),"
         " 'OPEN', 1"), wallets * _POSITIONS),
        ("units (wallet, unit, conditions, category, realized, is_open, closed_ts, version)",
         f"{_WALLET.format(of_position)}, {condition}, [{condition}], 'sports', rand(3), number % 2, {ts}, 1",
         wallets * _POSITIONS),
        ("wallet_coverage (wallet, coverage, provisional, version)",
         f"{_WALLET.format('number')}, 'rest', [], 1", wallets),
        ("wallet_scores_v1 (wallet, whale_tenths, volume, trades, wins, decided, insider_status, version)",
         f"{_WALLET.format('number')}, number % 101, rand(1), 100, 20, 40, 'OK', 1", wallets),
        ("wallet_flags (wallet, flag, status, meets, value, threshold, p_value, sample, inputs, version)",
         (f"{_WALLET.format('intDiv(number, 6)')}, {flags}[number % 6 + 1], 'OK', number % 5 = 0, 0.5, 0.25,"
         " if(number % 6 < 3, rand(1) / 4294967296, NULL), 60, map('a', 0.5, 'b', 0.25), 1"), wallets * 6),
        ("wallet_intervals (wallet, category, window, bets, omega_low, omega_high, version)",
         (f"{_WALLET.format('intDiv(number, 4)')}, 'overall', ['30d', '90d', '180d', 'lifetime'][number % 4 + 1], 40,"
         " rand(1) / 1e9, rand(2) / 1e9, 1"), wallets * 4),
        ("flag_levels (flag, p_upto, q_value, tests)",
         f"{flags}[number % 3 + 1], number / {wallets}, number / {wallets}, {wallets}", wallets),
        ("markets (condition, source, outcomes, version)",
         "SHA256(toString(number)), 'gamma', ['Yes', 'No'], 1", 5_100),
    ]  # fmt: skip
    for table, values, count in rows:
        warehouse.command(f"INSERT INTO {table} SELECT {values} FROM numbers({count}) SETTINGS max_block_size = 65505")


def _fill_documents(warehouse) -> None:
    """What a build leaves ready of each wallet, made from the tables."""
    import pyarrow as pa

    from polyhouse.models import wallet_documents as documents
    from polyhouse.models.build import Build
    from polyhouse.models.metric_rows import MetricRows
    from polyhouse.models.metric_tables import metric_columns
    from polyhouse.models.questions import OF_WALLET

    run = Build(warehouse, None)
    for name, part in documents.PACKED.items():
        run.insert_rows(
            f"SELECT wallet, '{name}' AS part, arrayStringConcat(groupArray({part.text})) AS part_bytes"
            f" {part.rest.replace(OF_WALLET, '1')} GROUP BY wallet",
            documents.TABLE,
        )
    names = ", ".join(metric_columns())
    sql = " UNION ALL ".join(
        f"SELECT wallet, {category} AS category, toString(window) AS window, {names} FROM {table}"
        for table, category in (("wallet_metrics_complete", "'overall'"), ("wallet_metrics_by_category", "category"))
    )
    for part in range(16):
        where = f"WHERE reinterpretAsUInt8(substring(wallet, 1, 1)) % 16 = {part} ORDER BY wallet, category, window"
        rows = pa.Table.from_batches(list(warehouse.query_columns(f"SELECT * FROM ({sql}) {where}"))).combine_chunks()
        columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
        keys = {name: columns.pop(name) for name in ("wallet", "category", "window")}
        documents.write_metrics(run, MetricRows(keys, np.ones(len(rows), bool), columns))
    documents.write_facts(run)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.reads")
    parser.add_argument("--fills", type=int, default=10_000_000)
    parser.add_argument("--pages", type=int, default=400)
    options = parser.parse_args()
    for row in run(options.fills, options.pages):
        print("{:<46} {:<34} {}".format(*row), flush=True)


if __name__ == "__main__":
    main()
