"""``polyhouse replay``: decoded logs from a file through the product's own ledger, SQL and metrics.

The cases of one file share one throw-away store; their ids are kept apart by a namespace per case. The answer uses the
file's own names (``W1``, ``AY``), keys (``tx:li``, ``W/token``, ``W/unit``) and integer micro-units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from polyhouse.errors import BadInputError
from polyhouse.ledger.amm import lp_token
from polyhouse.ledger.chain import ChainRows, observations
from polyhouse.ledger.fifo import fold_fifo
from polyhouse.ledger.fold import Holding, LedgerRow, Settlement
from polyhouse.ledger.parity import subgraph_positions
from polyhouse.ledger.symbols import SymbolTable
from polyhouse.ledger.vector_logs import VectorCase, parse_case
from polyhouse.ledger.vector_view import fill_view, flag_view, volume_view, wallet_view
from polyhouse.metrics.vectors import evaluate
from polyhouse.models.build import model_sql
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse

_EPOCH = 1_500_000_000
"""Time of block 0 where the times of a file cannot be used: only the order of the logs matters."""

_CASE_LISTS = ("vectors", "metric_vectors", "id_vectors", "peer_vectors")

_POSITION_FIELDS = {
    "shares": "shares", "ext_shares": "external_shares", "cost": "cost", "realized": "realized",
    "unrealized": "unrealized", "status": "status", "bought": "bought", "bought_cost": "bought_cost", "fees": "fees",
    "untracked_shares": "untracked_shares", "untracked_cash": "untracked_cash", "basis_out": "basis_out",
    "settled_value": "settled_value", "redeemed_cash": "redeemed_cash",
}  # fmt: skip


def replay(document: Mapping[str, Any], warehouse: Warehouse) -> list[dict[str, Any]]:
    """Answer every case of a vector file, in file order.

    Args:
        document: object with ``vectors``, ``metric_vectors``, ``id_vectors`` or ``peer_vectors``.
        warehouse: an empty store; it is filled and can be thrown away.

    Raises:
        BadInputError: no case at all, or a case that cannot be read (names it).
    """
    cases = [case for name in document if name in _CASE_LISTS for case in document[name]]
    if not cases:
        raise BadInputError(f"no cases found: expected one of the lists {', '.join(_CASE_LISTS)}")
    parsed: dict[int, tuple[VectorCase, ChainRows]] = {}
    for place, case in enumerate(cases):
        if "input" in case:
            try:
                vector = parse_case(case["input"], f"{place}:")
            except BadInputError as error:
                raise BadInputError(f"case {case.get('id', place)}: {error}") from error
            parsed[place] = (
                vector,
                observations(vector.transactions, vector.registry, use_transfers=vector.use_transfers),
            )
    if parsed:
        _load(warehouse, parsed.values())
        build(warehouse)
    by_fifo = _fifo(warehouse) if parsed else {}
    answers = []
    for place, case in enumerate(cases):
        if place in parsed:
            vector, rows = parsed[place]
            answer = _answer(warehouse, vector, rows)
            answer["fifo_positions"] = _named(by_fifo, rows, vector.symbols)
            answer["subgraph"] = _subgraph(vector)
            answers.append({"id": case.get("id"), **answer})
        elif "metric" in case or "fn" in case:
            answers.append({"id": case.get("id"), "result": evaluate(case)})
    return answers


def _load(warehouse: Warehouse, cases: Iterable[tuple[VectorCase, ChainRows]]) -> None:
    for place, (case, rows) in enumerate(cases):
        tables = rows.tables()
        if not _times_follow_the_logs(rows):
            for columns in tables.values():
                columns["ts"] = [_EPOCH + block for block in columns["block"]]
        conditions = case.conditions
        tables["markets"] = {
            "condition": [c.condition for c in conditions],
            "source": ["chain"] * len(conditions),
            "tokens": [list(c.tokens) for c in conditions],
            "neg_risk_market": [c.neg_risk_market for c in conditions],
            "question_index": [c.question_index if c.neg_risk_market else 65_535 for c in conditions],
        }
        known = [(token, c.condition, i) for c in conditions for i, token in enumerate(c.tokens)]
        known += [(lp_token(pool), lp_token(pool), 0) for pool in case.registry.pools]
        tables["tokens"] = {
            "token": [token for token, _, _ in known],
            "condition": [condition for _, condition, _ in known],
            "outcome": [outcome for _, _, outcome in known],
            "source": ["chain"] * len(known),
        }
        tables["neg_risk_markets"] = {
            "market": [m.market for m in case.neg_risk_markets],
            "question_count": [m.question_count for m in case.neg_risk_markets],
            "fee_bips": [m.fee_bips for m in case.neg_risk_markets],
            "source": ["chain"] * len(case.neg_risk_markets),
        }
        tables["given_marks"] = {"token": list(case.marks), "mark_e6": list(case.marks.values())}
        for table, columns in tables.items():
            if next(iter(columns.values()), []):
                warehouse.write(table, columns, run=1, token=f"replay:{place}")


def _times_follow_the_logs(rows: ChainRows) -> bool:
    """False if a log has no time or an earlier one than its predecessor: times never decide an order (§1.7)."""
    placed = [(row.block, row.tx_index, row.pos, row.ts) for row in rows.observations]
    placed += [(row.block, row.tx_index, row.pos, row.ts) for row in rows.resolutions]
    times = [ts for *_, ts in sorted(placed)]
    return all(times) and times == sorted(times)


def _answer(warehouse: Warehouse, case: VectorCase, rows: ChainRows) -> dict[str, Any]:
    symbols = case.symbols
    wallets = sorted({row.wallet for row in rows.observations})
    fills = fill_view(rows.observations, symbols)
    if not wallets:
        selected = "0"
    else:
        addresses = ", ".join(f"unhex('{wallet.hex()}')" for wallet in wallets)
        selected = f"wallet IN ({addresses})"
    return {
        "fills": fills,
        "fill_count": len(fills),
        "gross_volume": volume_view(rows.observations),
        "flags": flag_view(rows.flags, symbols),
        "events": _events(rows, symbols),
        "wallet_list": wallet_view(rows.observations, symbols),
        "positions": _positions(warehouse, selected, symbols),
        "units": _units(warehouse, selected, symbols),
        "wallets": _wallets(warehouse, selected, symbols),
        "redeemed_cash": _redeemed_cash(warehouse, selected, symbols),
        "closed_form": _closed_form(warehouse, selected, symbols),
    }


def _subgraph(case: VectorCase) -> dict[str, dict[str, int]]:
    """What the pnl-subgraph says of every wallet; machinery, which it cannot tell from wallets, is left out."""
    found = subgraph_positions((log for logs in case.transactions for log in logs), case.registry)
    return {
        f"{case.symbols.name(user)}/{case.symbols.name(token)}": {
            "amount": position.amount,
            "avgPrice": position.avg_price,
            "realizedPnl": position.realized_pnl,
            "totalBought": position.total_bought,
        }
        for (user, token), position in found.items()
        if not case.registry.is_infra(user)
    }


def _fifo(warehouse: Warehouse) -> dict[bytes, dict[bytes, dict[str, int | None]]]:
    """Wallet → token → position by first in, first out, from the ledger rows of the store."""
    found = warehouse.query(
        "SELECT token, mark_e6, resolved, numerator, denominator, toUnixTimestamp(resolved_ts), resolved_block,"
        " resolved_tx_index, resolved_pos FROM token_map FINAL WHERE token IN (SELECT token FROM ledger)"
    )
    marks = {bytes(token): mark for token, mark, *_ in found.rows}
    settlements = {bytes(token): Settlement(*place) for token, _, resolved, *place in found.rows if resolved}
    ledger = warehouse.query(
        "SELECT wallet, token, toUnixTimestamp(ts), block, tx_index, pos, toInt8(kind), ds, du, fee, amount,"
        " convert_cash, concat(hex(tx), ':', toString(pos)) FROM ledger FINAL WHERE token != toFixedString('', 32)"
        " ORDER BY wallet, ts, block, tx_index, pos, cls, tx, sub"
    )
    return {
        bytes(wallet): {
            token: _fifo_position(holding, marks.get(token))
            for token, holding in fold_fifo((_ledger_row(row) for row in rows), settlements).items()
        }
        for wallet, rows in groupby(ledger.rows, key=itemgetter(0))
    }


def _ledger_row(row: Sequence[Any]) -> LedgerRow:
    _, token, *numbers, event = row
    return LedgerRow._make((bytes(token), *numbers, event.encode()))


def _fifo_position(holding: Holding, mark: int | None) -> dict[str, int | None]:
    unrealized: int | None = 0
    if holding.held and not holding.settled:
        unrealized = None if mark is None else holding.held * mark // 1_000_000 - holding.cost
    return {
        "shares": holding.available, "cost": holding.cost, "realized": holding.realized, "unrealized": unrealized,
    }  # fmt: skip


def _named(
    found: Mapping[bytes, Mapping[bytes, dict[str, int | None]]], rows: ChainRows, symbols: SymbolTable
) -> dict[str, dict[str, int | None]]:
    """The positions of one case in its own names."""
    return {
        f"{symbols.name(wallet)}/{symbols.name(token)}": position
        for wallet in sorted({row.wallet for row in rows.observations})
        for token, position in sorted(found.get(wallet, {}).items())
    }


def _events(rows: ChainRows, symbols: SymbolTable) -> list[dict[str, Any]]:
    """Everything of the ledger that is not a fill, in log order."""
    return [
        {
            "id": f"{symbols.name(row.tx)}:{row.pos}",
            "kind": row.kind,
            "wallet": symbols.name(row.wallet),
            "condition": symbols.name(row.condition) if row.condition else None,
            "token": symbols.name(row.token) if any(row.token) else None,
            "amount": row.shares,
            "cash": row.cash,
            "label": row.label or None,
        }
        for row in rows.observations
        if row.kind not in ("BUY", "SELL") or row.label
    ]


def _positions(warehouse: Warehouse, selected: str, symbols: SymbolTable) -> dict[str, dict[str, Any]]:
    columns = ", ".join(_POSITION_FIELDS.values())
    found = warehouse.query(
        f"SELECT wallet, token, {columns} FROM positions FINAL WHERE {selected} ORDER BY wallet, token"
    )
    return {
        f"{symbols.name(bytes(wallet))}/{symbols.name(bytes(token))}": dict(zip(_POSITION_FIELDS, values, strict=True))
        for wallet, token, *values in found.rows
    }


def _units(warehouse: Warehouse, selected: str, symbols: SymbolTable) -> dict[str, dict[str, Any]]:
    found = warehouse.query(
        "SELECT wallet, hex(unit), realized, unrealized, bought_cost, is_open, toString(result), fees FROM units FINAL"
        f" WHERE {selected} ORDER BY wallet, unit"
    )
    return {
        f"{symbols.name(bytes(wallet))}/{symbols.name(bytes.fromhex(unit))}": {
            "realized": realized,
            "unrealized": unrealized,
            "total": None if unrealized is None else realized + unrealized,
            "cost": cost,
            "open": bool(is_open),
            "result": result or None,
            "fees": fees,
        }
        for wallet, unit, realized, unrealized, cost, is_open, result, fees in found.rows
    }


def _wallets(warehouse: Warehouse, selected: str, symbols: SymbolTable) -> dict[str, dict[str, Any]]:
    found = warehouse.query(
        "SELECT wallet, realized, unrealized, unmarked, fees, income, untracked_cash, redeemed_cash, volume, trades,"
        " markets, wins, losses, flats, open_units, gains, losses_abs, bought_cost FROM wallet_totals FINAL"
        f" WHERE category = 'overall' AND window = 'lifetime' AND {selected} ORDER BY wallet"
    )
    wallets = {}
    for wallet, *values in found.rows:
        total = dict(zip(found.columns[1:], values, strict=True))
        pnl = None if total["unrealized"] is None else total["realized"] + total["unrealized"]
        wallets[symbols.name(bytes(wallet))] = {
            **{name: value for name, value in total.items() if name != "flats"},
            "flat": total["flats"],
            "position_pnl": pnl,
            "gross_of_fees": None if pnl is None else pnl + total["fees"],
            "economic": None if pnl is None else pnl + total["income"],
        }
    return wallets


def _redeemed_cash(warehouse: Warehouse, selected: str, symbols: SymbolTable) -> dict[str, int]:
    found = warehouse.query(
        "SELECT l.wallet, hex(t.condition) AS name, sum(l.du) FROM ledger AS l FINAL"
        " INNER JOIN (SELECT token, condition FROM token_map FINAL) AS t ON t.token = l.token"
        f" WHERE l.kind = 'REDEEM' AND {selected.replace('wallet', 'l.wallet')} GROUP BY l.wallet, name"
        " ORDER BY l.wallet, name"
    )
    return {
        f"{symbols.name(bytes(wallet))}/{symbols.name(bytes.fromhex(condition))}": cash
        for wallet, condition, cash in found.rows
    }


def _closed_form(warehouse: Warehouse, selected: str, symbols: SymbolTable) -> dict[str, int]:
    found = warehouse.query(
        f"SELECT wallet, hex(unit), total FROM ({model_sql('order_free', selected)}) ORDER BY wallet, unit"
    )
    return {
        f"{symbols.name(bytes(wallet))}/{symbols.name(bytes.fromhex(unit))}": int(total)
        for wallet, unit, total in found.rows
    }
