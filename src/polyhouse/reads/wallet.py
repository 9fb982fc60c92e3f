"""Everything known about one wallet, as one document."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from polyhouse.domain.ids import format_address, parse_address
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment, money
from polyhouse.reads.flags import PARTS as FLAGS
from polyhouse.reads.flags import flags, levels_of
from polyhouse.reads.intervals import PART as INTERVALS
from polyhouse.reads.intervals import intervals
from polyhouse.reads.kept_parts import with_kept
from polyhouse.reads.metrics import PARTS as METRICS
from polyhouse.reads.metrics import metric_rows
from polyhouse.reads.parts import Question, Row, in_order, read_parts
from polyhouse.reads.provenance import PARTS as PROVENANCE
from polyhouse.reads.provenance import coverage_document
from polyhouse.reads.scores import PART as SCORES
from polyhouse.reads.scores import scores_document
from polyhouse.reads.totals import CHOSEN, OVERALL, check_window, no_totals, totals_document

_WALLET = "toFixedString(unhex({wallet:String}), 20)"
_PARTS = {
    "build": Question({"build": "max(build)", "as_of": "toUnixTimestamp(argMax(as_of, build))"}, "FROM builds"),
    "totals": Question(
        CHOSEN, f"FROM wallet_totals FINAL WHERE wallet = {_WALLET} AND `window` = {{window:String}}"
    ),
    "coverage": Question(
        {"coverage": "toString(coverage)", "provisional": "provisional"},
        f"FROM wallet_coverage FINAL WHERE wallet = {_WALLET}",
    ),
    "units": Question(
        {
            "unit": "lower(hex(unit))", "conditions": "arrayMap(c -> lower(hex(c)), conditions)",
            "category": "category", "realized": "realized", "unrealized": "unrealized", "result": "toString(result)",
            "is_open": "is_open", "closed": "toUnixTimestamp(closed_ts)",
        },
        f"FROM units FINAL WHERE wallet = {_WALLET}",
    ),
    "positions": Question(
        {
            "token": "hex(token)", "condition": "lower(hex(condition))", "outcome": "outcome", "shares": "shares",
            "external_shares": "external_shares", "cost": "cost", "realized": "realized", "unrealized": "unrealized",
            "status": "toString(status)",
        },
        f"FROM positions FINAL WHERE wallet = {_WALLET}",
    ),
    "names": Question(
        {"condition": "lower(hex(condition))", "names": "argMax(outcomes, length(outcomes))"},
        f"FROM markets FINAL WHERE condition IN (SELECT condition FROM positions WHERE wallet = {_WALLET})"
        " GROUP BY condition",
    ),
    "scores": SCORES,
    "intervals": INTERVALS,
    **FLAGS,
    **METRICS,
    **PROVENANCE,
}  # fmt: skip
_BUILT = {
    name: part.rest.split()[1] for name, part in _PARTS.items() if name not in {"names", "sources", "own_feed", "chain"}
}
"""Parts that only a build changes, and the table of each."""


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

    def read(kept: Collection[str]) -> dict[str, list[Row]]:
        return read_parts(warehouse, {name: part for name, part in _PARTS.items() if name not in kept}, bound)

    parts = with_kept(warehouse, (wallet_id, window), _BUILT, read)
    if not parts["totals"] and not parts["positions"] and sync is None:
        raise unknown_wallet(wallet_id)
    totals, coverage, (build,) = in_order(parts["totals"], "category"), parts["coverage"], parts["build"]
    overall = next((row for row in totals if row["category"] == OVERALL), None)
    levels = levels_of(warehouse, build["build"])
    return {
        "wallet": format_address(wallet_id),
        "as_of": moment(build["as_of"]),
        "coverage": coverage[0]["coverage"] if coverage else None,
        "provisional": coverage[0]["provisional"] if coverage else _not_built(),
        "coverage_details": coverage_document(warehouse, parts),
        "totals": totals_document(overall) if overall else no_totals(),
        "categories": [
            {"category": row["category"], **totals_document(row)} for row in totals if row["category"] != OVERALL
        ],
        "units": _units(parts["units"]),
        "positions": _positions(parts["positions"], {row["condition"]: row["names"] for row in parts["names"]}),
        "scores": scores_document(parts["scores"]),
        "flags": flags(levels, parts["flags"], parts["specialists"], known=bool(coverage)),
        "intervals": intervals(parts["intervals"]),
        "metrics": metric_rows(warehouse, wallet_id, [*parts["metrics"], *parts["metrics_by_category"]]),
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


def _units(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "unit": f"0x{row['unit']}",
            "condition_ids": [f"0x{condition}" for condition in row["conditions"]],
            "category": row["category"],
            "realized": money(row["realized"]),
            "unrealized": money(row["unrealized"]),
            "result": None if row["is_open"] else row["result"] or None,
            "closed_at": None if row["is_open"] else moment(row["closed"]),
        }
        for row in in_order(rows, "unit")
    ]


def _positions(rows: Sequence[Row], names: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    return [
        {
            "token_id": str(int(row["token"], 16)),
            "condition_id": f"0x{row['condition']}",
            "outcome_index": row["outcome"],
            "outcome": _name(names.get(row["condition"], ()), row["outcome"]),
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
