"""The headline of a reconciliation: how many wallets are within a cent, a dollar, ten dollars, a tenth of a percent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from polyhouse.reconcile.compare import Comparison

BOUNDS = {"within_0.01": 10_000, "within_1": 1_000_000, "within_10": 10_000_000}
"""Name → largest difference in micro-USDC."""
RELATIVE = "within_0.1_percent"


@dataclass(slots=True)
class Headline:
    """Wallets per bound, of those that were compared.

    Attributes:
        compared: wallets.
        within: bound → wallets; ``within_0.1_percent`` is relative to the published number.
        causes: cause → wallets.
    """

    compared: int = 0
    within: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)

    @staticmethod
    def bounds() -> tuple[str, ...]:
        """Names of all bounds."""
        return (*BOUNDS, RELATIVE)

    def share(self, bound: str) -> Decimal | None:
        """Share of the wallets within a bound with 9 decimals, None if nothing was compared."""
        if not self.compared:
            return None
        return (Decimal(self.within[bound]) / self.compared).quantize(Decimal("1E-9"))


def headline(comparisons: Iterable[Comparison], kind: str = "gross_of_fees") -> Headline:
    """Count the comparisons of one kind."""
    result = Headline()
    for row in comparisons:
        if row.kind != kind:
            continue
        result.compared += 1
        result.causes[row.cause] += 1
        size = abs(row.difference)
        for name, bound in BOUNDS.items():
            result.within[name] += size <= bound
        result.within[RELATIVE] += size * 1_000 <= abs(row.theirs)
    return result
