"""The headline of a reconciliation: how much is within a cent, a dollar, ten dollars, a tenth of a percent.

Of wallets for the kinds that speak of a wallet, of its pairs (wallet, token) for the others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

BOUNDS = {"within_0.01": 10_000, "within_1": 1_000_000, "within_10": 10_000_000}
"""Name → largest difference in micro-USDC."""
RELATIVE = "within_0.1_percent"


@dataclass(slots=True)
class Headline:
    """Comparisons per bound, of those that were made.

    Attributes:
        compared: wallets, or pairs.
        within: bound → how many; ``within_0.1_percent`` is relative to the published number.
        causes: cause → how many.
    """

    compared: int = 0
    within: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)

    @staticmethod
    def bounds() -> tuple[str, ...]:
        """Names of all bounds."""
        return (*BOUNDS, RELATIVE)

    def add(self, difference: int, theirs: int, cause: str) -> None:
        """Count one comparison."""
        self.compared += 1
        self.causes[cause] += 1
        size = abs(difference)
        for name, bound in BOUNDS.items():
            self.within[name] += size <= bound
        self.within[RELATIVE] += size * 1_000 <= abs(theirs)

    def share(self, bound: str) -> Decimal | None:
        """Share of the comparisons within a bound with 9 decimals, None if nothing was compared."""
        if not self.compared:
            return None
        return (Decimal(self.within[bound]) / self.compared).quantize(Decimal("1E-9"))
