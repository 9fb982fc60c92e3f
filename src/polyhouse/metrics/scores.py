"""Whale and insider scores, 0–10: what they are made of (seed_systems.md §1.3, accounting §4.5).

Both are aids for ranking wallets that are worth a look. Neither says who somebody is, what he knew, or that anything
is wrong: a lucky early buyer and an informed one look alike here.

These are the definitions, one wallet at a time; ``models/wallet_scores_v1.sql`` computes the same for all wallets.
Inputs are integers (money in micro-USDC, counts); points are exact fractions, and only their sum is rounded, once,
half up, to tenths.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from polyhouse.metrics.exact import NO_SAMPLE, OK

WHALE_VERSION = "whale_v1"
INSIDER_VERSION = "insider_v1"
MAX_TENTHS = 100
"""10.0: the highest score, in tenths."""

_USD = 1_000_000
WHALE_VOLUME = 50_000 * _USD
"""Volume that earns all 3 points."""
WHALE_TRADES = 50
"""Trades that earn both points of consistency."""
WHALE_POSITION = 5_000 * _USD
"""Average position value that earns both points of position size."""
WHALE_FROM_VOLUME = 10_000 * _USD
"""``is_whale`` from this volume on, whatever the score."""

DAY_SECONDS = 86_400
"""The reference price of a purchase is that of 24 hours before, its timing that of 24 hours after."""
EARLY_MILLIONTHS = 1_000_000
"""Earliness is counted in millionths of a market's life, floored."""
TIMING_FULL_RETURN = Fraction(1, 2)
"""Return within 24 hours that earns all 3 points: 50 %, as in the seed's formula."""
KNOWN_STAKE = Fraction(1, 2)
"""A part counts where its input is known for at least this share of the stake."""
SUSPECTED_TENTHS = 70
SUSPECTED_MIN_POSITIONS = 10
"""Purchases of so many outcomes at least: fewer say nothing about a habit."""
SUSPECTED_MIN_STAKE = 100 * _USD

PARTIAL = "PARTIAL"
"""Some part has no input; it gives no points, so the score is a lower bound."""
SMALL_SAMPLE = "SMALL_SAMPLE"
"""Below the minimum for ``is_suspected``; the value is shown, but means little."""
LOW_COVERAGE = "LOW_COVERAGE"
"""The input of a part is known for less than half of the stake."""


@dataclass(frozen=True, slots=True)
class WhaleInputs:
    """What ``whale_v1`` is computed from, over the wallet's whole life.

    Attributes:
        volume: Σ (usdc_gross − refund) of its fills in both roles, micro-USDC.
        trades: its fills in both roles.
        wins: decided positions with realised PnL above 0.
        decided: positions (wallet, token) that are not open and whose realised PnL is not 0: sold out or settled.
        bought_cost: what was put into all its positions by purchases and splits, micro-USDC.
        positions: positions it put anything into.
    """

    volume: int = 0
    trades: int = 0
    wins: int = 0
    decided: int = 0
    bought_cost: int = 0
    positions: int = 0


@dataclass(frozen=True, slots=True)
class Whale:
    """``whale_v1`` with the points of its four parts (at most 3, 3, 2, 2)."""

    tenths: int
    is_whale: bool
    volume: Fraction
    win_rate: Fraction
    consistency: Fraction
    position_size: Fraction


def whale(inputs: WhaleInputs) -> Whale:
    """``whale_v1``: min(10, round1(min(3, V/50,000·3) + 3·W + min(2, n/50·2) + min(2, A/5,000·2))).

    V is the volume in USDC, W = wins / decided (0 points without a decided position), n the trades and A the average
    position value: bought_cost / positions. 0 in every part without trades. ``is_whale`` is V ≥ 10,000 USDC.
    """
    if not inputs.trades:
        return Whale(0, inputs.volume >= WHALE_FROM_VOLUME, Fraction(0), Fraction(0), Fraction(0), Fraction(0))
    parts = (
        min(Fraction(3), Fraction(3 * inputs.volume, WHALE_VOLUME)),
        Fraction(3 * inputs.wins, inputs.decided) if inputs.decided else Fraction(0),
        min(Fraction(2), Fraction(2 * inputs.trades, WHALE_TRADES)),
        min(Fraction(2), Fraction(2 * inputs.bought_cost, WHALE_POSITION * inputs.positions))
        if inputs.positions
        else Fraction(0),
    )
    return Whale(_tenths(sum(parts, Fraction(0))), inputs.volume >= WHALE_FROM_VOLUME, *parts)


@dataclass(frozen=True, slots=True)
class InsiderInputs:
    """What ``insider_v1`` is computed from: the wallet's purchases (BUY fills before the outcome was known).

    Self trades, purchases at or after the resolution, and shares from splits, conversions and transfers are left out.

    Attributes:
        entries: purchases counted.
        positions: distinct outcome tokens among them.
        stake: Σ cash paid, fees included, micro-USDC.
        early_stake: the part of the stake in markets whose start and end are known.
        early_weight: Σ stake · earliness of it, micro-USDC (floored once, at the end).
        reference_stake: the part of the stake whose price 24 hours before is known.
        against_stake: the part of that bought below this price.
        timing_stake: the part of the stake that is 24 hours old, or resolved within them.
        timing_gain: what these purchases were worth 24 hours later less what they cost, micro-USDC; may be negative.
        timing_best: the largest such gain in one outcome token; 0 if none gained.
    """

    entries: int = 0
    positions: int = 0
    stake: int = 0
    early_stake: int = 0
    early_weight: int = 0
    reference_stake: int = 0
    against_stake: int = 0
    timing_stake: int = 0
    timing_gain: int = 0
    timing_best: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """Points of one part, None with the reason in ``status``: OK, NO_SAMPLE or LOW_COVERAGE."""

    points: Fraction | None
    status: str = OK


@dataclass(frozen=True, slots=True)
class Insider:
    """``insider_v1`` with its three parts (at most 4, 3, 3).

    ``tenths`` is None with status NO_SAMPLE if no part has an input. Other statuses: SMALL_SAMPLE, PARTIAL, OK.
    """

    tenths: int | None
    is_suspected: bool
    status: str
    early_entry: Part
    contrarian: Part
    timing: Part


def insider(inputs: InsiderInputs) -> Insider:
    """``insider_v1``: the sum of its known parts, rounded half up to tenths.

    Early entry 4 · Σ stake·earliness / Σ stake; contrarian 3 · stake bought below the price of 24 hours before / stake;
    timing 3 · return of the purchases within 24 hours / 50 %, at least 0 and at most 3. Losses count, and the gain of
    the best outcome does not: one lucky hit is no habit. Each part divides by the stake for which its input is known,
    and counts only if that is at least half of the stake. ``is_suspected``: a score of 7.0 or more, from at least 10
    outcomes bought and 100 USDC staked.
    """
    early = _part(inputs.stake, inputs.early_stake, 4 * inputs.early_weight)
    contrarian = _part(inputs.stake, inputs.reference_stake, 3 * inputs.against_stake)
    timing = _part(
        inputs.stake, inputs.timing_stake, 3 * (inputs.timing_gain - inputs.timing_best) / TIMING_FULL_RETURN
    )
    if timing.points is not None:
        timing = Part(min(Fraction(3), max(Fraction(0), timing.points)))
    known = [part.points for part in (early, contrarian, timing) if part.points is not None]
    if not known:
        return Insider(
            None, is_suspected=False, status=NO_SAMPLE, early_entry=early, contrarian=contrarian, timing=timing
        )
    tenths = _tenths(sum(known, Fraction(0)))
    enough = inputs.positions >= SUSPECTED_MIN_POSITIONS and inputs.stake >= SUSPECTED_MIN_STAKE
    status = SMALL_SAMPLE if not enough else PARTIAL if len(known) < 3 else OK
    return Insider(tenths, enough and tenths >= SUSPECTED_TENTHS, status, early, contrarian, timing)


def _part(stake: int, known: int, weighted: Fraction | int) -> Part:
    if known <= 0:
        return Part(None, NO_SAMPLE)
    if known < KNOWN_STAKE * stake:
        return Part(None, LOW_COVERAGE)
    return Part(Fraction(weighted) / known)


def _tenths(points: Fraction) -> int:
    """Half up, as the seed's rounding of non-negative numbers; never above 10.0."""
    return min(MAX_TENTHS, (20 * points.numerator + points.denominator) // (2 * points.denominator))
