"""Small pictures of numbers in a terminal. Display only: nothing is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

_STEPS = "▁▂▃▄▅▆▇█"
_FULL = len(_STEPS)


def sparkline(values: Sequence[Decimal | None]) -> str:
    """One character a value, from the lowest to the highest; a blank where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low, span = min(known), max(known) - min(known)
    return "".join(" " if value is None else _STEPS[_step(value - low, span, _FULL - 1)] for value in values)


def curve(values: Sequence[Decimal | None], height: int) -> list[str]:
    """The same, ``height`` lines high, highest first; columns stand on the lowest value."""
    known = [value for value in values if value is not None]
    if not known:
        return []
    low, span = min(known), max(known) - min(known)
    filled = [None if value is None else _step(value - low, span, height * _FULL - 1) + 1 for value in values]
    return ["".join(_cell(level, line) for level in filled) for line in range(height - 1, -1, -1)]


def stretched(days: Sequence[dict[str, Any]], width: int) -> list[Decimal | None]:
    """Equity at the end of up to ``width`` equal stretches of a wallet's days; between two days nothing changed."""
    if not days:
        return []
    first, last = (date.fromisoformat(days[place]["day"]).toordinal() for place in (0, -1))
    points = min(width, last - first + 1)
    values: list[Decimal | None] = []
    known, place = None, 0
    for point in range(points):
        end = first + (last - first) * point // max(points - 1, 1)
        while place < len(days) and date.fromisoformat(days[place]["day"]).toordinal() <= end:
            known = days[place]["equity"] if days[place]["equity"] is not None else known
            place += 1
        values.append(None if known is None else Decimal(known))
    return values


def _step(part: Decimal, whole: Decimal, most: int) -> int:
    return int(part * most / whole) if whole else 0


def _cell(level: int | None, line: int) -> str:
    if level is None or level <= line * _FULL:
        return " "
    return _STEPS[min(level - line * _FULL, _FULL) - 1]
