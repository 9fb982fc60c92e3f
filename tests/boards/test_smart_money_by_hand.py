"""The smart-money split and the winnable rule, worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from polyhouse.metrics import smart_money
from polyhouse.metrics.smart_money import Holding, smart_score, split, tier_of
from polyhouse.metrics.winnable import RULES, Facts, judge

USD = 1_000_000


def test_a_score_is_the_shrunk_omega_between_0_and_100() -> None:
    assert smart_score(0, 0, 10) == 50
    assert smart_score(200 * USD, 50 * USD, 10) == Fraction(100 * 250, 350)  # omega 2.5: 71.4
    assert smart_score(10**15, 0, 50) == pytest.approx(100, abs=1e-4)
    assert smart_score(10**15, 0, 9) is None, "fewer than ten closed bets say nothing"


@pytest.mark.parametrize(
    ("score", "tier"),
    [(None, "unknown"), (85, "elite"), (Fraction(8_499, 100), "smart"), (70, "smart"), (69, "average"), (50, "average"),
     (Fraction(4_999, 100), "poor"), (0, "poor")],
)  # fmt: skip
def test_tiers(score: Fraction | None, tier: str) -> None:
    assert tier_of(score) == tier


def hold(number: int, outcome: int, usd: int, score: int | None) -> Holding:
    return Holding(bytes([number]) * 20, outcome, usd * USD, None if score is None else Fraction(score))


def test_a_split_by_hand() -> None:
    """Smart: 300 on the first outcome, 100 on the second, of 1,000 in all; the price is 0.40."""
    found = split(
        [hold(1, 0, 100, 90), hold(2, 0, 200, 75), hold(3, 1, 100, 70), hold(4, 1, 400, 40), hold(5, 0, 200, None)],
        400_000,
    )
    assert (found.status, found.signal_status) == ("OK", "OK")
    assert (found.smart, found.known, found.total) == (
        (300 * USD, 100 * USD), (300 * USD, 500 * USD), (500 * USD, 500 * USD)
    )  # fmt: skip
    assert found.sentiment == 50
    assert found.confidence == 40
    assert (found.smart_share, found.market_share, found.divergence) == (75, 40, 35)
    # means of the holders with a score: (90 + 75) / 2 and (70 + 40) / 2
    assert (found.signal, found.signal_confidence) == (Fraction(55, 2), 100)
    assert (found.verdict, found.favours, found.opportunity) == ("LEAN", 0, False)


@pytest.mark.parametrize(
    ("first", "second", "dumb", "price", "verdict", "favours", "opportunity"),
    [
        (90, 10, 30, 500_000, "STRONG", 0, False),
        (10, 90, 30, 500_000, "STRONG", 1, False),
        (90, 10, 70, 500_000, "LEAN", 0, False),  # confidence 58.8
        (75, 25, 30, 500_000, "LEAN", 0, False),  # sentiment 50 is not above 50
        (60, 40, 30, 500_000, "NEUTRAL", 0, False),  # sentiment 20 is not above 20
        (90, 10, 300, 500_000, "NEUTRAL", 0, False),  # confidence 25
        (59, 41, 30, 200_000, "NEUTRAL", 0, True),  # sentiment 18, divergence 39
        (50, 50, 30, 250_000, "NEUTRAL", None, False),  # divergence 25 is not above 25
    ],
)
def test_verdicts_at_their_edges(
    first: int, second: int, dumb: int, price: int, verdict: str, favours: int | None, opportunity: bool
) -> None:
    found = split([hold(1, 0, first, 80), hold(2, 1, second, 80), hold(3, 0, dumb, 10)], price)
    assert (found.verdict, found.favours, found.opportunity) == (verdict, favours, opportunity)


def test_what_cannot_be_said_has_a_status() -> None:
    assert split([hold(1, 0, 5, 90)], None).status == "NO_PRICE"
    assert split([], 500_000).status == "NO_HOLDERS"
    assert split([hold(1, 0, 0, 90)], 0).status == "NO_HOLDERS"
    crowd = split([hold(1, 0, 5, 60), hold(2, 1, 5, None)], 500_000)
    assert (crowd.status, crowd.sentiment, crowd.confidence, crowd.verdict) == ("NO_SMART_MONEY", None, 0, None)
    assert (crowd.signal_status, crowd.signal) == ("ONE_SIDED", None)


def test_only_the_largest_holders_make_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smart_money, "TOP_HOLDERS", 2)
    found = split([hold(1, 0, 60, 90), hold(2, 1, 30, 30), hold(3, 1, 10, 100)], 500_000)
    assert (found.signal, found.signal_confidence) == (60, 90)


def test_a_winnable_category_by_hand() -> None:
    """25·20/50 + 25·2.5/5 + 20·0.03/0.05 + 20·25/25 + 10·min(1) = 10 + 12.5 + 12 + 20 + 10."""
    verdict = judge(Facts(20, Decimal("2.5"), Decimal("0.03"), Decimal(30), Decimal(1_000_000)))
    assert (verdict.is_winnable, verdict.score) == (True, Decimal("64.5"))
    assert [part["points"] for part in verdict.parts.values()] == [Decimal(p) for p in ("10", "12.5", "12", "20", "10")]
    assert sum(rule.most for rule in RULES) == 100


@pytest.mark.parametrize(
    ("change", "winnable", "scored"),
    [
        ({"elites": 19}, False, True), ({"elite_omega": Decimal("1.99")}, False, True),
        ({"elite_clv": Decimal("0.019")}, False, True), ({"elite_per_hour": Decimal("9.99")}, False, True),
        ({"volume": Decimal("99999.99")}, False, True), ({"elite_clv": None}, None, False),
        ({"elite_clv": None, "elites": 3}, False, False), ({"elite_clv": Decimal(-1)}, False, True),
    ],
)  # fmt: skip
def test_each_part_decides_and_an_unknown_one_leaves_it_open(
    change: dict[str, object], winnable: bool | None, scored: bool
) -> None:
    facts = {"elites": 20, "elite_omega": Decimal(2), "elite_clv": Decimal("0.02"), "elite_per_hour": Decimal(10),
             "volume": Decimal(100_000)}  # fmt: skip
    verdict = judge(Facts(**facts | change))
    assert verdict.is_winnable is winnable
    assert (verdict.score is not None) is scored
    assert verdict.document()["status"] == ("OK" if scored else "PARTIAL")
    assert all(part["points"] is None or part["points"] >= 0 for part in verdict.parts.values())
