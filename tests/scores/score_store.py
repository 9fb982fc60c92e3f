"""Fills a store with a universe's chain logs and catalogue, or with rows made by hand, and reads the scores back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polyhouse.domain.categories import category_of
from polyhouse.ledger.amm import lp_token
from polyhouse.ledger.chain import observations
from polyhouse.ledger.vector_logs import VectorCase, parse_case
from polyhouse.ports import Warehouse
from polyhouse.sim.universe import Universe

USD = 1_000_000
HOUR = 3_600
OPEN, CLOSE = 1_780_000_000, 1_780_000_000 + 100 * HOUR
"""Life of the markets made by hand."""

Tables = dict[str, dict[str, list[Any]]]


def universe_case(universe: Universe) -> VectorCase:
    """Its logs, conditions, neg-risk markets and pools, decoded."""
    markets = [(market, event) for event in universe.events for market in event.markets]
    return parse_case({
        "conditions": [
            {
                "id": market.condition_id, "tokens": list(market.token_ids),
                "neg_risk_market": market.neg_risk_market_id or None, "question_index": market.question_index,
            }
            for market, _ in markets
        ],
        "neg_risk_markets": [
            {"id": market, "question_count": count, "fee_bips": bips}
            for market, (count, bips) in universe.neg_risk_markets.items()
        ],
        "fpmms": [{"id": m.pool.address, "condition": m.condition_id} for m, _ in markets if m.pool],
        "logs": [
            {"t": log.t, "tx": tx.tx, "li": log.li, "bn": tx.block, "ti": tx.tx_index, "ts": tx.ts, **log.fields}
            for tx in universe.transactions(until=universe.now) for log in tx.logs
        ],
    })  # fmt: skip


def universe_tables(universe: Universe) -> Tables:
    markets = [(market, event) for event in universe.events for market in event.markets]
    case = universe_case(universe)
    lps = [lp_token(pool) for pool in case.registry.pools]
    rows = observations(case.transactions, case.registry, use_transfers=True)
    return rows.tables() | {
        "markets": {
            "condition": [c.condition for c in case.conditions],
            "source": ["gamma"] * len(markets),
            "event_id": [event.event_id for _, event in markets],
            "neg_risk_market": [c.neg_risk_market for c in case.conditions],
            "question_index": [c.question_index if c.neg_risk_market else 65_535 for c in case.conditions],
            "start_ts": [market.start_ts for market, _ in markets],
            "end_ts": [market.end_ts for market, _ in markets],
        },
        "tokens": {
            "token": [token for c in case.conditions for token in c.tokens] + lps,
            "condition": [c.condition for c in case.conditions for _ in c.tokens] + lps,
            "outcome": [0, 1] * len(markets) + [0] * len(lps),
            "source": ["gamma"] * (2 * len(markets) + len(lps)),
        },
        "events": {
            "event_id": [event.event_id for event in universe.events],
            "category": [category_of([t for tag in event.tags for t in tag[1:]]) for event in universe.events],
            "series": [event.series[2] if event.series else "" for event in universe.events],
        },
        "neg_risk_markets": {
            "market": [m.market for m in case.neg_risk_markets],
            "question_count": [m.question_count for m in case.neg_risk_markets],
            "fee_bips": [m.fee_bips for m in case.neg_risk_markets],
            "source": ["gamma"] * len(case.neg_risk_markets),
        },
    }


def condition(market: int) -> bytes:
    return bytes([0xC0 + market]) * 32


def token(market: int, outcome: int) -> bytes:
    return bytes([0x10 + 2 * market + outcome]) * 32


def market_tables(*markets: int, **columns: Any) -> Tables:
    """The catalogue of markets by number, 1 if none is named; ``columns`` replace those of all of them."""
    numbers = markets or (1,)
    row = {"source": "gamma", "start_ts": OPEN, "end_ts": CLOSE} | columns
    return {
        "markets": {"condition": [condition(number) for number in numbers]}
        | {name: [value] * len(numbers) for name, value in row.items()},
        "tokens": {
            "token": [token(number, outcome) for number in numbers for outcome in (0, 1)],
            "condition": [condition(number) for number in numbers for _ in (0, 1)],
            "outcome": [0, 1] * len(numbers), "source": ["gamma"] * 2 * len(numbers),
        },
    }  # fmt: skip


def resolution(ts: int, numerators: tuple[int, int], market: int = 1) -> dict[str, list[Any]]:
    return {
        "condition": [condition(market)], "source": ["chain"], "ts": [ts], "numerators": [list(numerators)],
        "block": [9],
    }  # fmt: skip


def fill(
    wallet: int, hour: float, shares: int, cents: int, *, market: int = 1, outcome: int = 0, kind: str = "BUY",
    tx: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """A fill of whole shares for so many cents, ``hour`` hours after the opening; by default in its own transaction."""
    ts, cash = OPEN + round(hour * HOUR), cents * USD // 100
    tx = tx or 1 + wallet * 10**9 + (ts - OPEN) * 100 + market * 10 + outcome
    return {
        "wallet": bytes([wallet]) * 20, "token": token(market, outcome), "condition": condition(market),
        "tx": tx.to_bytes(32, "big"),
        "source": "activity", "kind": kind, "ts": ts, "pos": 1, "shares": shares * USD, "cash": cash,
        "shares_gross": shares * USD, "usdc_gross": cash, "outcome": outcome,
    }  # fmt: skip


def columns(rows: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    rows = list(rows)
    return {name: [row[name] for row in rows] for name in rows[0]}


def load(warehouse: Warehouse, tables: Tables) -> None:
    for name, table in tables.items():
        warehouse.write(name, table, run=1, token="scores")


def empty(warehouse: Warehouse) -> None:
    """Leave nothing but the schema."""
    for (table,) in warehouse.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0"
        " AND name != 'schema_migrations'"
    ).rows:
        warehouse.command(f"TRUNCATE TABLE {table}")


def stored(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """Wallet → its row of ``wallet_scores_v1``, without the bookkeeping."""
    result = warehouse.query("SELECT * EXCEPT (version, is_deleted, as_of) FROM wallet_scores_v1 FINAL")
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    return {"0x" + bytes(row.pop("wallet")).hex(): row for row in rows}


def dump(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return sorted(warehouse.query("SELECT * EXCEPT (version, is_deleted) FROM wallet_scores_v1 FINAL").rows, key=repr)
