"""What the list of resolutions says, where it differs from the chain: late, corrected and withdrawn payouts.

The chain resolves a condition once; the upstream's own list is told by people and machines. A *ruling* replaces what it
says about one condition from a moment on, until the next ruling.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

from polyhouse.errors import BadInputError
from polyhouse.sim.markets import MarketState, Resolution


@dataclass(frozen=True, slots=True, order=True)
class Ruling:
    """From second ``at`` on the list shows these numerators.

    Attributes:
        at: simulated Unix seconds.
        numerators: () = not resolved, whatever the chain says.
        truth: from here on what the chain says again.
    """

    at: int
    numerators: tuple[int, ...] = ()
    truth: bool = False


class Rulings:
    """Rulings by condition; without one the list says what the chain says."""

    def __init__(self) -> None:
        self._by_condition: dict[str, list[Ruling]] = {}

    def add(self, condition: str, ruling: Ruling) -> None:
        """Let the list say something else about a condition from ``ruling.at`` on.

        Raises:
            BadInputError: numerators that pay nothing.
        """
        if ruling.numerators and sum(ruling.numerators) <= 0:
            raise BadInputError("a payout vector pays something")
        insort(self._by_condition.setdefault(condition, []), ruling)

    def add_all(self, rulings: Sequence[dict[str, object]]) -> int:
        """The same from JSON documents: ``condition``, ``at``, and ``numerators`` or ``truth``."""
        for entry in rulings:
            numbers = entry.get("numerators") or ()
            if not isinstance(numbers, Sequence):
                raise BadInputError("numerators are a list")
            at = int(str(entry["at"]))
            self.add(str(entry["condition"]), Ruling(at, tuple(map(int, numbers)), bool(entry.get("truth"))))
        return len(rulings)

    def shown(self, market: MarketState, now: int) -> Resolution | None:
        """What the list says about a market at ``now``."""
        known = [ruling for ruling in self._by_condition.get(market.meta.condition_id, ()) if ruling.at <= now]
        if not known or known[-1].truth:
            return market.resolution
        if not known[-1].numerators:
            return None
        real = market.resolution
        block, tx = (real.block, real.tx) if real is not None else (1, "0x" + "11" * 32)
        return Resolution(known[-1].numerators, known[-1].at, block, 0, tx)
