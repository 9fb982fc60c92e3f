"""REST ingest: the whole road from the socket to the warehouse, per row, against its floors.

Floors: decode alone and insert alone of the same rows; and the requests alone, one for each wallet's page, by the bare
HTTP library, which a road over the network cannot go below. Catalogue look-ups of new tokens are part of the road.
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
        with measured() as whole:
            report = asyncio.run(sync(settings, stores, addresses))
        rows = stores.warehouse.query("SELECT count() FROM observations").rows[0][0]
        insert = _insert_floor(stores)
    per_row = whole.cpu / rows * 1e6
    floor = (decode.cpu / decoded + insert.cpu / rows) * 1e6
    network = requests.cpu / decoded * 1e6
    return [
        (f"REST ingest, end to end, {rows / wallets:.0f} rows a wallet", f"{per_row:.1f} µs CPU a row",
         f"{rows / whole.wall:,.0f} rows/s; {per_row * rows / wallets / 1e3:.1f} ms a wallet"),
        ("  floor: JSON decode + insert alone", f"{floor:.1f} µs CPU a row", f"{per_row / floor:.1f} ×"),
        ("  the same with the requests by the bare HTTP library", f"{floor + network:.1f} µs CPU a row",
         f"{per_row / (floor + network):.1f} ×"),
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


def _insert_floor(stores):
    """The engine's own price of these rows: copy them into an empty table of the same shape."""
    import pyarrow as pa

    warehouse = stores.warehouse
    warehouse.command("CREATE TABLE observations_floor AS observations")
    table = pa.Table.from_batches(list(warehouse.query_columns("SELECT * FROM observations")))
    with measured() as cost:
        warehouse.insert_arrow("observations_floor", table)
    warehouse.command("DROP TABLE observations_floor")
    return cost


if __name__ == "__main__":
    for line in run(1_000):
        print("{:<58} {:<28} {}".format(*line))
