"""Smart money against the price of a market: pure functions of holdings (docs/market.md; seed_systems.md §2.1, SII).

All numbers are exact: values in micro-USDC, scores from gains and losses in micro-USDC, ratios at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from polyhouse.metrics.ratios import DISPLAY_MIN_UNITS, SHRINKAGE

TIERS: tuple[tuple[int, str], ...] = ((85, "elite"), (70, "smart"), (50, "average"), (0, "poor"))
"""Tier by smart score, highest first (the seed's)."""
UNKNOWN = "unknown"
SMART_TIERS = frozenset({"elite", "smart"})
TOP_HOLDERS = 100
"""So many of the largest holders count for the signal (the seed offers 20, 50 and 100)."""

OK = "OK"
NO_HOLDERS = "NO_HOLDERS"
"""Nobody is known to hold the market, or what is held is worth nothing known."""
NO_SMART_MONEY = "NO_SMART_MONEY"
"""No elite or smart wallet is among the holders."""
ONE_SIDED = "ONE_SIDED"
"""On one of the outcomes no holder with a score is among the largest."""
NO_PRICE = "NO_PRICE"
"""Nothing is known to have traded, so holdings cannot be valued."""
RESOLVED = "RESOLVED"
"""The market is decided: what is left are shares that nobody redeemed."""


def smart_score(gains: int, losses: int, units: int) -> Fraction | None:
    """100 · (G + λ) / (G + L + 2λ), λ = 50 $: the shrunk omega Ω as 100·Ω/(1+Ω), from 0 to 100; 50 = as lost as won.

    None with fewer than 10 closed bets (accounting §4.1: the least to display).
    """
    if units < DISPLAY_MIN_UNITS:
        return None
    return Fraction(100 * (gains + SHRINKAGE), gains + losses + 2 * SHRINKAGE)


def tier_of(score: Fraction | None) -> str:
    """``elite`` from 85 (omega 5.67), ``smart`` from 70 (2.33), ``average`` from 50 (1), ``poor``; ``unknown``."""
    if score is None:
        return UNKNOWN
    return next(tier for least, tier in TIERS if score >= least)


@dataclass(frozen=True, slots=True)
class Holding:
    """What a wallet holds of one outcome: its value in micro-USDC, and the wallet's smart score."""

    wallet: bytes
    outcome: int
    value: int
    score: Fraction | None


@dataclass(frozen=True, slots=True)
class Split:
    """Smart money of a market with two outcomes; percentages from −100 or 0 to 100, None beside a status.

    Attributes:
        status: of sentiment, divergence and verdict. signal_status: of the signal.
        smart: value per outcome held by elite and smart wallets. total: by all. known: by those with a score.
        sentiment: 100 · (S₀ − S₁) / (S₀ + S₁).
        confidence: 100 · (S₀ + S₁) / everything.
        smart_share: 100 · S₀ / (S₀ + S₁). market_share: 100 · price of the first outcome.
        divergence: |smart_share − market_share|.
        signal: mean score of the first outcome's holders − that of the second's, among the largest with a score.
        signal_confidence: 100 · value of the largest / everything.
        verdict: ``STRONG`` (|sentiment| > 50 and confidence > 60), ``LEAN`` (> 20 and > 30) or ``NEUTRAL``.
        favours: index of the outcome that smart money favours, None if neither.
        opportunity: |sentiment| < 20 and divergence > 25.
    """

    status: str
    signal_status: str
    smart: tuple[int, int] = (0, 0)
    total: tuple[int, int] = (0, 0)
    known: tuple[int, int] = (0, 0)
    sentiment: Fraction | None = None
    confidence: Fraction | None = None
    smart_share: Fraction | None = None
    market_share: Fraction | None = None
    divergence: Fraction | None = None
    signal: Fraction | None = None
    signal_confidence: Fraction | None = None
    verdict: str | None = None
    favours: int | None = None
    opportunity: bool | None = None


def split(holdings: Sequence[Holding], price_e6: int | None) -> Split:
    """The split of an open market.

    Args:
        holdings: of outcomes 0 and 1, in any order.
        price_e6: price of the first outcome in micro-USDC; None = unknown.
    """
    if price_e6 is None:
        return Split(NO_PRICE, NO_PRICE)
    market = Fraction(price_e6, 10_000)
    total = _sums(holdings)
    everything = sum(total)
    if not everything:
        return Split(NO_HOLDERS, NO_HOLDERS, market_share=market)
    smart = _sums([one for one in holdings if tier_of(one.score) in SMART_TIERS])
    signal_status, signal, signal_confidence = _signal(holdings, everything)
    known = _sums([one for one in holdings if one.score is not None])
    confidence = Fraction(100 * sum(smart), everything)
    if not sum(smart):
        return Split(
            NO_SMART_MONEY, signal_status, smart, total, known, confidence=confidence, market_share=market,
            signal=signal, signal_confidence=signal_confidence,
        )  # fmt: skip
    sentiment = Fraction(100 * (smart[0] - smart[1]), sum(smart))
    smart_share = Fraction(100 * smart[0], sum(smart))
    divergence = abs(smart_share - market)
    return Split(
        OK, signal_status, smart, total, known, sentiment, confidence, smart_share, market, divergence, signal,
        signal_confidence, _verdict(abs(sentiment), confidence), _favoured(sentiment),
        abs(sentiment) < 20 and divergence > 25,
    )  # fmt: skip


def _verdict(strength: Fraction, confidence: Fraction) -> str:
    if strength > 50 and confidence > 60:
        return "STRONG"
    return "LEAN" if strength > 20 and confidence > 30 else "NEUTRAL"


def _favoured(sentiment: Fraction) -> int | None:
    return None if sentiment == 0 else 0 if sentiment > 0 else 1


def _sums(holdings: Sequence[Holding]) -> tuple[int, int]:
    first, second = (sum(one.value for one in holdings if one.outcome == outcome) for outcome in (0, 1))
    return first, second


def _signal(holdings: Sequence[Holding], everything: int) -> tuple[str, Fraction | None, Fraction | None]:
    largest = sorted(holdings, key=lambda one: (-one.value, one.wallet, one.outcome))[:TOP_HOLDERS]
    confidence = Fraction(100 * sum(one.value for one in largest), everything)
    means: list[Fraction] = []
    for outcome in (0, 1):
        scores = [one.score for one in largest if one.outcome == outcome and one.score is not None and one.value > 0]
        if not scores:
            return ONE_SIDED, None, confidence
        means.append(sum(scores, Fraction(0)) / len(scores))
    return OK, means[0] - means[1], confidence
