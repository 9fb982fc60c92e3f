"""Charts. Small ones are drawn here as SVG; large ones are SVG first and become interactive where scripts run.

Coordinates are for the eye: they come from exact numbers and never go back into one. Strict content security allows no
inline styles, so everything is attributes and classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from markupsafe import Markup

Unit = Literal["usd", "cents", "percent", "count"]
_WIDTH, _HEIGHT = 400, 100


@dataclass(frozen=True, slots=True)
class Series:
    """One line (or one set of bars): ``values`` beside the chart's times, None where there is no value."""

    label: str
    values: Sequence[Decimal | int | None]
    color: int = 1
    style: Literal["line", "step", "bars"] = "line"
    fill: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over time.

    Attributes:
        title: what it shows; also its name for screen readers.
        times: Unix seconds, ascending.
        series: what is drawn.
        unit: of all values.
        summary: the chart in one sentence, for those who cannot see it.
    """

    title: str
    times: Sequence[int]
    series: Sequence[Series]
    unit: Unit = "usd"
    summary: str = ""
    zero: bool = field(default=True)
    """Whether zero has a place on the axis and a line of its own."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return len(self.times) == 0 or all(value is None for one in self.series for value in one.values)

    def document(self) -> dict[str, Any]:
        """The numbers for the script."""
        return {
            "title": self.title,
            "unit": self.unit,
            "zero": self.zero,
            "times": list(self.times),
            "series": [
                {
                    "label": one.label, "values": list(one.values), "color": one.color, "style": one.style,
                    "fill": one.fill,
                }
                for one in self.series
            ],
        }  # fmt: skip

    def drawing(self) -> Markup:
        """The first series as a plain drawing: what is seen before, and without, scripts."""
        values = self.series[0].values if self.series else ()
        return _drawing(list(zip(self.times, values, strict=True)), "line", self.zero)


def sparkline(values: Sequence[Decimal | int | None], *, label: str) -> Markup:
    """A line of a few points, with a dashed zero; ``label`` is its name for screen readers."""
    if sum(value is not None for value in values) < 2:
        return Markup('<span class="nil" title="{0}">–<span class="vh">{0}</span></span>').format(
            "not enough days for a line"
        )
    tone = "up" if (_last(values) or 0) >= 0 else "down"
    return _drawing(list(enumerate(values)), f"spark {tone}", zero=True, label=label)


def _last(values: Sequence[Decimal | int | None]) -> Decimal | int | None:
    return next((value for value in reversed(values) if value is not None), None)


def _drawing(points: Sequence[tuple[int, Any]], kind: str, zero: bool, label: str = "") -> Markup:
    known = [(x, float(y)) for x, y in points if y is not None]
    if not known:
        return Markup("")
    ys = [y for _, y in known] + ([0.0] if zero else [])
    low, high = min(ys), max(ys)
    first, last = known[0][0], known[-1][0]
    across, tall = max(last - first, 1), (high - low) or 1.0

    def at(x: float, y: float) -> str:
        return f"{(x - first) / across * _WIDTH:.1f} {(high - y) / tall * (_HEIGHT - 4) + 2:.1f}"

    path = "M" + "L".join(at(x, y) for x, y in known)
    base = Markup("")
    if zero and low < 0 < high:
        base = Markup('<path class="zero" d="M{}L{}"/>').format(at(first, 0.0), at(last, 0.0))
    named = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" {}>{}<path d="{}"/></svg>').format(
        kind, _WIDTH, _HEIGHT, named, base, path
    )  # fmt: skip


def diverging(value: Any, largest: Any) -> Markup:
    """A bar to the right of the middle for a gain, to the left for a loss; ``largest`` fills its half."""
    if value is None or not largest:
        return Markup("")
    length = min(1.0, abs(float(value)) / abs(float(largest))) * 99
    x, tone = (100.0, "pos") if value >= 0 else (100.0 - length, "neg")
    return Markup(
        '<svg class="diverging" viewBox="0 0 200 16" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="{}" x="{:.2f}" y="2" width="{:.2f}" height="12" rx="1.5"/>'
        '<line class="axis" x1="100" x2="100" y1="0" y2="16" vector-effect="non-scaling-stroke"/></svg>'
    ).format(tone, x, max(length, 0.4))


def meter(share: Any, *, tone: str = "") -> Markup:
    """How much of a whole, 0 to 1, as a bar; the number stands beside it."""
    if share is None:
        return Markup("")
    width = max(0.0, min(1.0, float(share))) * 100
    return Markup(
        '<svg class="meter" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rail" width="100" height="4"/><rect class="fill {}" width="{:.2f}" height="4"/></svg>'
    ).format(tone, width)


def split(share: Any) -> Markup:
    """One share (0 to 1) against the rest of a whole, in two colours."""
    if share is None:
        return Markup("")
    width = max(0.0, min(1.0, float(share))) * 100
    return Markup(
        '<svg class="split" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="no" width="100" height="8"/><rect class="yes" width="{:.2f}" height="8"/></svg>'
    ).format(width)
