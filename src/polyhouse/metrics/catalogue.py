"""The catalogue: every metric once, with its definition.

Groups of entries live in ``catalogue_<group>.py``; ``catalogue_beyond.py`` holds what public data cannot give.
The tables of the metrics, the documentation and ``polyhouse metric`` are made from here, so a new metric is one entry
(and its independent calculation in the tests).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from polyhouse.metrics import (
    catalogue_bankroll,
    catalogue_bets,
    catalogue_beyond,
    catalogue_days,
    catalogue_entries,
    catalogue_fills,
)
from polyhouse.metrics.bets_relation import RELATION as BETS
from polyhouse.metrics.days_relation import RELATION as DAYS
from polyhouse.metrics.entries_relation import RELATION as ENTRIES
from polyhouse.metrics.fills_relation import RELATION as FILLS
from polyhouse.metrics.metric import METRIC_WINDOWS, Direction, Metric, Relation, State, Unit

__all__ = [
    "BY_NAME", "COUNT", "METRICS", "METRIC_WINDOWS", "RELATIONS", "Direction", "Metric", "Relation", "State", "Unit",
    "computed", "digest", "find", "problems",
]  # fmt: skip

COUNT = 102
"""Numbered metrics of seed_systems.md §2.1."""

RELATIONS: tuple[Relation, ...] = (BETS, DAYS, ENTRIES, FILLS)
METRICS: tuple[Metric, ...] = tuple(
    sorted(
        (
            *catalogue_bets.METRICS,
            *catalogue_days.METRICS,
            *catalogue_entries.METRICS,
            *catalogue_fills.METRICS,
            *catalogue_bankroll.METRICS,
            *catalogue_beyond.METRICS,
        ),
        key=lambda metric: (metric.number is None, metric.number or 0),
    )
)
"""All entries: the 102 by number, then our own."""

BY_NAME = {metric.name: metric for metric in METRICS}


def computed(relation: str = "") -> list[Metric]:
    """The metrics that are computed, of one relation or of all."""
    return [metric for metric in METRICS if metric.sql and relation in {"", metric.relation}]


def find(name: str) -> Metric | None:
    """The metric of this name, or of this number among the 102; None if there is none."""
    wanted = name.strip().lower().replace("-", "_")
    if wanted.isdecimal():
        return next((metric for metric in METRICS if metric.number == int(wanted)), None)
    return BY_NAME.get(wanted)


def digest() -> str:
    """Names the definitions of everything computed: what was built with another one is stale."""
    text = repr((RELATIONS, [(m.name, m.relation, m.sql, m.minimum_sample, m.of_metrics) for m in computed()]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def problems(metrics: Sequence[Metric] = METRICS, relations: Sequence[Relation] = RELATIONS) -> list[str]:
    """What is wrong with a catalogue: entries missing, twice, or half written; empty = nothing."""
    found = [f"name {name} twice" for name, count in Counter(m.name for m in metrics).items() if count > 1]
    numbers = Counter(m.number for m in metrics if m.number is not None)
    found += [f"number {number} twice" for number, count in numbers.items() if count > 1]
    found += [f"number {number} missing" for number in range(1, COUNT + 1) if number not in numbers]
    found += [f"number {number} unknown" for number in numbers if not 1 <= number <= COUNT]
    names = {relation.name: relation for relation in relations}
    for metric in metrics:
        relation = names.get(metric.relation)
        if metric.sql and relation is None:
            found.append(f"{metric.name}: relation {metric.relation} unknown")
        if relation is not None and metric.name in relation.parts:
            found.append(f"{metric.name}: also a part of {relation.name}")
        if metric.sql and metric.needs:
            found.append(f"{metric.name}: computed, and yet in need of something")
        if not (metric.sql or metric.needs):
            found.append(f"{metric.name}: neither computed, nor in need of anything")
        if not all((metric.meaning, metric.formula, metric.source)):
            found.append(f"{metric.name}: no meaning, formula or source")
        if not metric.name.isidentifier() or metric.name != metric.name.lower():
            found.append(f"{metric.name!r}: not snake_case")
        if metric.minimum_sample < 1:
            found.append(f"{metric.name}: minimum sample below 1")
    return found
