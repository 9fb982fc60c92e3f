"""Whale and insider scores of wallets, with what they were computed from. Aids for ranking, never accusations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from polyhouse.metrics.exact import NO_SAMPLE, OK, nine, nine_of
from polyhouse.metrics.scores import (
    INSIDER_VERSION,
    WHALE_VERSION,
    InsiderInputs,
    Part,
    WhaleInputs,
    insider,
    whale,
)
from polyhouse.models.questions import Row
from polyhouse.models.wallet_documents import SMALL
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment, money
from polyhouse.reads.parts import read_parts

NOTE = "a ranking aid, not an accusation"
NOT_COMPUTED = "NOT_COMPUTED"
"""No build has looked at this wallet yet."""

_WHALE_COLUMNS = {
    "volume": "volume", "trades": "trades", "wins": "wins", "decided": "decided", "bought_cost": "bought_cost",
    "positions": "bought_positions",
}  # fmt: skip
_INSIDER_COLUMNS = {
    "entries": "entries", "positions": "entry_positions", "stake": "stake", "early_stake": "early_stake",
    "early_weight": "early_weight", "reference_stake": "reference_stake", "against_stake": "against_stake",
    "timing_stake": "timing_stake", "timing_gain": "timing_gain", "timing_best": "timing_best",
}  # fmt: skip
_BATCH = 10_000


def whale_scores(warehouse: Warehouse, wallets: Sequence[bytes]) -> dict[bytes, int]:
    """``whale_v1`` in tenths (0–100) of those of ``wallets`` (20 bytes each) that a build has scored."""
    found: dict[bytes, int] = {}
    for start in range(0, len(wallets), _BATCH):
        rows = warehouse.query(
            "SELECT wallet, whale_tenths FROM wallet_scores_v1 FINAL"
            " WHERE wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))",
            {"wallets": [wallet.hex() for wallet in wallets[start : start + _BATCH]]},
        ).rows
        found.update((bytes(wallet), int(tenths)) for wallet, tenths in rows)
    return found


def scores(warehouse: Warehouse, wallet: bytes) -> dict[str, Any]:
    """Both scores of one wallet (20 bytes): see ``scores_document``."""
    return scores_document(read_parts(warehouse, {"scores": SMALL["scores"]}, {"wallet": wallet.hex()})["scores"])


def scores_document(rows: Sequence[Row]) -> dict[str, Any]:
    """Both scores of one wallet from the rows of ``scores``, as the wallet document shows them.

    Every part comes with its points and with the numbers behind it, so that each score can be worked out by hand.
    ``value`` is None with a ``status`` where there is nothing to score; a part without input has no points and lowers
    nothing.
    """
    if not rows:
        return {
            "whale": _unknown(WHALE_VERSION) | {"is_whale": None},
            "insider": _unknown(INSIDER_VERSION) | {"is_suspected": None},
        }
    return {"whale": _whale(rows[0]), "insider": _insider(rows[0])}


def _unknown(version: str) -> dict[str, Any]:
    return {"value": None, "status": NOT_COMPUTED, "inputs": None, "version": version, "as_of": None, "note": NOTE}


def _whale(row: Mapping[str, Any]) -> dict[str, Any]:
    inputs = WhaleInputs(**{name: int(row[column]) for name, column in _WHALE_COLUMNS.items()})
    parts = whale(inputs)
    return {
        "value": _tenths(row["whale_tenths"]),
        "is_whale": bool(row["is_whale"]),
        "status": OK if inputs.trades else NO_SAMPLE,
        "inputs": {
            "volume": {"points": nine_of(parts.volume), "volume": money(inputs.volume)},
            "win_rate": {
                "points": nine_of(parts.win_rate), "wins": inputs.wins, "decided": inputs.decided,
                "win_rate": _share(inputs.wins, inputs.decided),
            },
            "consistency": {"points": nine_of(parts.consistency), "trades": inputs.trades},
            "position_size": {
                "points": nine_of(parts.position_size), "bought_cost": money(inputs.bought_cost),
                "positions": inputs.positions,
                "average": _share(inputs.bought_cost, inputs.positions * 1_000_000),
            },
        },
        "version": WHALE_VERSION,
        "as_of": moment(row["scored_at"]),
        "note": NOTE,
    }  # fmt: skip


def _insider(row: Mapping[str, Any]) -> dict[str, Any]:
    inputs = InsiderInputs(**{name: int(row[column]) for name, column in _INSIDER_COLUMNS.items()})
    parts = insider(inputs)
    return {
        "value": _tenths(row["insider_tenths"]),
        "is_suspected": bool(row["is_suspected"]),
        "status": str(row["insider_status"]),
        "inputs": {
            "entries": inputs.entries,
            "positions": inputs.positions,
            "stake": money(inputs.stake),
            "early_entry": _part(
                parts.early_entry,
                known_stake=money(inputs.early_stake),
                earliness=_share(inputs.early_weight, inputs.early_stake),
            ),
            "contrarian": _part(
                parts.contrarian,
                known_stake=money(inputs.reference_stake),
                against_stake=money(inputs.against_stake),
                against_share=_share(inputs.against_stake, inputs.reference_stake),
            ),
            "timing": _part(
                parts.timing,
                known_stake=money(inputs.timing_stake),
                gain_24h=money(inputs.timing_gain),
                best_gain_24h=money(inputs.timing_best),
                return_24h=_share(inputs.timing_gain - inputs.timing_best, inputs.timing_stake),
            ),
        },
        "version": INSIDER_VERSION,
        "as_of": moment(row["scored_at"]),
        "note": NOTE,
    }


def _part(part: Part, **inputs: Decimal | None) -> dict[str, Any]:
    points = None if part.points is None else nine_of(part.points)
    return {"points": points, "status": part.status, **inputs}


def _share(numerator: int, denominator: int) -> Decimal | None:
    return nine(numerator, denominator) if denominator else None


def _tenths(tenths: int | None) -> Decimal | None:
    return None if tenths is None else Decimal(int(tenths)).scaleb(-1)
