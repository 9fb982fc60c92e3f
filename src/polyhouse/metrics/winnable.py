"""Is a category winnable: the seed's rule ("Austin methodology", seed_systems.md §1.5), each part with its points."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Rule:
    """One part: its name, the value from which on it is met, the one that earns all points, and the points."""

    name: str
    least: Decimal
    full: Decimal
    most: int


RULES: tuple[Rule, ...] = (
    Rule("elites", Decimal(20), Decimal(50), 25),
    Rule("elite_omega", Decimal(2), Decimal(5), 25),
    Rule("elite_clv", Decimal("0.02"), Decimal("0.05"), 20),
    Rule("elite_per_hour", Decimal(10), Decimal(25), 20),
    Rule("volume", Decimal(100_000), Decimal(250_000), 10),
)
"""The seed names no caps for the last two; they are 2.5 times the least value, as those of the first three are."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Elite wallets (shrunk omega above 2 in more than 50 closed bets) and the volume of a category; None = unknown.

    Attributes:
        elites: their number. elite_omega: median of their shrunk omegas.
        elite_clv: mean of their gains against the close (price). elite_per_hour: USDC per hour held, median.
        volume: USDC.
    """

    elites: int
    elite_omega: Decimal | None
    elite_clv: Decimal | None
    elite_per_hour: Decimal | None
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Verdict:
    """Parts by name (value, least, points, most); ``is_winnable`` and ``score`` are None while a part is unknown."""

    parts: dict[str, dict[str, Any]]
    is_winnable: bool | None
    score: Decimal | None

    def document(self) -> dict[str, Any]:
        """As it stands in documents; ``status`` is ``OK`` or ``PARTIAL``."""
        status = "PARTIAL" if self.score is None else "OK"
        return {"is_winnable": self.is_winnable, "score": self.score, "status": status, "parts": self.parts}


def judge(facts: Facts) -> Verdict:
    """Whether all parts are met, and the score from 0 to 100. One part that is not met settles it."""
    parts: dict[str, dict[str, Any]] = {}
    for rule in RULES:
        given = getattr(facts, rule.name)
        value = None if given is None else Decimal(given)
        points = None if value is None else rule.most * min(max(value / rule.full, Decimal(0)), Decimal(1))
        parts[rule.name] = {
            "value": value, "least": rule.least, "is_met": None if value is None else value >= rule.least,
            "points": None if points is None else points.quantize(_TENTH, ROUND_HALF_EVEN), "most": rule.most,
        }  # fmt: skip
    met = [part["is_met"] for part in parts.values()]
    verdict = False if False in met else None if None in met else True
    earned = [part["points"] for part in parts.values()]
    return Verdict(parts, verdict, None if None in earned else sum(earned, Decimal(0)))
