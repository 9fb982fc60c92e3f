"""What a metric is, and what it is computed from: the shapes of the catalogue's entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Unit = Literal[
    "usd", "ratio", "percent", "count", "seconds", "hours", "days", "per_week", "usd_per_day", "per_hour", "z", "text"
]
Direction = Literal["higher", "lower", "none"]
State = Literal["computed", "needs"]

METRIC_WINDOWS: Mapping[str, int] = {"30d": 30, "90d": 90, "180d": 180, "lifetime": 0}
"""Windows of every metric: name → days, 0 = the whole life. They end at the newest row of the store."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of the catalogue.

    Attributes:
        name: snake_case, the term of the field; the column's name.
        meaning: one line for people.
        formula: the definition in one line, with its conventions.
        unit: of the value; ratios are fractions (0.25, not 25).
        relation: name of the relation whose rows it is computed from; '' for one that public data cannot give.
        number: its place among the 102 (seed_systems.md §2.1), None for our own.
        sql: one ClickHouse expression over the rows of one wallet, scope and window: an aggregate, which may use the
            relation's parts. Integers are summed exactly and divided at the end; NULL where there is no value.
        minimum_sample: rows of the relation from which on there is a value.
        source: where the definition is from.
        direction: which way is better, if one is.
        undefined: when there is no value in spite of the sample; '' = always one.
        needs: what public data lacks for it, '' if nothing.
        of_metrics: ``sql`` is made of other metrics of the same wallet, scope and window, of any relation, instead of
            rows; ``relation`` is the one whose rows are its sample.
    """

    name: str
    meaning: str
    formula: str
    unit: Unit
    relation: str
    source: str
    direction: Direction
    number: int | None = None
    sql: str = ""
    minimum_sample: int = 1
    undefined: str = ""
    needs: str = ""
    of_metrics: bool = False

    @property
    def state(self) -> State:
        """Whether the product computes it, or cannot."""
        return "computed" if self.sql else "needs"

    @property
    def is_text(self) -> bool:
        """Whether the value is a word or a JSON text; all others are numbers."""
        return self.unit == "text"

    def definition(self) -> dict[str, Any]:
        """The entry as a document for people and programs; what does not apply is None."""
        return {
            "name": self.name, "number": self.number, "state": self.state, "meaning": self.meaning,
            "formula": self.formula, "unit": self.unit, "direction": self.direction, "relation": self.relation or None,
            "minimum_sample": self.minimum_sample if self.sql else None, "undefined": self.undefined or None,
            "source": self.source, "needs": self.needs or None, "sql": self.sql or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows that metrics are computed from: the model file ``models/<name>.sql``.

    Its SELECT gives, per row, ``wallet``, ``category`` and columns of its own. With ``at`` (Unix seconds) a row belongs
    to every window that began before it. A row whose category is one of ``domain.categories`` also counts in
    ``overall``, unless the relation gives rows of ``overall`` itself (``has_overall``).

    Attributes:
        name: of the model file.
        meaning: what one row is.
        parts: named aggregates, in order, that expressions and later parts may use; no metric has such a name. Two
            are there for every relation: ``window_seconds`` (0 for the whole life) and ``n`` (the number of rows).
        has_overall: the SELECT has rows of the category ``overall``.
    """

    name: str
    meaning: str
    parts: Mapping[str, str] = field(default_factory=dict)
    has_overall: bool = False

    @property
    def sample_column(self) -> str:
        """Column of the metrics tables with the number of rows."""
        return f"{self.name}_sample"
