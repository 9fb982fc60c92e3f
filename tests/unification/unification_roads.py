"""The same universe as every road brings it: chain logs, the feeds of the Data API, saved files, dumps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyhouse.domain.categories import category_of
from polyhouse.domain.ids import format_condition, format_hash, format_token
from polyhouse.ledger.chain import observations
from polyhouse.ledger.vector_logs import VectorCase, parse_case
from polyhouse.ports import Page, Partition, Stream
from polyhouse.sim import data_api, data_v1_api, goldsky_api
from polyhouse.sim.truth import Truth
from polyhouse.sim.universe import Universe
from polyhouse.sim.world import World
from polyhouse.sources.data_api import Activity, MarketTrades
from polyhouse.sources.data_v1 import ActivityV1
from polyhouse.sources.data_v1_trades import TradesV1
from polyhouse.sources.files import read
from polyhouse.sources.goldsky import GoldskyFills
from polyhouse.tables import OBSERVATIONS, Columns

Rows = list[dict[str, Any]]
"""Observations as dictionaries, one a row."""
_ROUTES = {
    "/v2/activity": data_api.activity, "/v2/trades": data_api.trades, "/activity": data_v1_api.activity,
    "/trades": data_v1_api.trades,
}  # fmt: skip


class InProcessClient:
    """Answers as the simulated Data API does, in bytes, without a socket."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.clock = self

    def time(self) -> float:
        return float(self._world.now)

    answered_at = time

    async def get(self, path: str, params: Mapping[str, Any], decode: Callable[[bytes], Any]) -> Any:
        query = {name: [_text(value)] for name, value in params.items() if value is not None}
        return decode(_ROUTES[path](self._world, query).encoded())

    async def post(self, path: str, body: bytes, decode: Callable[[bytes], Any]) -> Any:
        assert goldsky_api.PATH.endswith(path)
        return decode(goldsky_api.graphql(self._world, {"body": [body.decode()]}).encoded())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class Roads:
    """Rows by road. ``chain`` tells everything but income; ``activity`` everything but transfers; the others fills.

    ``tables`` are the tables beside the observations: they are loaded first, always the same.
    """

    truth: Truth
    tables: dict[str, Columns]
    chain: Rows
    activity: Rows
    trades: Rows
    saved_activity: Rows
    saved_trades: Rows
    dome: Rows
    amounts: Rows

    def all(self) -> dict[str, Rows]:
        """Every road by name."""
        return {
            name: getattr(self, name)
            for name in ("chain", "activity", "trades", "saved_activity", "saved_trades", "dome", "amounts")
        }


def build_roads(universe: Universe, truth: Truth, folder: Path) -> Roads:
    """Read one universe in every way there is."""
    world = World(universe)
    case = case_of(universe)
    chain = observations(case.transactions, case.registry, use_transfers=True).tables()
    client: Any = InProcessClient(world)
    activity, trades = Activity(client, page_limit=500), MarketTrades(client, page_limit=500)
    wallets = sorted(truth.wallets)
    conditions = [market.meta.condition_id for market in world.catalog.markets]
    parts = [conditions[start : start + 20] for start in range(0, len(conditions), 20)]
    feeds = {
        "activity": _walk(activity, [activity.partition(wallet) for wallet in wallets]),
        "trades": _walk(trades, [trades.partition(part) for part in parts]),
    }
    chain_rows = as_rows(chain.pop("observations"), "chain")
    return Roads(
        truth=truth,
        tables=_catalogue(universe, case) | chain,
        chain=chain_rows,
        activity=feeds["activity"],
        trades=feeds["trades"],
        saved_activity=_saved(folder / "activity.json", _answers(world, "/v2/activity", {"user": wallets}), world),
        saved_trades=_saved(folder / "trades.json", _answers(world, "/v2/trades", {"condition": conditions}), world),
        dome=_saved(folder / "dome.json", list(map(_dome, _fills(chain_rows))), world),
        amounts=[_amounts(row, number) for number, row in enumerate(_fills(chain_rows))],
    )


def side_roads(universe: Universe, truth: Truth) -> dict[str, Rows]:
    """The same universe from the first Data API and from the old subgraph."""
    world = World(universe)
    client: Any = InProcessClient(world)
    activity, trades, fills = ActivityV1(client, page_limit=200), TradesV1(client, page_limit=200), GoldskyFills(client)
    wallets = sorted(truth.wallets)
    conditions = [market.meta.condition_id for market in world.catalog.markets]
    return {
        "activity_v1": _walk(activity, [activity.partition(wallet) for wallet in wallets]),
        "trades_v1": _walk(trades, [trades.partition(condition) for condition in conditions]),
        "goldsky": _walk(fills, [fills.partition(wallet) for wallet in wallets]),
    }


def as_rows(columns: Columns, source: str = "") -> Rows:
    """Columns of observations → rows."""
    names = list(columns)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [row | {"source": source} for row in rows] if source else rows


def as_columns(rows: Rows) -> Columns:
    """Rows → columns, missing values at their defaults."""
    names = [name for name in OBSERVATIONS.columns if name not in {"run", "version"}]
    return {name: [row.get(name, OBSERVATIONS.defaults[name]) for row in rows] for name in names}


def _walk(stream: Stream, partitions: list[Partition]) -> Rows:
    async def everything() -> list[Page]:
        return [page for partition in partitions async for page in stream.pages(partition, {})]

    pages = asyncio.run(everything())
    assert not any(page.rejected for page in pages)
    return [row for page in pages if "observations" in page.tables for row in as_rows(page.tables["observations"])]


def _answers(world: World, route: str, filters: Mapping[str, list[str]]) -> Rows:
    """The wire rows of one feed, page by page, for every value of a filter."""
    ((name, values),) = filters.items()
    found: Rows = []
    for value in values:
        query: dict[str, list[str]] = {name: [value], "limit": ["1000"], "taker_only": ["false"]}
        query |= {"start": ["1"]} if name == "user" else {"filter_amount": ["0.000001"]}
        while True:
            document = json.loads(_ROUTES[route](world, query).encoded(), parse_float=str)
            found += document["data"]
            cursor = document["pagination"]["next_cursor"]
            if cursor is None:
                break
            query["cursor"] = [cursor]
    return found


def _saved(path: Path, rows: Rows, world: World) -> Rows:
    """Rows as ``polyhouse import`` reads them from a file."""
    path.write_text(json.dumps(rows), encoding="utf-8")
    batches = list(read(path, now=world.now))
    assert not any(batch.rejects for batch in batches)
    return [row for batch in batches for row in as_rows(batch.tables["observations"])]


def _fills(rows: Rows) -> Iterator[dict[str, Any]]:
    """Every other transaction's fills: dumps are never complete."""
    return (row for row in rows if row["kind"] in {"BUY", "SELL"} and row["tx"][31] % 2 and row["shares"])


def _dome(row: dict[str, Any]) -> dict[str, Any]:
    price = -(-row["cash"] * 10**10 // row["shares"])
    return {
        "user": "0x" + row["wallet"].hex(), "timestamp": row["ts"], "side": row["kind"],
        "token_id": format_token(row["token"]), "condition_id": format_condition(row["condition"]),
        "shares": row["shares"], "price": f"{price // 10**10}.{price % 10**10:010d}",
        "tx_hash": format_hash(row["tx"]), "order_hash": format_hash(row["order_hash"]),
    }  # fmt: skip


def _amounts(row: dict[str, Any], number: int) -> dict[str, Any]:
    """A dump that tells amounts but no price, with its own idea of the time: some rows are a second late or early."""
    copied = {
        name: row[name] for name in ("wallet", "token", "condition", "tx", "kind", "shares", "cash", "order_hash")
    }
    return copied | {
        "source": "dump", "ts": row["ts"] + number % 3 - 1, "usdc_gross": row["cash"], "shares_gross": row["shares"],
    }  # fmt: skip


def case_of(universe: Universe) -> VectorCase:
    """The universe's logs up to now, through the file format of ``polyhouse replay``."""
    return parse_case({
        "conditions": [
            {
                "id": market.condition_id, "tokens": list(market.token_ids),
                "neg_risk_market": market.neg_risk_market_id or None, "question_index": market.question_index,
            }
            for event in universe.events for market in event.markets
        ],
        "neg_risk_markets": [
            {"id": market, "question_count": count, "fee_bips": bips}
            for market, (count, bips) in universe.neg_risk_markets.items()
        ],
        "logs": [
            {"t": log.t, "tx": tx.tx, "li": log.li, "bn": tx.block, "ti": tx.tx_index, "ts": tx.ts, **log.fields}
            for tx in universe.transactions(until=universe.now) for log in tx.logs
            if log.t != "Income"  # rebates and rewards are in no log of these contracts
        ],
    })  # fmt: skip


def _catalogue(universe: Universe, case: VectorCase) -> dict[str, Columns]:
    markets = [(market, event) for event in universe.events for market in event.markets]
    return {
        "markets": {
            "condition": [c.condition for c in case.conditions],
            "source": ["gamma"] * len(markets),
            "event_id": [event.event_id for _, event in markets],
            "neg_risk_market": [c.neg_risk_market for c in case.conditions],
            "question_index": [c.question_index if c.neg_risk_market else 65_535 for c in case.conditions],
        },
        "tokens": {
            "token": [token for c in case.conditions for token in c.tokens],
            "condition": [c.condition for c in case.conditions for _ in c.tokens],
            "outcome": [0, 1] * len(markets),
            "source": ["gamma"] * 2 * len(markets),
        },
        "events": {
            "event_id": [event.event_id for event in universe.events],
            "category": [category_of([t for tag in event.tags for t in tag[1:]]) for event in universe.events],
        },
        "neg_risk_markets": {
            "market": [m.market for m in case.neg_risk_markets],
            "question_count": [m.question_count for m in case.neg_risk_markets],
            "fee_bips": [m.fee_bips for m in case.neg_risk_markets],
            "source": ["gamma"] * len(case.neg_risk_markets),
        },
    }
