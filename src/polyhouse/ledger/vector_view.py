"""Chain rows in the words of the vector files: fills by ``tx:li``, flags, volumes, wallets (accounting §6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polyhouse.ledger.rows import Flag, Observation
from polyhouse.ledger.symbols import SymbolTable

FILL_ROLES = ("MAKER", "TAKER", "DIRECT")
_NOBODY = bytes(20)


def fill_view(rows: Iterable[Observation], symbols: SymbolTable) -> dict[str, dict[str, Any]]:
    """``OrderFilled`` rows by ``tx:li`` with signed net deltas; AMM rows and liquidity are no fills of an exchange."""
    return {
        f"{symbols.name(row.tx)}:{row.pos}": _fill(row, symbols)
        for row in rows
        if row.role in FILL_ROLES and row.exchange != "FPMM"
    }


def flag_view(flags: Iterable[Flag], symbols: SymbolTable) -> list[str]:
    """Flags as ``word tx:li``, in log order."""
    return [f"{flag.word} {symbols.name(flag.tx)}:{flag.log_index}" for flag in flags]


def volume_view(rows: Iterable[Observation]) -> dict[str, int]:
    """Σ (usdc_gross − refund) of fills by role, micro-USDC. One-sided market volume is TAKER + DIRECT (§1.5)."""
    volumes = dict.fromkeys(FILL_ROLES, 0)
    for row in rows:
        if row.role in volumes:
            volumes[row.role] += row.usdc_gross - row.refund_usdc
    return volumes


def wallet_view(rows: Iterable[Observation], symbols: SymbolTable) -> list[str]:
    """Every wallet that owns a row, sorted."""
    return sorted({symbols.name(row.wallet) for row in rows})


def _fill(row: Observation, symbols: SymbolTable) -> dict[str, Any]:
    buys = row.kind == "BUY"
    return {
        "wallet": symbols.name(row.wallet),
        "role": row.role,
        "match_type": row.match_type or None,
        "match_id": f"{symbols.name(row.tx)}:{row.match_pos}" if row.match_pos else None,
        "counterparty": symbols.name(row.counterparty) if row.counterparty != _NOBODY else None,
        "side": row.kind,
        "token": symbols.name(row.token),
        "condition": symbols.name(row.condition) if row.condition else None,
        "outcome_index": row.outcome,
        "exchange": row.exchange,
        "shares_gross": row.shares_gross,
        "usdc_gross": row.usdc_gross,
        "shares_delta": row.shares if buys else -row.shares,
        "usdc_delta": -row.cash if buys else row.cash,
        "fee_net": row.fee_net,
        "fee_asset": row.fee_asset.upper(),
        "fee_usdc": row.fee_usdc,
        "refund_usdc": row.refund_usdc,
        "refund_shares": row.refund_shares,
        "flags": row.flags.split(),
    }
