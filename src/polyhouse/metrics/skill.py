"""Skill against price: Kelly, Brier, calibration, luck z, closing-line value, and who goes early or against (§4.4–4.5).

Prices are ``price_e6`` (millionths), outcomes are what one share paid (0, 1 or a fraction), weights are any
non-negative integers (shares, stakes). These numbers aid a ranking; they accuse nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from polyhouse.metrics.exact import (
    NO_COST,
    NO_SAMPLE,
    NO_VARIANCE,
    Ratio,
    divide,
    nine_decimal,
    nine_of,
    ratio,
    root,
    wide,
)

_MICRO = 1_000_000
_HALF = 500_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One acquisition (or one unit): what was paid per share, what a share paid in the end, its weight."""

    price_e6: int
    outcome: Fraction
    weight: int = 1

    @property
    def surprise(self) -> Fraction:
        """Outcome minus price: how much better it went than the price said."""
        return self.outcome - Fraction(self.price_e6, _MICRO)


def kelly(belief: Fraction, price: Fraction) -> Ratio:
    """Fraction of capital to stake at ``price`` with probability ``belief`` (K20, K21).

    (p−c)/(1−c) for a BUY; for p < c the SELL side as a negative number, −(c−p)/c.
    """
    if belief == price:
        return Ratio(nine_of(Fraction(0)))
    if belief > price:
        return Ratio(nine_of((belief - price) / (1 - price))) if price < 1 else Ratio(None, NO_COST)
    return Ratio(nine_of((belief - price) / price)) if price > 0 else Ratio(None, NO_COST)


def brier(entries: Iterable[Entry]) -> Ratio:
    """Σw(p−o)²/Σw (K22). With p the entry price it scores the market at those instants, not the wallet."""
    total, weights = Fraction(0), 0
    for entry in entries:
        total += entry.weight * entry.surprise**2
        weights += entry.weight
    return Ratio(nine_of(total / weights)) if weights else Ratio(None, NO_SAMPLE)


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """One bin of entry prices."""

    n: int
    mean_price: Decimal
    hit_rate: Decimal


@dataclass(frozen=True, slots=True)
class Calibration:
    """Bins that hold entries, by index, and the expected calibration error."""

    bins: dict[int, CalibrationBin]
    ece: Ratio


def calibration(entries: Iterable[Entry], bins: int = 10) -> Calibration:
    """Mean price against hit rate per bin of equal width; ECE = Σ n_b·|gap_b| / n (K23)."""
    grouped: dict[int, list[Entry]] = {}
    for entry in entries:
        index = min(max(entry.price_e6 * bins // _MICRO, 0), bins - 1)
        grouped.setdefault(index, []).append(entry)
    result: dict[int, CalibrationBin] = {}
    gaps, count = Fraction(0), 0
    for index in sorted(grouped):
        members = grouped[index]
        n = len(members)
        mean = Fraction(sum(member.price_e6 for member in members), n * _MICRO)
        hits = sum((member.outcome for member in members), Fraction(0)) / n
        result[index] = CalibrationBin(n, nine_of(mean), nine_of(hits))
        gaps += n * abs(hits - mean)
        count += n
    return Calibration(result, Ratio(nine_of(gaps / count)) if count else Ratio(None, NO_SAMPLE))


@dataclass(frozen=True, slots=True)
class Luck:
    """Excess over price, in units of weight, and in standard deviations of pure luck."""

    edge: Ratio
    z: Ratio


def luck_z(entries: Sequence[Entry]) -> Luck:
    """edge = Σw(o−p); z = edge / sqrt(Σw²p(1−p)) (K24). One entry per unit, else correlated fills inflate z."""
    if not entries:
        return Luck(Ratio(None, NO_SAMPLE), Ratio(None, NO_SAMPLE))
    edge, variance = Fraction(0), Fraction(0)
    for entry in entries:
        price = Fraction(entry.price_e6, _MICRO)
        edge += entry.weight * entry.surprise
        variance += entry.weight**2 * price * (1 - price)
    z = Ratio(nine_decimal(divide(wide(edge), root(variance)))) if variance > 0 else Ratio(None, NO_VARIANCE)
    return Luck(Ratio(nine_of(edge)), z)


@dataclass(frozen=True, slots=True)
class ClosingLine:
    """One entry against the closing price; ``is_buy`` false for a sale. Shares in micro-shares."""

    is_buy: bool
    shares: int
    entry_e6: int
    close_e6: int


@dataclass(frozen=True, slots=True)
class ClosingLineValue:
    """Money gained against the close (micro-USDC, floor of the exact sum), as a share of the stake, and how often."""

    usdc: int
    pct: Ratio
    beat_rate: Ratio


def clv(entries: Iterable[ClosingLine]) -> ClosingLineValue:
    """Σ shares·(close − entry)·direction, that over Σ shares·entry, and the share of entries that gained (K25).

    The close is the last mark before the event starts; prices after the resolution must not be used (§4.4).
    """
    value = stake = beats = count = 0
    for entry in entries:
        gain = (entry.close_e6 - entry.entry_e6) * (1 if entry.is_buy else -1)
        value += entry.shares * gain
        stake += entry.shares * entry.entry_e6
        beats += gain > 0
        count += 1
    status = NO_COST if count else NO_SAMPLE
    return ClosingLineValue(value // _MICRO, ratio(value, stake, status), ratio(beats, count, NO_SAMPLE))


def earliness(opened: int, closed: int, entered: int) -> Ratio:
    """1 − (entry − open)/(close − open): 1 at the opening, 0 at the close; times in any one unit (K26)."""
    return ratio(closed - entered, closed - opened, NO_SAMPLE)


def hhi(stakes: Sequence[int]) -> Ratio:
    """Concentration of stakes over units: Σ s² / (Σ s)²; 1 = all in one (K27)."""
    return ratio(sum(stake * stake for stake in stakes), sum(stakes) ** 2, NO_COST if stakes else NO_SAMPLE)


@dataclass(frozen=True, slots=True)
class Bet:
    """One stake with the price paid, the price a day before (None = unknown) and what a share paid in the end."""

    stake: int
    price_e6: int
    reference_e6: int | None
    outcome: Fraction


@dataclass(frozen=True, slots=True)
class Contrarian:
    """Shares of stake at long odds and against the move, and the stake-weighted surprise."""

    underdog_share: Ratio
    against_move_share: Ratio
    surprise: Ratio


def contrarian(bets: Iterable[Bet]) -> Contrarian:
    """Underdog: stake at p < 0.5; against the move: stake below the reference; surprise = Σs(o−p)/Σs (K28)."""
    total = underdog = against = count = 0
    surprise = Fraction(0)
    for bet in bets:
        count += 1
        total += bet.stake
        underdog += bet.stake if bet.price_e6 < _HALF else 0
        against += bet.stake if bet.reference_e6 is not None and bet.price_e6 < bet.reference_e6 else 0
        surprise += bet.stake * (bet.outcome - Fraction(bet.price_e6, _MICRO))
    status = NO_COST if count else NO_SAMPLE
    return Contrarian(
        ratio(underdog, total, status),
        ratio(against, total, status),
        Ratio(nine_of(surprise / total)) if total else Ratio(None, status),
    )
