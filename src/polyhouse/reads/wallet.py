"""Everything known about one wallet, as one document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyhouse.domain.ids import format_address, parse_address
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import moment, money
from polyhouse.reads.flags import flags
from polyhouse.reads.intervals import intervals
from polyhouse.reads.metrics import metric_rows
from polyhouse.reads.provenance import coverage_details
from polyhouse.reads.scores import scores
from polyhouse.reads.totals import OVERALL, SELECT_LIST, check_window, no_totals, totals_document

_WALLET = "toFixedString(unhex({wallet:String}), 20)"


class UnknownWalletError(BadInputError):
    """A well-formed address that was never seen in any source."""

    code = "UNKNOWN_WALLET"


def unknown_wallet(wallet: bytes) -> UnknownWalletError:
    """The error that says so, with the command that reads the wallet."""
    address = format_address(wallet)
    return UnknownWalletError(f"wallet {address} was never seen", hint=f"polyhouse sync wallets {address}")


def wallet(
    warehouse: Warehouse, address: str, *, sync: Mapping[str, Any] | None, window: str = "lifetime"
) -> dict[str, Any]:
    """The wallet document of the contract.

    Args:
        address: ``0x`` and 40 hex digits, any case.
        sync: the wallet's queue entry from the state store, None if it has none.
        window: of ``totals`` and ``categories``; units and positions are as of now, ``metrics`` of all windows.

    Raises:
        BadInputError: a malformed address or unknown window.
        UnknownWalletError: neither the ledger nor the queue knows the address.
    """
    check_window(window)
    wallet_id = parse_address(address)
    bound = {"wallet": wallet_id.hex(), "window": window}
    totals = _rows(
        warehouse,
        f"SELECT {SELECT_LIST} FROM wallet_totals FINAL WHERE wallet = {_WALLET} AND `window` = {{window:String}}"
        " ORDER BY category",
        bound,
    )
    positions = _positions(warehouse, bound)
    if not totals and not positions and sync is None:
        raise unknown_wallet(wallet_id)
    coverage = _rows(
        warehouse, f"SELECT coverage, provisional FROM wallet_coverage FINAL WHERE wallet = {_WALLET}", bound
    )
    overall = next((row for row in totals if row["category"] == OVERALL), None)
    return {
        "wallet": format_address(wallet_id),
        "as_of": moment(newest_build_time(warehouse)),
        "coverage": coverage[0]["coverage"] if coverage else None,
        "provisional": list(coverage[0]["provisional"]) if coverage else _not_built(),
        "coverage_details": coverage_details(warehouse, wallet_id),
        "totals": totals_document(overall) if overall else no_totals(),
        "categories": [
            {"category": row["category"], **totals_document(row)} for row in totals if row["category"] != OVERALL
        ],
        "units": _units(warehouse, bound),
        "positions": positions,
        "scores": scores(warehouse, wallet_id),
        "flags": flags(warehouse, wallet_id),
        "intervals": intervals(warehouse, wallet_id),
        "metrics": metric_rows(warehouse, wallet_id),
        "sync": dict(sync) if sync is not None else _never_queued(),
    }


def _not_built() -> list[str]:
    """A wallet that the models have not seen yet has no numbers to rely on."""
    return ["not_computed"]


def _never_queued() -> dict[str, Any]:
    return {
        "status": None, "last_synced_at": None, "last_trade_at": None, "trades_synced": 0, "attempts": 0,
        "last_error": None,
    }  # fmt: skip


def _units(warehouse: Warehouse, bound: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = _rows(
        warehouse,
        "SELECT lower(hex(unit)) AS unit_hex, arrayMap(c -> lower(hex(c)), conditions) AS conditions_hex, category,"
        " realized, unrealized, toString(result) AS result_word, is_open, toUnixTimestamp(closed_ts) AS closed"
        f" FROM units FINAL WHERE wallet = {_WALLET} ORDER BY unit",
        bound,
    )
    return [
        {
            "unit": f"0x{row['unit_hex']}",
            "condition_ids": [f"0x{condition}" for condition in row["conditions_hex"]],
            "category": row["category"],
            "realized": money(row["realized"]),
            "unrealized": money(row["unrealized"]),
            "result": None if row["is_open"] else row["result_word"] or None,
            "closed_at": None if row["is_open"] else moment(row["closed"]),
        }
        for row in rows
    ]


def _positions(warehouse: Warehouse, bound: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = _rows(
        warehouse,
        "SELECT hex(token) AS token_hex, lower(hex(condition)) AS condition_hex, outcome, shares, external_shares,"
        " cost, realized, unrealized, toString(status) AS status_word"
        f" FROM positions FINAL WHERE wallet = {_WALLET} ORDER BY condition, outcome, token",
        bound,
    )
    names = _outcome_names(warehouse, bound) if rows else {}
    return [
        {
            "token_id": str(int(row["token_hex"], 16)),
            "condition_id": f"0x{row['condition_hex']}",
            "outcome_index": int(row["outcome"]),
            "outcome": _name(names.get(row["condition_hex"], ()), int(row["outcome"])),
            "shares": money(row["shares"]),
            "external_shares": money(row["external_shares"]),
            "cost": money(row["cost"]),
            "realized": money(row["realized"]),
            "unrealized": money(row["unrealized"]),
            "status": row["status_word"],
        }
        for row in rows
    ]


def _outcome_names(warehouse: Warehouse, bound: Mapping[str, Any]) -> dict[str, list[str]]:
    rows = _rows(
        warehouse,
        "SELECT lower(hex(condition)) AS condition_hex, argMax(outcomes, length(outcomes)) AS names"
        " FROM markets_current WHERE condition IN"
        f" (SELECT condition FROM positions WHERE wallet = {_WALLET}) GROUP BY condition",
        bound,
    )
    return {row["condition_hex"]: list(row["names"]) for row in rows}


def _name(names: list[str] | tuple[str, ...], outcome: int) -> str | None:
    return names[outcome] if outcome < len(names) else None


def _rows(warehouse: Warehouse, sql: str, bound: Mapping[str, Any]) -> list[dict[str, Any]]:
    used = {name: value for name, value in bound.items() if f"{{{name}:" in sql}
    result = warehouse.query(sql, used)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]
