"""Builds of everything over four shards against the same rows in one engine: CPU seconds of each shard.

``python -m benchmarks.shards 1000000`` prints a row per shard and its ratio, for a first build and for a rebuild of
what is stored. Each shard is a process with an embedded engine that builds its own wallets; what the others ask of it
they ask over HTTP. The single engine is one such process.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from polyhouse.models.shards import build_one, preside
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.warehouse.engine import Engine, embedded_connection_string
from polyhouse.warehouse.location import Embedded, Server

_PASSWORD = "benchmark"
SHARDS = 4
_WALLETS_PER_FILL = 1 / 50
_CHUNK = 500_000
_TOKEN = "reverse(toFixedString(reinterpretAsString(toUInt256(1000000 + {})), 32))"


def run(fills: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the single engine."""
    with tempfile.TemporaryDirectory() as folder:
        singles = _measure(Path(folder) / "single", fills, 1)
        shards = _measure(Path(folder) / "shards", fills, SHARDS)
    rows = []
    for name, (single,), spent in zip(("first build", "rebuild"), singles, shards, strict=True):
        rows.append((f"{name} of {fills:,} fills, one engine", f"{single:.1f} s CPU", ""))
        rows += [
            (f"  shard {number + 1} of {SHARDS}", f"{cpu:.1f} s CPU", f"{cpu / single:.1%}")
            for number, cpu in enumerate(spent)
        ]
    return rows


def _measure(folder: Path, fills: int, count: int) -> list[list[float]]:
    """CPU seconds of each of ``count`` shards that hold the fills together, for a first build and for one more."""
    folder.mkdir()
    context = get_context("spawn")
    lines, told, processes = [], [], []
    for rank in range(count):
        ours, theirs = zip(context.Pipe(), context.Pipe(), strict=True)
        parent, child = context.Pipe()
        process = context.Process(target=_shard, args=(folder, fills, rank, count, theirs, child))
        process.start()
        processes.append(process)
        lines.append(ours)
        told.append(parent)
    ports = [one.recv() for one in told]
    for one in told:
        one.send(ports)
    spent = []
    try:
        for of_build in zip(*lines, strict=True):
            preside(of_build)
            spent.append([one.recv() for one in told])
    finally:
        for process in processes:
            process.kill()  # others may ask it to the end, and the engine ends only when nobody is connected
            process.join()
    return spent


def _shard(folder: Path, fills: int, rank: int, count: int, lines: tuple[Connection, ...], told: Connection) -> None:
    """Fill an engine with a shard's rows, let the others ask it, and build it twice."""
    _find_support()
    from clickhouse_endpoint import USER, Endpoint

    location = Embedded(folder / f"engine{rank}")
    with open_warehouse(f"chdb://{location.path}") as warehouse:
        _fill(warehouse, fills, f"CRC32(wallet) % {count} = {rank}")
        endpoint = Endpoint(_asked(location), _PASSWORD)
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()
        told.send(endpoint.server_address[1])
        ports = told.recv()
        openers = [
            warehouse.reader
            if other == rank
            else partial(_connected, Server("127.0.0.1", port, "default", USER, _PASSWORD))
            for other, port in enumerate(ports)
        ]
        for line in lines:
            before = time.process_time()
            build_one(rank, openers, line, None, anew=False, is_cluster=False)
            told.send(time.process_time() - before)
        told.poll(None)


def _asked(location: Embedded):
    """The engine of this process, for those who ask it over HTTP."""
    import chdb
    from clickhouse_endpoint import Sessions

    class Here(Sessions):
        def __init__(self) -> None:
            self._connect = lambda: chdb.connect(embedded_connection_string(location))
            self._kept, self._plain, self._anchor = {}, {}, self._connect()

    return Here()


def _connected(location: Server) -> ClickHouseWarehouse:
    return ClickHouseWarehouse(Engine(location), None)


def _fill(warehouse, fills: int, chosen: str) -> None:
    """Trades of two wallets each; wallets on a power law of which the largest has half a percent of everything."""
    from polyhouse.models.metric_tables import prepare_metric_tables

    prepare_metric_tables(warehouse)
    markets = fills // 400 + 10
    warehouse.command(
        f"INSERT INTO tokens (token, condition, outcome, verified, source, version) SELECT {_TOKEN.format('number')},"
        " unhex(leftPad(hex(intDiv(number, 2) + 7), 64, '0')), number % 2, true, 'gamma', 1"
        f" FROM numbers({2 * markets})"
    )
    warehouse.command(
        "INSERT INTO resolutions (condition, source, ts, numerators, version) SELECT"
        " unhex(leftPad(hex(number + 7), 64, '0')), 'data', 1790000000, [1, 0], 1"
        f" FROM numbers({markets}) WHERE number % 10 < 8"
    )
    wallets = max(int(fills * _WALLETS_PER_FILL), 100)
    rank = f"20 * pow({wallets} / 20, cityHash64(number, 1) % 1000000 / 1000000.)"
    token = _TOKEN.format(f"toUInt32(pow({2 * markets}, cityHash64(trade, 2) % 1000000 / 1000000.))")
    for start in range(0, fills, _CHUNK):
        warehouse.command(
            "INSERT INTO observations (wallet, token, tx, source, kind, ts, pos, shares, cash, shares_gross,"
            " usdc_gross, price_e12, version) SELECT"
            f" toFixedString(SHA1(toString(toUInt32({rank}))), 20) AS wallet, {token},"
            " toFixedString(SHA256(toString(intDiv(number, 2) AS trade)), 32), 'activity',"
            " if((cityHash64(trade, 3) + number) % 2, 'SELL', 'BUY'),"
            f" 1760000000 + intDiv(number * 30000000, {fills}), 1, 1000000 + cityHash64(trade, 4) % 100000000 AS s,"
            " toInt64(s * (cityHash64(trade, 5) % 1000000) / 1000000) AS c, s, c, toInt64(c * 1000000000000 / s), 1"
            f" FROM numbers({start}, {min(_CHUNK, fills - start)}) WHERE {chosen}"
        )
    warehouse.command("OPTIMIZE TABLE observations FINAL")


def _find_support() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))


if __name__ == "__main__":
    for line in run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000):
        print("{:<46} {:<16} {}".format(*line))
