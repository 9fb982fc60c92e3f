"""A simulated node, a store, and chain runs between the two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from polyhouse.domain.categories import category_of
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.model import Transaction
from polyhouse.sim.rpc_api import RpcEndpoint
from polyhouse.sim.server import SimServer
from polyhouse.sim.truth import Truth, compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.sources.chain.provider import RpcPool
from polyhouse.sources.chain.rpc import ChainReader, RangeSize
from polyhouse.sources.http import RetryPolicy, SystemClock
from polyhouse.state import StateStore, open_state
from polyhouse.sync.chain import ChainOptions, ChainRun
from polyhouse.sync.context import EngineLimits, RunContext
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.reorg import rebuilt, wallets_to_rebuild
from polyhouse.sync.report import RunReport
from polyhouse.sync.writer import BatchLimits
from polyhouse.truth_check import compare
from polyhouse.warehouse import ClickHouseWarehouse

RAW = {
    "observations": "* EXCEPT (run, version)",
    "resolutions": "* EXCEPT version",
    "markets": "* EXCEPT version",
    "tokens": "* EXCEPT version",
    "neg_risk_markets": "* EXCEPT version",
    "chain_pools": "* EXCEPT version",
    "chain_logs": "* EXCEPT (run, version)",
}
"""Tables that are functions of the chain alone, however it was cut into ranges."""
MODELS = ("ledger", "unmapped", "positions", "units", "wallet_totals", "wallet_coverage", "token_prices")
BIG = RpcEndpoint("rpc", max_range=200_000_000, max_results=100_000, max_batch=1_000)


def universe(seed: int = 3, wallets: int = 24, fills: int = 500) -> Universe:
    return Universe(seed=seed, wallets=wallets, fills=fills, with_transfers=True)


def serve(world: Universe, endpoints: Sequence[RpcEndpoint] = (BIG,), **options: Any) -> SimServer:
    return SimServer(world, enforce_limits=False, endpoints=list(endpoints), **options)


def reader_of(urls: Sequence[str], size: int = 100_000_000) -> tuple[RpcPool, ChainReader]:
    policy = RetryPolicy(attempts=2, base_seconds=0.01, cap_seconds=0.05)
    pool = RpcPool(urls, limits=[100_000] * len(urls), clock=SystemClock(), rate_scale=1.0, batch=200, policy=policy)
    return pool, ChainReader(pool, RangeSize(size=size, largest=200_000_000, wanted_logs=2_000))


def engine_of(warehouse: ClickHouseWarehouse, state: StateStore) -> SyncEngine:
    from polyhouse.sync.sources import Sources

    nothing: Any = None
    sources = Sources(nothing, nothing, nothing, (), nothing, nothing, nothing, nothing, nothing)
    limits = EngineLimits(batch=BatchLimits(seconds=0.05))
    return SyncEngine(warehouse, state, sources, None, SystemClock(), limits=limits)


async def sync(
    warehouse: ClickHouseWarehouse, state: StateStore, urls: Sequence[str], *, size: int = 100_000_000, **options: Any
) -> RunReport:
    """One chain run over everything that is missing."""
    chosen = ChainOptions(**({"span": 100_000_000} | options))
    pool, reader = reader_of(urls, size)
    async with pool:

        async def work(ctx: RunContext) -> None:
            await ChainRun(ctx, reader, chosen).execute()

        return await engine_of(warehouse, state).perform("sync chain", {}, work)


def write_events(warehouse: Warehouse, world: Universe) -> None:
    """Categories, which the chain does not know: events and the markets they hold, as Gamma tells them."""
    markets = [(market, event) for event in world.events for market in event.markets]
    warehouse.write(
        "events",
        {
            "event_id": [event.event_id for event in world.events],
            "category": [category_of([t for tag in event.tags for t in tag[1:]]) for event in world.events],
        },
        run=1,
        token="events",
    )
    warehouse.write(
        "markets",
        {
            "condition": [bytes.fromhex(market.condition_id[2:]) for market, _ in markets],
            "source": ["gamma"] * len(markets),
            "event_id": [event.event_id for _, event in markets],
        },
        run=1,
        token="markets",
    )


def truth_of(transactions: Iterable[Transaction], world: Universe) -> Truth:
    """The truth without income, which no log shows and which would move the end of the windows."""
    on_chain = [replace(tx, logs=tuple(log for log in tx.logs if log.t != "Income")) for tx in transactions]
    return compute_truth([tx for tx in on_chain if tx.logs], world.events, world.neg_risk_markets)


def check_truth(warehouse: Warehouse, transactions: Iterable[Transaction], world: Universe) -> int:
    """Hold the built models to the truth; returns how many wallets were compared."""
    result = compare(warehouse, truth_of(transactions, world), everyone=True, income=False)
    assert result.ok, result.differences
    return result.equal


def rebuild(warehouse: Warehouse, state: StateStore, report: RunReport) -> Sequence[bytes] | None:
    """Rebuild the models as the command line does after a run; returns who was rebuilt because rows were removed."""
    noted = wallets_to_rebuild(state)
    build(warehouse, None if noted is None or report.touched is None else sorted({*noted, *report.touched}))
    rebuilt(state)
    return noted


def dump(warehouse: Warehouse, tables: Mapping[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: sorted(warehouse.query(f"SELECT {columns} FROM {table} FINAL").rows, key=repr)
        for table, columns in tables.items()
    }


def dump_models(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    return dump(warehouse, dict.fromkeys(MODELS, "* EXCEPT (version, is_deleted)"))


def state_in(folder: Path) -> StateStore:
    return open_state(f"sqlite:///{folder}/state.db")
