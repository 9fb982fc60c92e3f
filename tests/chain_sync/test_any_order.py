"""Chain after REST and REST after chain leave the same ledger and the same models."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from chain_world import BIG, dump_models, rebuild, serve, state_in, sync, universe

from polyhouse.sim.server import SimServer
from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
from polyhouse.sync.context import EngineLimits
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.report import RunReport
from polyhouse.sync.writer import BatchLimits
from polyhouse.warehouse import open_warehouse
from polyhouse.wiring import build_sources


async def rest(warehouse: Any, state: Any, server: SimServer) -> RunReport:
    from polyhouse.sync.report import WalletSelection

    clock = SystemClock()
    async with AsyncExitStack() as stack:
        clients = {}
        for url, limits in ((server.gamma_url, GAMMA), (server.clob_url, CLOB), (server.data_url, DATA)):
            client = HttpClient(url, limits, clock=clock, rate_scale=1_000.0)
            clients[limits.name] = await stack.enter_async_context(client)
        engine = SyncEngine(
            warehouse, state, build_sources(clients), None, clock,
            limits=EngineLimits(concurrency=20, batch=BatchLimits(seconds=0.05)),
        )  # fmt: skip
        await engine.run(metrics=False, positions=False)
        return await engine.sync_wallets(WalletSelection(all=True))


async def test_chain_and_rest_in_any_order(tmp_path: Path) -> None:
    world = universe(wallets=12, fills=200)
    models = {}
    async with serve(world, [BIG]) as server:
        for order in ("chain rest", "rest chain rest"):
            folder = tmp_path / order.replace(" ", "-")
            folder.mkdir()
            with open_warehouse(f"chdb://{folder}/warehouse") as warehouse, state_in(folder) as state:
                for step in order.split():
                    if step == "rest":
                        report = await rest(warehouse, state, server)
                    else:
                        report = await sync(warehouse, state, server.rpc_urls)
                    assert report.status in {"ok", "partial"}, report.errors
                rebuild(warehouse, state, report)
                models[order] = dump_models(warehouse)
                sources = warehouse.query("SELECT DISTINCT toString(source) FROM ledger FINAL ORDER BY 1").rows
                assert ("chain",) in sources
    assert models["chain rest"]["positions"]
    for order, tables in models.items():
        for table, rows in tables.items():
            assert rows == models["chain rest"][table], f"{table} after {order}"
