"""Everything known about one wallet, as one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polyhouse.domain.ids import format_address, parse_address
from polyhouse.errors import BadInputError
from polyhouse.models.questions import Row
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment, money
from polyhouse.reads.flags import flags, levels_of, specialists_of
from polyhouse.reads.intervals import intervals
from polyhouse.reads.metrics import metric_rows
from polyhouse.reads.outcomes import outcome_names
from polyhouse.reads.parts import in_order
from polyhouse.reads.provenance import coverage_document
from polyhouse.reads.scores import scores_document
from polyhouse.reads.totals import OVERALL, check_window, no_totals, totals_document
from polyhouse.reads.wallet_parts import wallet_parts


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
    read = wallet_parts(warehouse, wallet_id)
    parts = read.rows
    totals = [_total(row) for row in in_order(parts["totals"], "category") if row["window"] == window]
    if not totals and not parts["positions"] and sync is None:
        raise unknown_wallet(wallet_id)
    coverage = parts["wallet_coverage"]
    overall = next((row for row in totals if row["category"] == OVERALL), None)
    levels, specialists = levels_of(warehouse, read.build), specialists_of(warehouse, read.build).of(wallet_id)
    names = outcome_names(warehouse, [row["condition"] for row in parts["positions"]])
    return {
        "wallet": format_address(wallet_id),
        "as_of": moment(read.as_of),
        "coverage": coverage[0]["coverage"] if coverage else None,
        "provisional": coverage[0]["provisional"] if coverage else _not_built(),
        "coverage_details": coverage_document(warehouse, parts),
        "totals": totals_document(overall) if overall else no_totals(),
        "categories": [
            {"category": row["category"], **totals_document(row)} for row in totals if row["category"] != OVERALL
        ],
        "units": _units(parts["units"], parts["joint units"]),
        "positions": _positions(parts["positions"], names),
        "scores": scores_document(parts["scores"]),
        "flags": flags(levels, parts["flags"], specialists, known=bool(coverage)),
        "intervals": intervals(parts["intervals"]),
        "metrics": metric_rows(warehouse, wallet_id, read.metrics),
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


def _total(row: Row) -> Row:
    return row | {"first_trade": row["first_trade_ts"], "last_trade": row["last_trade_ts"]}


def _units(rows: Sequence[Row], joint: Sequence[Row]) -> list[dict[str, Any]]:
    conditions: dict[bytes, list[bytes]] = {}
    for row in joint:
        conditions.setdefault(row["unit"], []).append(row["condition"])
    return [
        {
            "unit": f"0x{row['unit'].hex()}",
            "condition_ids": [f"0x{condition.hex()}" for condition in conditions.get(row["unit"], [row["unit"]])],
            "category": row["category"],
            "realized": money(row["realized"]),
            "unrealized": money(row["unrealized"]),
            "result": None if row["is_open"] else row["result"] or None,
            "closed_at": None if row["is_open"] else moment(row["closed_ts"]),
        }
        for row in in_order(rows, "unit")
    ]


def _positions(rows: Sequence[Row], names: Mapping[bytes, Sequence[str]]) -> list[dict[str, Any]]:
    return [
        {
            "token_id": str(int.from_bytes(row["token"])),
            "condition_id": f"0x{row['condition'].hex()}",
            "outcome_index": row["outcome"],
            "outcome": _name(names[row["condition"]], row["outcome"]),
            "shares": money(row["shares"]),
            "external_shares": money(row["external_shares"]),
            "cost": money(row["cost"]),
            "realized": money(row["realized"]),
            "unrealized": money(row["unrealized"]),
            "status": row["status"],
        }
        for row in in_order(rows, "condition", "outcome", "token")
    ]


def _name(names: Sequence[str], outcome: int) -> str | None:
    return names[outcome] if outcome < len(names) else None
