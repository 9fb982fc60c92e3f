"""REST ingest: the whole road from the socket to the warehouse, per row, against decode alone and insert alone."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from benchmarks.measure import in_fresh_process, measured

SCALE = 10_000.0


def run(wallets: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the floor."""
    return in_fresh_process(_ingest, wallets)


def _ingest(wallets: int) -> list[tuple[str, str, str]]:
    from polyhouse.cli.simulation import simulated_polymarket
    from polyhouse.settings import Settings
    from polyhouse.wiring import open_stores

    with (
        tempfile.TemporaryDirectory() as folder,
        simulated_polymarket(1, wallets, SCALE) as upstreams,
    ):
        settings = Settings(
            home=Path(folder) / "full", gamma_url=upstreams.gamma_url, clob_url=upstreams.clob_url,
            data_url=upstreams.data_url, rate_scale=SCALE,
        )  # fmt: skip
        bodies = asyncio.run(_bodies(upstreams.data_url, wallets))
        decode, decoded = _decode_floor(bodies)
        with open_stores(settings) as stores:
            with measured() as whole:
                report = asyncio.run(_sync(settings, stores, wallets))
            rows = stores.warehouse.query("SELECT count() FROM observations").rows[0][0]
            insert = _insert_floor(stores)
    per_row, floor = whole.cpu / rows * 1e6, (decode.cpu / decoded + insert.cpu / rows) * 1e6
    return [
        ("REST ingest, end to end", f"{per_row:.1f} µs CPU a row, {rows / whole.wall:,.0f} rows/s", ""),
        ("  floor: JSON decode + insert alone", f"{floor:.1f} µs CPU a row", f"{per_row / floor:.1f} ×"),
        ("  loader peak memory", f"{whole.peak_mb:.0f} MB for {rows:,} rows ({report.status})", ""),
    ]


async def _bodies(data_url: str, wallets: int) -> list[bytes]:
    """Real pages of the activity feed, fetched beforehand."""
    import aiohttp

    from polyhouse.sim.universe import Universe

    bodies = []
    async with aiohttp.ClientSession() as session:
        for wallet in Universe(seed=1, wallets=wallets).wallets[:20]:
            params = {"user": wallet, "start": "1", "limit": "1000", "sort_direction": "ASC"}
            async with session.get(f"{data_url}/v2/activity", params=params) as answer:
                bodies.append(await answer.read())
    return bodies


def _decode_floor(bodies: list[bytes]):
    import msgspec

    decoder = msgspec.json.Decoder()
    rows = 0
    with measured() as cost:
        for _ in range(5):
            rows += sum(len(decoder.decode(body)["data"] or ()) for body in bodies)
    return cost, rows


def _insert_floor(stores):
    """The engine's own price of these rows: copy them into an empty table of the same shape."""
    warehouse = stores.warehouse
    warehouse.command("CREATE TABLE observations_floor AS observations")
    table = warehouse.query_columns("SELECT * FROM observations")
    batches = list(table)
    with measured() as cost:
        import pyarrow as pa

        warehouse.insert_arrow("observations_floor", pa.Table.from_batches(batches))
    warehouse.command("DROP TABLE observations_floor")
    return cost


async def _sync(settings, stores, wallets: int):
    from polyhouse.domain.ids import parse_address
    from polyhouse.sim.universe import Universe
    from polyhouse.sync.progress import NullReporter
    from polyhouse.sync.report import WalletSelection
    from polyhouse.wiring import engine_session

    addresses = tuple(parse_address(w) for w in Universe(seed=1, wallets=wallets).wallets)
    async with engine_session(settings, stores, NullReporter(), concurrency=20) as engine:
        return await engine.sync_wallets(WalletSelection(addresses=addresses))
