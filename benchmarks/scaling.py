"""Ledger rows to positions, units and totals at growing sizes: what a row costs must not grow with the store.

``python -m benchmarks.scaling 1000000 10000000 100000000``. Each size is a store of its own of as many copies of
1,000,000 fills; a copy has wallets, tokens, transactions and times of its own, so wallets, tokens and days grow with
the fills. One fill of a hundred belongs to the same wallet in every copy: the largest wallet grows, too. The ledger is
written in the order of wallets, as builds keep it. Steps that read prices and make metrics are not in it: the time of a
whole build is ``benchmarks.rebuild``'s.

CPU time of this process, its resident peak without the process that fills, bytes on disk; beside a plain
``GROUP BY wallet, token`` over the same rows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.measure import in_fresh_process, measured
from benchmarks.rebuild import _FLOOR

COPY = 1_000_000
_WALLETS, _CONDITIONS = 10_000, 2_510
_AS_OF = 1_790_000_000
_VERSION = 1
_STEP = 40_503
"""Prefixes of one copy's wallets lie so far behind those of the copy before (modulo 65,536): all are spread evenly."""
_BULK = (
    "SETTINGS max_block_size = 65505, min_insert_block_size_rows = 1000000, min_insert_block_size_bytes = 0,"
    " max_threads = 2, max_insert_threads = 1"
)
_NO_MERGES = "SYSTEM STOP MERGES ledger"
"""The ledger's parts do not overlap; merging them is no part of what is measured."""
_TARGETS = ("positions", "units", "wallet_totals")
_BESIDE = ("wallet_documents",)
"""Written with them: what readers of single wallets need of them."""


@dataclass(frozen=True, slots=True)
class Size:
    """What one size cost. CPU in seconds; ``steps``: of it, reading and folding, and valuing and storing."""

    fills: int
    positions: int
    cpu: float
    steps: tuple[float, float]
    floor: float
    peak_mb: float
    ledger_bytes: int
    model_bytes: int


def run(sizes: list[int]) -> Iterator[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the first size."""
    first: Size | None = None
    for fills in sizes:
        with tempfile.TemporaryDirectory() as folder:
            store = f"chdb://{folder}/warehouse"
            in_fresh_process(_fill, store, fills // COPY)
            size = in_fresh_process(_fold, store, fills // COPY * COPY)
        first = first or size
        yield from _rows(size, first)


def _rows(size: Size, first: Size) -> list[tuple[str, str, str]]:
    each, each_at_first = size.cpu / size.fills, first.cpu / first.fills
    read, valued = (seconds / size.fills * 1e6 for seconds in size.steps)
    return [
        (f"positions, units, totals of {size.fills:,} fills", f"{each * 1e6:.2f} µs CPU a fill",
         f"{each / each_at_first:.2f} × the first size, {size.cpu / size.floor:.1f} × the GROUP BY"),
        ("  of it: read and folded; valued and stored", f"{read:.2f}; {valued:.2f} µs CPU a fill",
         f"{size.positions:,} positions"),
        ("  peak memory; ledger and models on disk", f"{size.peak_mb:,.0f} MB",
         f"{size.ledger_bytes / size.fills:.0f} and {size.model_bytes / size.fills:.0f} bytes a fill"),
    ]  # fmt: skip


def _fold(store: str, fills: int) -> Size:
    from polyhouse.models.build import Build
    from polyhouse.models.pairs import FOLD_ROWS, fold_slice
    from polyhouse.models.steps.positions_step import build_positions
    from polyhouse.models.token_facts import load_tokens
    from polyhouse.warehouse import open_warehouse

    class Sized(Build):
        """A build of a store whose observations are not there: the ledger has as many rows."""

        def observations(self, scope: str) -> int:  # noqa: ARG002 - all of them
            return fills

    read = valued = 0.0
    with open_warehouse(store) as warehouse:
        warehouse.command(_NO_MERGES)
        with measured() as cost, warehouse.bulk():
            run = Sized(warehouse, None)
            run.write_beside(*_TARGETS, *_BESIDE)
            tokens = load_tokens(warehouse, "token_map")
            for wallets in run.slices(most=FOLD_ROWS):
                begun = time.process_time()
                pairs = fold_slice(run, wallets, tokens)
                folded = time.process_time()
                build_positions(run, wallets, pairs)
                read, valued = read + folded - begun, valued + time.process_time() - folded
        positions = warehouse.query("SELECT count() FROM positions__next").rows[0][0]
        with measured() as floor:
            warehouse.query(_FLOOR)
        return Size(
            fills, positions, cost.cpu, (read, valued), floor.cpu, cost.peak_mb,
            _bytes(warehouse, "ledger"), sum(_bytes(warehouse, f"{table}__next") for table in _TARGETS),
        )  # fmt: skip


def _bytes(warehouse, table: str) -> int:
    sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() AND table = "
    return warehouse.query(f"{sql} '{table}'").rows[0][0]


def _fill(store: str, copies: int) -> None:
    from polyhouse.warehouse import open_warehouse

    with open_warehouse(store) as warehouse:
        warehouse.command(_NO_MERGES)
        _write_tokens(warehouse, copies)
        _write_one_copy(warehouse)
        names = [
            name
            for (name,) in warehouse.query("SELECT name FROM system.columns WHERE table = 'one_copy'").rows
            if name not in {"wallet", "token", "tx", "ts"}
        ]
        edges = [65_536 * place // copies for place in range(copies + 1)]
        for low, high in pairwise(edges):
            # The rows of these prefixes, of every copy: for each copy another range of the table, along its key.
            parts = [_shifted(names, copy, _within(copy, low, high)) for copy in range(copies)]
            warehouse.command(
                f"INSERT INTO ledger (wallet, token, tx, ts, {', '.join(names)}) {' UNION ALL '.join(parts)} {_BULK}"
            )
        shared = [_shifted(names, copy, "row_key % 100 = 0", wallet="toFixedString('', 20)") for copy in range(copies)]
        for part in shared:
            warehouse.command(f"INSERT INTO ledger (wallet, token, tx, ts, {', '.join(names)}) {part} {_BULK}")
        warehouse.command("DROP TABLE one_copy")
        # What is known of the newest moment and the number of rows is asked of the observations.
        warehouse.command(
            f"INSERT INTO observations (wallet, kind, source, ts) VALUES ('', 'BUY', 'activity', {_AS_OF})"
        )


def _write_tokens(warehouse, copies: int) -> None:
    number, of_copy = f"number % {2 * _CONDITIONS}", f"intDiv(number, {2 * _CONDITIONS})"
    condition = f"SHA256(toString({of_copy} * {_CONDITIONS} + intDiv({number}, 2)))"
    categories = "['politics', 'sports', 'crypto', 'other']"
    warehouse.command(
        "INSERT INTO token_map (token, condition, outcome, category, question_index, resolved, numerator, denominator,"
        " resolved_ts, mark_e6, mark_ts, mark_source, version) SELECT"
        f" {_token(number, of_copy)}, {condition} AS c, number % 2, {categories}[sipHash64(c) % 4 + 1], 65535,"
        f" sipHash64(c) % 10 < 8 AS r, r AND number % 2 = 0, r, if(r, {_AS_OF}, 0), if(r, NULL, 500000), {_AS_OF},"
        f" 'fill', {_VERSION} FROM numbers({2 * _CONDITIONS * copies}) {_BULK}"
    )


def _token(number: str, copy: str) -> str:
    return (
        f"toFixedString(concat(substring(SHA256(toString({number})), 1, 28),"
        f" reinterpretAsFixedString(toUInt32({copy}))), 32)"
    )


def _write_one_copy(warehouse) -> None:
    """A hundred fills a wallet; wallets and tokens on a power law; two fifths sales."""
    chosen = f"rand(2) % toUInt32(1 + pow({2 * _CONDITIONS}, rand(5) / 4294967295.0))"
    warehouse.command("CREATE TABLE one_copy AS ledger")
    warehouse.command(
        "INSERT INTO one_copy (wallet, token, ts, pos, tx, row_key, kind, source, ds, du, volume, usdc_gross,"
        " shares_gross, version) SELECT"
        f" toFixedString(SHA1(toString(toUInt32(pow({_WALLETS}, rand(1) / 4294967295.0)))), 20),"
        f" {_token(chosen, '0')}, {_AS_OF} - 30000000 + number * 30, 1, toFixedString(SHA256(toString(number)), 32),"
        " number, if(rand(3) % 5 < 2, 'SELL', 'BUY') AS k, 'activity', if(k = 'SELL', -s, s), if(k = 'SELL', c, -c), c,"
        " c, s, 1"
        f" FROM (SELECT number, toInt64(1000000 + rand(4) % 100000000) AS s,"
        f" toInt64(s * (rand(6) % 1000000) / 1000000) AS c FROM numbers({COPY})) {_BULK}"
    )
    warehouse.command("OPTIMIZE TABLE one_copy FINAL")


def _within(copy: int, low: int, high: int) -> str:
    """Condition on the wallets of the copied table whose prefix lies in the range once they are shifted."""
    first, last = ((edge - copy * _STEP) % 65_536 for edge in (low, high - 1))
    bounds = f"wallet >= {_prefix(first)}", f"wallet < {_prefix(last + 1)}" if last < 65_535 else "1"
    joined = " AND " if first <= last else " OR "
    return f"row_key % 100 != 0 AND ({joined.join(bounds)})"


def _prefix(number: int) -> str:
    return f"toFixedString(unhex('{number:04x}'), 20)"


def _shifted(names: list[str], copy: int, condition: str, *, wallet: str = "") -> str:
    """One copy's rows of the copied table: other wallets, tokens, transactions and times."""
    prefix = f"(reinterpretAsUInt16(reverse(substring(wallet, 1, 2))) + {copy * _STEP}) % 65536"
    moved = f"reverse(reinterpretAsFixedString(toUInt16({prefix})))"
    own = f"toFixedString(concat({moved}, substring(wallet, 3, 16), {_number(copy, 2)}), 20)"
    return (
        f"SELECT {wallet or own} AS wallet,"
        f" toFixedString(concat(substring(token, 1, 28), {_number(copy, 4)}), 32) AS token,"
        f" toFixedString(SHA256(concat(tx, {_number(copy, 2)})), 32) AS tx, ts + {copy} AS ts, {', '.join(names)}"
        f" FROM one_copy WHERE {condition}"
    )


def _number(copy: int, size: int) -> str:
    return f"reinterpretAsFixedString(toUInt{8 * size}({copy}))"


if __name__ == "__main__":
    for line in run([int(text.replace("_", "")) for text in sys.argv[1:]] or [COPY, 4 * COPY]):
        print("{:<52} {:<28} {}".format(*line), flush=True)
