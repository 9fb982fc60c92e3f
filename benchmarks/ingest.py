"""REST ingest: the whole road from the socket to the warehouse, per row, against its floors.

Floors: decode alone and insert alone of the same rows; and the requests alone, one for each wallet's page, by the bare
HTTP library, which a road over the network cannot go below. Catalogue look-ups of new tokens are part of the road.
A few wallets are read first: what every process imports once is no cost of a row.

Large wallets, whose pages have some 500 rows, are measured apart: they are read into emptied tables, and their tokens
are known by then. What every run costs that reads something, however little, is a row of its own, and is not counted
there: a nightly run brings millions of rows, these bring ten thousand.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import in_fresh_process, measured

SCALE = 10_000.0
_AT_ONCE = 20
_ASKED_FOR_FLOOR = 400
_FIRST = 30
_LARGE = "SELECT wallet FROM observations GROUP BY wallet HAVING count() BETWEEN 300 AND 1000 ORDER BY wallet"
_ROUNDS = 3


def run(wallets: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the floor."""
    return in_fresh_process(_ingest, wallets)


@contextmanager
def prepared(wallets: int) -> Iterator[tuple]:
    """(settings, open stores, wallets, URL of the feeds) of a simulated universe and a fresh store."""
    from polyhouse.cli.simulation import simulated_polymarket
    from polyhouse.domain.ids import parse_address
    from polyhouse.settings import Settings
    from polyhouse.sim.universe import Universe
    from polyhouse.wiring import open_stores

    addresses = tuple(parse_address(wallet) for wallet in Universe(seed=1, wallets=wallets).wallets)
    with tempfile.TemporaryDirectory() as folder, simulated_polymarket(1, wallets, SCALE) as upstreams:
        settings = Settings(
            home=Path(folder) / "full", gamma_url=upstreams.gamma_url, clob_url=upstreams.clob_url,
            data_url=upstreams.data_url, rate_scale=SCALE,
        )  # fmt: skip
        with open_stores(settings) as stores:
            yield settings, stores, addresses, upstreams.data_url


async def sync(settings, stores, addresses: tuple[bytes, ...]):
    """Read the ledgers of these wallets; what ``polyhouse sync wallets`` does, without the models."""
    from polyhouse.sync.progress import NullReporter
    from polyhouse.sync.report import WalletSelection
    from polyhouse.wiring import engine_session

    async with engine_session(settings, stores, NullReporter(), concurrency=_AT_ONCE) as engine:
        return await engine.sync_wallets(WalletSelection(addresses=addresses))


def _ingest(wallets: int) -> list[tuple[str, str, str]]:
    with prepared(wallets) as (settings, stores, addresses, url):
        asked = addresses[:_ASKED_FOR_FLOOR]
        asyncio.run(_bodies(url, asked[:_AT_ONCE]))  # imports the library
        with measured() as requests:
            bodies = asyncio.run(_bodies(url, asked))
        decode, decoded = _decode_floor(bodies)
        asyncio.run(sync(settings, stores, addresses[-_FIRST:]))
        before = _rows(stores)
        with measured() as whole:
            report = asyncio.run(sync(settings, stores, addresses[:-_FIRST]))
        rows, wallets = _rows(stores) - before, wallets - _FIRST
        insert = _insert_floor(stores) * rows / (rows + before)
        large = _large_wallets(settings, stores, addresses[-1])
    per_row = whole.cpu / rows * 1e6
    floor = (decode.cpu / decoded + insert / rows) * 1e6
    network = requests.cpu / decoded * 1e6
    return [
        (f"REST ingest, end to end, {rows / wallets:.0f} rows a wallet", f"{per_row:.1f} µs CPU a row",
         f"{rows / whole.wall:,.0f} rows/s; {per_row * rows / wallets / 1e3:.1f} ms a wallet"),
        ("  floor: JSON decode + insert alone", f"{floor:.1f} µs CPU a row", f"{per_row / floor:.1f} ×"),
        ("  the same with the requests by the bare HTTP library", f"{floor + network:.1f} µs CPU a row",
         f"{per_row / (floor + network):.1f} ×"),
        (f"  pages of {large.rows / large.wallets:.0f} rows, without what every run costs",
         f"{large.per_row:.1f} µs CPU a row", f"{large.per_row / floor:.1f} × JSON decode + insert"),
        ("  what every run costs: one that reads one wallet", f"{large.run * 1e3:.0f} ms CPU", ""),
        ("  loader peak memory", f"{whole.peak_mb:.0f} MB", f"{rows:,} rows ({report.status})"),
    ]  # fmt: skip


async def _bodies(data_url: str, wallets: tuple[bytes, ...]) -> list[bytes]:
    """The first page of each wallet's feed, as many at a time as the loader asks for."""
    import aiohttp

    places = asyncio.Semaphore(_AT_ONCE)

    async def page(session, wallet: bytes) -> bytes:
        params = {"user": "0x" + wallet.hex(), "start": "1", "limit": "1000", "sort_direction": "ASC"}
        async with places, session.get(f"{data_url}/v2/activity", params=params) as answer:
            return await answer.read()

    async with aiohttp.ClientSession() as session:
        return list(await asyncio.gather(*(page(session, wallet) for wallet in wallets)))


def _decode_floor(bodies: list[bytes]):
    """The cost of reading the bodies once as JSON, and their rows."""
    import msgspec

    decoder = msgspec.json.Decoder()
    with measured() as cost:
        rows = sum(len(decoder.decode(body)["data"] or ()) for body in bodies)
    return cost, rows


def _rows(stores) -> int:
    return stores.warehouse.query("SELECT count() FROM observations").rows[0][0]


@dataclass(frozen=True)
class _Large:
    """Wallets and rows of a round, CPU seconds of one, and of a run that reads one small wallet."""

    wallets: int
    rows: int
    round: float
    run: float

    @property
    def per_row(self) -> float:
        """µs CPU a row, without what a run costs."""
        return (self.round - self.run) / self.rows * 1e6


def _large_wallets(settings, stores, small: bytes) -> _Large:
    """What large wallets cost that nobody has read before: the cheapest of some rounds."""
    wallets = tuple(bytes(wallet) for (wallet,) in stores.warehouse.query(_LARGE).rows)
    rounds, runs, rows = [], [], 0
    for _ in range(_ROUNDS):
        rounds.append(_read_anew(settings, stores, wallets))
        rows = _rows(stores)
        runs.append(_read_anew(settings, stores, (small,)))
    return _Large(len(wallets), rows, min(rounds), min(runs))


def _read_anew(settings, stores, wallets: tuple[bytes, ...]) -> float:
    """CPU seconds of a run that reads these wallets into emptied tables."""
    for table in ("observations", "sync_pages"):
        stores.warehouse.command(f"TRUNCATE TABLE {table}")
    stores.state.forget_checkpoints("data.activity")
    with measured() as cost:
        asyncio.run(sync(settings, stores, wallets))
    return cost.cpu


def _insert_floor(stores) -> float:
    """The engine's own price of these rows, CPU seconds: copy them into an empty table of the same shape."""
    import pyarrow as pa

    warehouse = stores.warehouse
    warehouse.command("CREATE TABLE observations_floor AS observations")
    table = pa.Table.from_batches(list(warehouse.query_columns("SELECT * FROM observations")))
    with measured() as cost:
        warehouse.insert_arrow("observations_floor", table)
    warehouse.command("DROP TABLE observations_floor")
    return cost.cpu


if __name__ == "__main__":
    for line in run(1_000):
        print("{:<58} {:<28} {}".format(*line))
