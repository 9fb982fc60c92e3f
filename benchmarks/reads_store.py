"""The store that ``benchmarks.reads`` asks: what a history of so many fills comes to at 100 fills a wallet.

Fills, positions and units of every wallet, totals in all windows, as a whole and in one category, all metrics, scores,
flags, intervals, and what a build leaves ready of each wallet. Rows are written in the order of their tables, as builds
write them. What documents read is merged at the end, as the engine does in its own time after a build; nothing else is,
nor is anything while the store is asked. 100,000,000 fills take 20 minutes of CPU and 27 GB, and 7 GB more while they
are merged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from polyhouse.models.build import Build
    from polyhouse.warehouse.store import ClickHouseWarehouse

AS_OF = 1_790_000_000
POSITIONS = 40
_FILLS = 100
_WALLETS_AT_ONCE = 50_000
_WINDOWS = "['1d', '7d', '30d', '90d', '180d', 'lifetime']"
_FLAGS = "['skilled', 'lucky', 'insider', 'bot', 'market_maker', 'wash_trader']"
_ID = "toFixedString(concat(sipHash128({0}), sipHash128({0}, 1)), 32)"


class Wallets:
    """So many addresses, evenly spread and ascending by their number."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._step = 2**32 // count
        self.sql = (
            f"toFixedString(concat(reinterpret(byteSwap(toUInt32(number * {self._step})), 'FixedString(4)'),"
            " substring(SHA1(toString(number)), 5)), 20)"
        )

    def address(self, number: int) -> str:
        """The address of a wallet by its number."""
        tail = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()[8:]
        return f"0x{number * self._step:08x}{tail}"


@contextmanager
def reads_store(folder: Path, fills: int) -> Iterator[tuple[ClickHouseWarehouse, Wallets]]:
    """The store in a folder, made there unless it is.

    Raises:
        ValueError: the folder has a store of another size, or one that was not made to its end, or that another version
            made, whose documents today's readers do not take.
    """
    from polyhouse.models.wallet_documents import FACTS
    from polyhouse.warehouse import open_warehouse

    wallets = Wallets(fills // _FILLS)
    with open_warehouse(f"chdb://{folder.resolve()}/warehouse") as warehouse:
        warehouse.command("SYSTEM STOP MERGES")
        if not warehouse.query("SELECT count() FROM wallet_totals").rows[0][0]:
            _fill(warehouse, wallets)
        built = warehouse.query("SELECT max(wallets) FROM builds").rows[0][0]
        if built != wallets.count:
            raise ValueError(f"{folder} has a store of {built} wallets, not of {wallets.count}: choose another folder")
        ready = warehouse.query("SELECT count() FROM wallet_documents WHERE part = {facts:String}", {"facts": FACTS})
        if ready.rows[0][0] != wallets.count:
            raise ValueError(f"another version left the documents in {folder}: choose another folder")
        yield warehouse, wallets


def _fill(warehouse: ClickHouseWarehouse, wallets: Wallets) -> None:
    from polyhouse.models.metric_tables import metric_columns, prepare_metric_tables

    prepare_metric_tables(warehouse)
    names = [name for name, kind in metric_columns().items() if "Float64" in kind]
    for first in range(0, wallets.count, _WALLETS_AT_ONCE):
        count = min(_WALLETS_AT_ONCE, wallets.count - first)
        everybody = f"(SELECT number AS w, {wallets.sql} AS wallet FROM numbers({first}, {count}))"
        for table, values, times in (*_totals(names), *_histories()):
            warehouse.command(
                f"INSERT INTO {table} SELECT {values} FROM {everybody} ARRAY JOIN range({times}) AS n"
                f" SETTINGS max_block_size = {65_505 // times + 1}, max_threads = 1"
            )
    for table, values, count in _of_all(wallets.count):
        warehouse.command(f"INSERT INTO {table} SELECT {values} FROM numbers({count})")
    _fill_documents(warehouse)
    for table in ("observations", "wallet_documents"):
        warehouse.command(f"SYSTEM START MERGES {table}")
        warehouse.command(f"OPTIMIZE TABLE {table} FINAL")
    warehouse.command(f"INSERT INTO builds VALUES (1, {AS_OF}, 'all', {wallets.count}, 1, 1, now())")


def _totals(metrics: list[str]) -> list[tuple[str, str, int]]:
    """Table with columns, their values by wallet ``w`` and row ``n`` of the wallet, and how many rows it has."""
    values = ", ".join(f"if(rand({n}) % 3 = 0, NULL, rand({n}) / 1e7) AS {name}" for n, name in enumerate(metrics))
    named = f"version, {', '.join(metrics)}"
    return [
        (("wallet_totals (wallet, category, window, realized, unrealized, fees, volume, trades, markets, wins, losses,"
          " flats, gains, losses_abs, bought_cost, last_trade_ts, version)"),
         (f"wallet, if(n < 6, 'overall', 'sports'), {_WINDOWS}[n % 6 + 1], rand(1) % 2000000000 - 900000000,"
          " rand(2) % 90000000 - 45000000, rand(3) % 9000000, rand(4), 20 + rand(5) % 200, rand(6) % 60, rand(7) % 60,"
          " rand(8) % 60, rand(9) % 3, rand(10) % 3000000000, rand(11) % 3000000000, rand(12) % 4000000000,"
          f" {AS_OF} - rand(13) % 5000000, 1"), 12),
        (f"wallet_metrics_complete (wallet, window, {named})", f"wallet, ['30d', 'lifetime'][n + 1], 1, {values}", 2),
        (f"wallet_metrics_by_category (wallet, category, window, {named})",
         f"wallet, 'sports', ['30d', 'lifetime'][n + 1], 1, {values}", 2),
    ]  # fmt: skip


def _histories() -> list[tuple[str, str, int]]:
    """The same of what is kept of each wallet besides totals and metrics."""
    id_ = _ID.format(f"n % {POSITIONS} + w * 7 % 5000")
    tx, ts = _ID.format(f"w * {_FILLS} + n"), f"toDateTime({AS_OF} - (w * {_FILLS} + n) % 4000000, 'UTC')"
    return [
        ("observations (wallet, token, tx, source, kind, ts, shares, cash, usdc_gross, version)",
         f"wallet, {id_}, {tx}, 'activity', 'BUY', {ts}, rand(1), rand(2), rand(2), 1", _FILLS),
        ("ledger (wallet, token, ts, tx, row_key, kind, source, ds, du, volume, version)",
         f"wallet, {id_}, {ts}, {tx}, w * {_FILLS} + n, 'BUY', 'activity', rand(1), -toInt64(rand(2)), rand(2), 1",
         _FILLS),
        ("positions (wallet, token, condition, category, shares, cost, realized, unrealized, status, version)",
         f"wallet, {id_}, {id_}, 'sports', rand(1), rand(2), rand(3), rand(4), 'OPEN', 1", POSITIONS),
        ("units (wallet, unit, conditions, category, realized, is_open, closed_ts, version)",
         f"wallet, {id_}, [{id_}], 'sports', rand(3), n % 2, {ts}, 1", POSITIONS),
        ("wallet_coverage (wallet, coverage, provisional, version)", "wallet, 'rest', [], 1", 1),
        ("wallet_scores_v1 (wallet, whale_tenths, volume, trades, wins, decided, insider_status, version)",
         "wallet, w % 101, rand(1), 100, 20, 40, 'OK', 1", 1),
        ("wallet_flags (wallet, flag, status, meets, value, threshold, p_value, sample, inputs, version)",
         (f"wallet, {_FLAGS}[n + 1], 'OK', (w * 6 + n) % 5 = 0, 0.5, 0.25, if(n < 3, rand(1) / 4294967296, NULL), 60,"
          " map('a', 0.5, 'b', 0.25), 1"), 6),
        ("wallet_intervals (wallet, category, window, bets, omega_low, omega_high, version)",
         "wallet, 'overall', ['30d', '90d', '180d', 'lifetime'][n + 1], 40, rand(1) / 1e9, rand(2) / 1e9, 1", 4),
    ]  # fmt: skip


def _of_all(wallets: int) -> list[tuple[str, str, int]]:
    """The same, by ``number``, of what is not of a wallet."""
    return [
        ("flag_levels (flag, p_upto, q_value, tests)",
         f"{_FLAGS}[number % 3 + 1], number / {wallets}, number / {wallets}, {wallets}", wallets),
        ("markets (condition, source, outcomes, version)", f"{_ID.format('number')}, 'gamma', ['Yes', 'No'], 1", 5_100),
    ]  # fmt: skip


def _fill_documents(warehouse: ClickHouseWarehouse) -> None:
    """What a build leaves ready of each wallet, made from the tables."""
    from polyhouse.models import wallet_documents as documents
    from polyhouse.models.build import Build
    from polyhouse.models.questions import OF_WALLET

    run = Build(warehouse, None)
    for wallets in run.slices():
        for name, part in documents.PACKED.items():
            run.insert_rows(
                f"SELECT wallet, '{name}' AS part, arrayStringConcat(groupArray({part.text})) AS part_bytes"
                f" {part.rest.replace(OF_WALLET, wallets)} GROUP BY wallet",
                documents.TABLE,
            )
        _write_metrics(run, wallets)
    documents.write_facts(run)


def _write_metrics(run: Build, wallets: str) -> None:
    import pyarrow as pa

    from polyhouse.models.metric_rows import MetricRows
    from polyhouse.models.metric_tables import metric_columns
    from polyhouse.models.wallet_documents import write_metrics

    names = ", ".join(metric_columns())
    sql = " UNION ALL ".join(
        f"SELECT wallet, {category} AS category, toString(window) AS window, {names} FROM {table} FINAL WHERE {wallets}"
        for table, category in (("wallet_metrics_complete", "'overall'"), ("wallet_metrics_by_category", "category"))
    )
    batches = list(run.query_columns(f"SELECT * FROM ({sql}) ORDER BY wallet, category, window"))
    rows = pa.Table.from_batches(batches).combine_chunks()
    columns: dict[str, Any] = {name: rows.column(name).combine_chunks() for name in rows.column_names}
    keys = {name: columns.pop(name) for name in ("wallet", "category", "window")}
    write_metrics(run, MetricRows(keys, np.ones(len(rows), bool), columns))
