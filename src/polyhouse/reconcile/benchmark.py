"""Compares with figures from a file: ``wallet,metric,value`` with more columns ignored, values in dollars.

Such figures were written down at some earlier time, so that they measure closeness, not equality: the cause of every
difference above a cent that no rule explains stays ``unknown``.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from polyhouse.domain.amounts import parse_decimal
from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reconcile.causes import Published, likely_cause
from polyhouse.reconcile.comparison import Comparison, Reconciliation
from polyhouse.reconcile.facts import scope_of, wallet_facts

METRICS = frozenset({
    "ui_total_pnl", "user_pnl_api_total", "leaderboard_pnl", "mg_baseline_net_pnl", "expected_pnl",
})  # fmt: skip
"""Metrics that mean our ``gross_of_fees``; others are counted and left out."""
_COLUMNS = {"wallet", "metric", "value"}
_MICRO = 1_000_000


@dataclass(slots=True)
class Benchmark:
    """Comparisons with a file; ``left_out`` counts its other rows by reason."""

    found: Reconciliation = field(default_factory=Reconciliation)
    left_out: Counter[str] = field(default_factory=Counter)


def benchmark(warehouse: Warehouse, path: Path) -> Benchmark:
    """Compare ``gross_of_fees`` with every usable row of a CSV file.

    Raises:
        BadInputError: the file lacks a column, or a row holds no address or number; says which line.
    """
    targets = list(_targets(path))
    facts = wallet_facts(warehouse, scope_of(sorted({wallet for wallet, _, _ in targets})))
    result = Benchmark()
    for wallet, metric, theirs in targets:
        if metric not in METRICS:
            result.left_out["other_metric"] += 1
        elif wallet not in facts:
            result.left_out["wallet_not_in_store"] += 1
        else:
            ours, known = facts[wallet]
            cause = likely_cause(ours - theirs, known, Published())
            result.found.add(Comparison(wallet, "benchmark", metric, ours, theirs, cause), keep=True)
    return result


def _targets(path: Path) -> Iterator[tuple[bytes, str, int]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = _COLUMNS - set(reader.fieldnames or ())
            if missing:
                raise BadInputError(
                    f"{path.name}: no column {', '.join(sorted(missing))}", hint="it needs wallet, metric and value"
                )
            for row in reader:
                where = f"{path.name}:{reader.line_num}"
                try:
                    micros = int(parse_decimal(row["value"], "value") * _MICRO)
                    yield parse_address(row["wallet"], "wallet"), row["metric"], micros
                except BadInputError as error:
                    raise BadInputError(f"{where}: {error}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path.name} is not UTF-8 text: {error.reason}") from error
