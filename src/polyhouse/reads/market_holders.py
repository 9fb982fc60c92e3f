"""Who holds a market, how good they are, and which way the good ones lean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from polyhouse.domain.ids import format_address
from polyhouse.metrics.exact import nine_of
from polyhouse.metrics.smart_money import RESOLVED, Holding, Split, smart_score, split, tier_of
from polyhouse.ports import Warehouse
from polyhouse.reads.board_columns import WALLET_TYPE, places_among
from polyhouse.reads.board_rows import Slice
from polyhouse.reads.board_sorts import units_of
from polyhouse.reads.boards import boards_of
from polyhouse.reads.exact import money
from polyhouse.reads.ratios import grade_of, omega_shrunk_of
from polyhouse.reads.totals import OVERALL

FEW_WALLETS = 2_000
"""Up to so many wallets are looked up by their keys; for more, whole columns are read."""
_TOKENS = "token IN (SELECT toFixedString(unhex(arrayJoin({tokens:Array(String)})), 32))"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome of a market: its token and what a share is worth now, micro-USDC; None = unknown."""

    token: bytes
    index: int
    mark_e6: int | None
    resolved: bool


@dataclass(frozen=True, slots=True)
class Position:
    """What a wallet has had of one outcome, in micro-units; ``first_at`` and ``last_at`` in Unix seconds."""

    wallet: bytes
    outcome: int
    held: int
    cost: int
    realized: int
    unrealized: int | None
    bought_cost: int
    fees: int
    first_at: int
    last_at: int


def positions_of(warehouse: Warehouse, outcomes: Sequence[Outcome]) -> list[Position]:
    """All positions there ever were in the outcomes, in one pass, by wallet and outcome."""
    index = {one.token: one.index for one in outcomes}
    rows = warehouse.query(
        # PREWHERE on a column of the key: other tokens are left out before versions are compared.
        "SELECT wallet, token, shares + external_shares AS held, cost, realized, unrealized, bought_cost, fees,"
        " toUnixTimestamp(first_ts) AS first_at, toUnixTimestamp(last_ts) AS last_at FROM positions FINAL"
        f" PREWHERE {_TOKENS}",
        {"tokens": [token.hex() for token in index]},
    ).rows
    found = [Position(bytes(wallet), index[bytes(token)], *values) for wallet, token, *values in rows]
    return sorted(found, key=lambda one: (one.wallet, one.outcome))


@dataclass(slots=True)
class Holder:
    """Shares of one outcome in one wallet: by our ledger and as reported (micro-shares, None = not listed there)."""

    wallet: bytes
    outcome: int
    ours: int | None = None
    reported: int | None = None
    cost: int | None = None
    realized: int | None = None
    unrealized: int | None = None

    @property
    def shares(self) -> int:
        """By the ledger, where the wallet is in it; else as reported."""
        return self.ours if self.ours is not None else self.reported or 0


def holders_of(warehouse: Warehouse, outcomes: Sequence[Outcome], positions: Sequence[Position]) -> list[Holder]:
    """All wallets that hold an outcome, by their positions or as reported, in the order of addresses."""
    index = {one.token: one.index for one in outcomes}
    found = {
        (one.wallet, one.outcome): Holder(
            one.wallet, one.outcome, ours=one.held, cost=one.cost, realized=one.realized, unrealized=one.unrealized
        )
        for one in positions
    }
    for wallet, token, shares in warehouse.query(
        f"SELECT wallet, token, shares FROM reported_holders_current WHERE {_TOKENS}",
        {"tokens": [token.hex() for token in index]},
    ).rows:
        key = bytes(wallet), index[bytes(token)]
        found.setdefault(key, Holder(*key)).reported = int(shares)
    return [found[key] for key in sorted(found) if found[key].shares > 0 or found[key].reported]


@dataclass(frozen=True, slots=True)
class Record:
    """What a wallet has shown in its whole life: closed bets, gains and losses in micro-USDC."""

    units: int
    gains: int
    losses: int

    @property
    def score(self) -> Fraction | None:
        """The smart score, None below the minimum sample."""
        return smart_score(self.gains, self.losses, self.units)


def records_of(warehouse: Warehouse, wallets: Sequence[bytes]) -> dict[bytes, Record]:
    """Wallet → its record, of those that the ledger knows."""
    if not wallets:
        return {}
    if len(wallets) > FEW_WALLETS:
        return _records_of_many(warehouse, set(wallets))
    rows = warehouse.query(
        "SELECT wallet, wins + losses + flats AS units, gains, losses_abs FROM wallet_totals FINAL"
        " WHERE wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))"
        f" AND category = '{OVERALL}' AND window = 'lifetime'",
        {"wallets": sorted({wallet.hex() for wallet in wallets})},
    ).rows
    return {bytes(wallet): Record(int(units), int(gains), int(losses)) for wallet, units, gains, losses in rows}


def _records_of_many(warehouse: Warehouse, wallets: set[bytes]) -> dict[bytes, Record]:
    board = boards_of(warehouse).get(warehouse, Slice(OVERALL, "lifetime", enough=False))
    asked = np.array(list(wallets), WALLET_TYPE)
    places, known = places_among(board.wallets, asked)
    rows = board.at(places[known])
    sums = zip(units_of(rows).tolist(), rows["gains"].tolist(), rows["losses_abs"].tolist(), strict=True)
    return {board.wallet(place): Record(*one) for place, one in zip(places[known], sums, strict=True)}


def smart_split(holders: Sequence[Holder], records: Mapping[bytes, Record], outcomes: Sequence[Outcome]) -> Split:
    """The smart-money split of a market with two outcomes; of a resolved one only its status."""
    if any(one.resolved for one in outcomes):
        return Split(RESOLVED, RESOLVED)
    marks = {one.index: one.mark_e6 for one in outcomes}
    holdings = [
        Holding(one.wallet, one.outcome, value_of(one, marks) or 0, _score(records, one.wallet)) for one in holders
    ]
    return split(holdings, marks.get(0))


def value_of(holder: Holder, marks: Mapping[int, int | None]) -> int | None:
    """Worth of the shares at the mark, micro-USDC, floored; None without a mark."""
    mark = marks.get(holder.outcome)
    return None if mark is None else holder.shares * mark // 1_000_000


def _score(records: Mapping[bytes, Record], wallet: bytes) -> Fraction | None:
    record = records.get(wallet)
    return None if record is None else record.score


def holder_document(holder: Holder, record: Record | None, marks: Mapping[int, int | None]) -> dict[str, Any]:
    """One holder with its score."""
    return {
        "wallet": format_address(holder.wallet),
        "outcome_index": holder.outcome,
        "shares": money(holder.ours),
        "reported_shares": money(holder.reported),
        "value": money(value_of(holder, marks)),
        "cost": money(holder.cost),
        "realized": money(holder.realized),
        "unrealized": money(holder.unrealized),
        **record_document(record),
    }


def record_document(record: Record | None) -> dict[str, Any]:
    """How good a wallet is: smart score and tier, shrunk omega, grade, closed bets."""
    score = None if record is None else record.score
    return {
        "smart_score": None if score is None else nine_of(score),
        "tier": tier_of(score),
        "omega_shrunk": None if record is None else omega_shrunk_of(record.gains, record.losses),
        "grade": None if record is None else grade_of(record.gains, record.losses),
        "units": None if record is None else record.units,
    }


def split_document(found: Split) -> dict[str, Any]:
    """The split as it stands in documents."""
    return {
        "status": found.status,
        "verdict": found.verdict,
        "favours_outcome_index": found.favours,
        "is_opportunity": found.opportunity,
        "sentiment": _nine(found.sentiment),
        "confidence": _nine(found.confidence),
        "smart_share": _nine(found.smart_share),
        "market_share": _nine(found.market_share),
        "divergence": _nine(found.divergence),
        "signal": {
            "value": _nine(found.signal),
            "status": found.signal_status,
            "confidence": _nine(found.signal_confidence),
        },
        "inputs": {
            "smart_value": [money(value) for value in found.smart],
            "known_value": [money(value) for value in found.known],
            "total_value": [money(value) for value in found.total],
        },
    }


def _nine(value: Fraction | None) -> Decimal | None:
    return None if value is None else nine_of(value)
