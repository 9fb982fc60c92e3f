"""Which faults fire when: a function of the seed alone, recorded, and replayable with some of them left out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from faultlab.vtime import Life

TRANSPORT = (
    "429", "429_retry_after", "5xx", "408", "timeout_before", "timeout_after", "reset", "truncated", "html_200",
    "empty_200", "rate_halved",
)  # fmt: skip
PAGES = (
    "short_page", "repeated_page", "repeated_row", "out_of_order", "late_row", "changed_row", "deleted_row",
    "cursor_repeated", "new_field", "field_missing",
)  # fmt: skip
WAREHOUSE = ("write_refused", "write_half", "write_answer_lost", "write_slow")
STATE = ("state_busy", "state_answer_lost", "lease_expired")
PROCESS = ("crash", "pause", "clock_jump", "cancel")
KINDS = (*TRANSPORT, *PAGES, *WAREHOUSE, *STATE, *PROCESS)
"""The 32 kinds of reliability.md §5.1."""
MORE_PAGES = ("cursor_expired", "skipped_row", "stale_page")
"""Beyond them: a cursor that is not accepted any more, a row left out at a page's edge, the page of a stale cache."""
ALL = (*KINDS, *MORE_PAGES)

_RATES = (0.01, 0.03, 0.08, 0.15, 0.3)
_WEIGHTS = (3, 4, 3, 2, 1)
_SHARE = 0.3
_MOST_CALLS = 60_000

Script = Mapping[tuple[int, int], str]
"""(life, call) → kind: exactly these faults, and no others."""


def draw_rates(rng: random.Random) -> dict[str, float]:
    """A random subset of the kinds, each with its own rate of 0–30 %."""
    chosen = [kind for kind in ALL if rng.random() < _SHARE]
    rates = {kind: rng.choices(_RATES, _WEIGHTS)[0] for kind in chosen}
    for kind in PROCESS:  # a process that dies at every third call shows nothing but its first three calls
        if kind in rates:
            rates[kind] = min(rates[kind], 0.03)
    return rates


@dataclass
class Faults:
    """Decides, call by call of one life, what goes wrong.

    Attributes:
        possible: what could have happened, call by call.
        is_over: nothing goes wrong any more.
        at: (call, kind) that must happen whatever the rates say: the systematic tests.
        fired: what happened: (life, call, kind).
    """

    seed: int
    life: int
    rates: Mapping[str, float] = field(default_factory=dict)
    script: Script | None = None
    at: tuple[int, str] = (0, "")
    calls: int = 0
    fired: list[tuple[int, int, str]] = field(default_factory=list)
    is_over: bool = False
    possible: list[tuple[str, ...]] = field(default_factory=list)

    def draw(self, life: Life, *possible: str) -> str:
        """One call of a port: the kind of fault that hits it, "" for none. Crashes and pauses happen right here."""
        life.must_live()
        self.calls += 1
        self.possible.append(possible)
        if self.calls > _MOST_CALLS:
            raise AssertionError(f"{_MOST_CALLS:,} calls and no end")
        kind = "" if self.is_over else self._kind(possible)
        if not kind:
            return ""
        self.fired.append((self.life, self.calls, kind))
        if kind == "crash":
            life.die()
        if kind == "pause":
            life.freeze(self.dice("pause").choice((1.0, 20.0, 120.0)))
            return ""
        if kind == "clock_jump":
            life.skew += self.dice("jump").choice((-3_600.0, -60.0, 60.0, 3_600.0))
            return ""
        return kind

    def _kind(self, possible: tuple[str, ...]) -> str:
        if self.script is not None:
            kind = self.script.get((self.life, self.calls), "")
            return kind if kind in possible else ""
        if self.at[0] == self.calls:
            return self.at[1] if self.at[1] in possible else ""
        if not self.rates:
            return ""
        dice = self.dice("kind")
        for kind in possible:
            if dice.random() < self.rates.get(kind, 0.0):
                return kind
        return ""

    def dice(self, what: str) -> random.Random:
        """Randomness of this call alone, so that leaving out one fault changes nothing about the others."""
        return random.Random(f"{self.seed}/{self.life}/{self.calls}/{what}" if what else self.seed)

    def counts(self) -> Counter[str]:
        """How often each kind fired."""
        return Counter(kind for _, _, kind in self.fired)
