"""REST ingest: the whole road from the socket to the warehouse, per row, against its floors.

Floors: decode alone and insert alone of the same rows; and the requests alone, one for each wallet's page, by the bare
HTTP library, which a road over the network cannot go below. Catalogue look-ups of new tokens are part of the road.
A few wallets are read first: what every process imports once is no cost of a row.

Short feeds are measured first, of wallets as a simulated universe has them. Then full pages, as the average wallet of
Polymarket fills them: wallets of some 500 rows are read into emptied tables, when their tokens are known. What every
run costs that reads something, however little, is a row of its own, and is not counted there: a nightly run brings
millions of rows, these bring some ten thousand.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import in_fresh_process, measured

SCALE = 10_000.0
_AT_ONCE = 20
_ASKED_FOR_FLOOR = 400
_FIRST = 30
_FULL_WALLETS, _FULL_FILLS = 130, 60_000
_ROUNDS = 3


def run(wallets: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the floor."""
    return in_fresh_process(_short_feeds, wallets) + in_fresh_process(_full_pages)


@contextmanager
def prepared(wallets: int, fills: int | None = None) -> Iterator[tuple]:
    """(settings, open stores, wallets, URL of the feeds) of a simulated universe and a fresh store."""
    from polyhouse.cli.simulation import simulated_polymarket
    from polyhouse.domain.ids import parse_address
    from polyhouse.settings import Settings
    from polyhouse.sim.universe import Universe
    from polyhouse.wiring import open_stores

    addresses = tuple(parse_address(wallet) for wallet in Universe(seed=1, wallets=wallets, fills=fills).wallets)
    with tempfile.TemporaryDirectory() as folder, simulated_polymarket(1, wallets, SCALE, fills=fills) as upstreams:
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


def _short_feeds(wallets: int) -> list[tuple[str, str, str]]:
    with prepared(wallets) as (settings, stores, addresses, url):
        floors = _Floors(url, addresses[:_ASKED_FOR_FLOOR])
        asyncio.run(sync(settings, stores, addresses[-_FIRST:]))
        before = _rows(stores)
        with measured() as whole:
            report = asyncio.run(sync(settings, stores, addresses[:-_FIRST]))
        rows, wallets = _rows(stores) - before, wallets - _FIRST
        floors.insert = _insert_floor(stores) / (rows + before)
    per_row = whole.cpu / rows * 1e6
    return [
        (f"REST ingest, end to end, {rows / wallets:.0f} rows a wallet", f"{per_row:.1f} µs CPU a row",
         f"{rows / whole.wall:,.0f} rows/s; {per_row * rows / wallets / 1e3:.1f} ms a wallet"),
        *floors.lines(per_row),
        ("  loader peak memory", f"{whole.peak_mb:.0f} MB", f"{rows:,} rows ({report.status})"),
    ]  # fmt: skip


def _full_pages() -> list[tuple[str, str, str]]:
    """What large wallets cost that nobody has read before: the cheapest of some rounds."""
    with prepared(_FULL_WALLETS, _FULL_FILLS) as (settings, stores, addresses, url):
        small, large = addresses[-1:], addresses[:-1]
        floors = _Floors(url, large)
        asyncio.run(sync(settings, stores, addresses))
        rounds, runs, rows = [], [], 0
        for _ in range(_ROUNDS):
            runs.append(_read_anew(settings, stores, small))
            rounds.append(_read_anew(settings, stores, large))
            rows = _rows(stores)
        floors.insert = _insert_floor(stores) / rows
        pages = stores.warehouse.query("SELECT count() FROM sync_pages").rows[0][0]
    per_row = (min(rounds) - min(runs)) / rows * 1e6
    return [
        (f"REST ingest, pages of {rows / pages:.0f} rows, without what every run costs", f"{per_row:.1f} µs CPU a row",
         f"{rows:,} rows; {max(rounds) / rows * 1e6:.1f} in the dearest round, with what the run costs"),
        *floors.lines(per_row),
        ("  what every run costs: one that reads one wallet", f"{min(runs) * 1e3:.0f} ms CPU", ""),
    ]  # fmt: skip


class _Floors:
    """CPU seconds a row of the same pages: bare requests, reading their bodies as JSON; ``insert`` is set later."""

    def __init__(self, url: str, wallets: tuple[bytes, ...]) -> None:
        asyncio.run(_bodies(url, wallets[:_AT_ONCE]))  # imports the library
        with measured() as requests:
            bodies = asyncio.run(_bodies(url, wallets))
        decode, rows = _decode_floor(bodies)
        self.requests, self.decode, self.insert = requests.cpu / rows, decode.cpu / rows, 0.0

    def lines(self, per_row: float) -> list[tuple[str, str, str]]:
        """Rows of the table; ``per_row`` is what the whole road takes, in µs."""
        floor = (self.decode + self.insert) * 1e6
        network = floor + self.requests * 1e6
        return [
            ("  floor: JSON decode + insert alone", f"{floor:.1f} µs CPU a row", f"{per_row / floor:.1f} ×"),
            ("  the same with the requests by the bare HTTP library", f"{network:.1f} µs CPU a row",
             f"{per_row / network:.1f} ×"),
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
        warehouse.insert_arrow("observations_floor", table, is_unique=True)
    warehouse.command("DROP TABLE observations_floor")
    return cost.cpu


if __name__ == "__main__":
    for line in run(1_000):
        print("{:<58} {:<28} {}".format(*line))
