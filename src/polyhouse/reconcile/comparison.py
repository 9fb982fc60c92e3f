"""One of our numbers beside a published one, and all of a reconciliation with its headlines; the stored history."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from polyhouse.ports import Warehouse
from polyhouse.reconcile.headline import Headline
from polyhouse.tables import Columns


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of our numbers beside a published one; micro-USDC, for the kinds ``…_shares`` micro-shares."""

    wallet: bytes
    kind: str
    detail: str
    ours: int
    theirs: int
    cause: str
    theirs_ts: int = 0

    @property
    def difference(self) -> int:
        """Ours − theirs."""
        return self.ours - self.theirs


@dataclass(slots=True)
class Reconciliation:
    """What was compared: every comparison counts in the headline of its kind.

    Attributes:
        rows: those that are kept: all of whole wallets, of single pairs the ones that differ.
        headlines: kind → headline.
    """

    rows: list[Comparison] = field(default_factory=list)
    headlines: defaultdict[str, Headline] = field(default_factory=lambda: defaultdict(Headline))

    def add(self, found: Comparison, *, keep: bool = False) -> None:
        """Count a comparison, and keep it if it says something, or in any case."""
        self.headlines[found.kind].add(found.difference, found.theirs, found.cause)
        if keep or not found.detail or found.cause != "equal":
            self.rows.append(found)

    def finished(self) -> Reconciliation:
        """This, with its rows in order."""
        self.rows.sort(key=lambda row: (row.wallet, row.kind, row.detail))
        return self


def store(warehouse: Warehouse, rows: Sequence[Comparison], *, run: int, as_of: int | None = None) -> int:
    """Keep comparisons in table ``reconciliation`` and return their number.

    Args:
        warehouse: where to.
        rows: what to keep.
        run: id of this run; the history is one set of rows a run.
        as_of: time of our numbers, Unix seconds; now by default.
    """
    if not rows:
        return 0
    columns: Columns = {
        "as_of": [int(time.time()) if as_of is None else as_of] * len(rows),
        "theirs_ts": [row.theirs_ts for row in rows],
        "difference": [row.difference for row in rows],
    }
    for name in ("wallet", "kind", "detail", "ours", "theirs", "cause"):
        columns[name] = [getattr(row, name) for row in rows]
    return warehouse.write("reconciliation", columns, run=run, token=f"reconcile:{run}")
