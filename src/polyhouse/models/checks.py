"""Tests the invariants of the model tables: by hand, and in every build before anybody sees what it wrote."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from polyhouse.models.build import Build
from polyhouse.models.invariants import WALLETS, Invariant, Part, affected, invariants
from polyhouse.models.metric_tables import prepare_metric_tables
from polyhouse.ports import Warehouse
from polyhouse.warehouse.streaming import BULK

if TYPE_CHECKING:
    from polyhouse.models.build import BuildReport

_EXAMPLES = 5
SAMPLE_ROWS = 30_000
"""Observations above which a build of all wallets tests a part of them, another one each time."""
_MOST_PARTS = 256


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One invariant.

    Attributes:
        name: stable word.
        ok: whether it holds.
        broken: rows that violate it.
        detail: a sentence with the first of them.
        examples: names of these.
        guards: tables that are not published while it is broken, and all that are made of them.
        seconds: what the test took.
        scope: whose rows were looked at: ``all``, ``touched`` (by a build of some wallets) or ``sample``.
    """

    name: str
    ok: bool
    broken: int
    detail: str
    examples: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    seconds: float = 0.0
    scope: str = "all"


@dataclass(frozen=True, slots=True)
class KeptResult(CheckResult):
    """A result of the past: ``run`` its number, ``occasion`` ``build`` or ``check``, ``at`` Unix seconds."""

    run: int = 0
    occasion: str = ""
    at: int = 0


def run_checks(warehouse: Warehouse) -> list[CheckResult]:
    """Test every invariant on the published tables, of all wallets."""
    # Where nothing was built yet the tables of the metrics have no columns to test.
    prepare_metric_tables(warehouse)
    return _tested(warehouse, invariants(), lambda _part: ("1", "all"), lambda sql: sql)


def check_build(run: Build) -> list[CheckResult]:
    """Test what a build wrote beside the published tables.

    A build of some wallets tests the rows of these; a large one of all wallets those of a part, in turn, so that the
    tests stay a small share of it. What needs every wallet is tested by ``polyhouse check`` on shards.
    """
    parts = min(run.observations("1") // SAMPLE_ROWS + 1, _MOST_PARTS) if run.full else 1
    turn = run.version // 1_000_000 % parts
    low, high = turn * 65_536 // parts, (turn + 1) * 65_536 // parts
    whose = {
        "wallets": (_between(low, high) if run.full else run.chosen, "sample" if parts > 1 else "all"),
        "conditions": (f"cityHash64(condition) % {parts} = {turn}", "sample" if parts > 1 else "all"),
        "whole": ("1", "all"),
    }
    if not run.full:
        whose["wallets"] = (run.chosen, "touched")
    has_all = run.full and run.peers.is_alone
    chosen = [one for one in invariants() if one.in_builds and (has_all or one.part != "conditions")]
    return _tested(run.warehouse, chosen, whose.__getitem__, run.named)


def held_by(results: Sequence[CheckResult]) -> frozenset[str]:
    """The tables that must not be published, by what is broken."""
    return affected({table for result in results if not result.ok for table in result.guards})


def joined_results(of_shards: Sequence[Sequence[CheckResult]]) -> list[CheckResult]:
    """What shards found, as one: broken rows add up."""
    found = []
    for same in zip(*of_shards, strict=True):
        worst = next((result for result in same if not result.ok), same[0])
        seconds = max(result.seconds for result in same)
        found.append(replace(worst, broken=sum(result.broken for result in same), seconds=seconds))
    return found


def keep_results(
    warehouse: Warehouse, results: Sequence[CheckResult], *, occasion: str, report: BuildReport | None = None
) -> None:
    """Write results down; they are kept for 100 days.

    Args:
        warehouse: where.
        results: of one run of the checks.
        occasion: ``build`` or ``check``.
        report: of the build.
    """
    import pyarrow as pa

    if not results:
        return
    now = time.time_ns() // 1_000_000
    run = report.build if report else now * 1_000
    columns = {
        "name": [one.name for one in results],
        "run": pa.array([run] * len(results), pa.uint64()),
        "occasion": [occasion] * len(results),
        "scope": [one.scope for one in results],
        "is_ok": pa.array([int(one.ok) for one in results], pa.uint8()),
        "broken": pa.array([one.broken for one in results], pa.uint64()),
        "examples": pa.array([list(one.examples) for one in results], pa.list_(pa.string())),
        "detail": [one.detail for one in results],
        "guards": pa.array([list(one.guards) for one in results], pa.list_(pa.string())),
        "seconds": pa.array([one.seconds for one in results], pa.float64()),
        "at": pa.array([datetime.fromtimestamp(now / 1_000, UTC)] * len(results), pa.timestamp("ms", "UTC")),
        "version": pa.array([run] * len(results), pa.uint64()),
    }
    warehouse.insert_arrow("check_results", pa.table(columns))


def newest_results(warehouse: Warehouse) -> list[KeptResult]:
    """The newest result of each check, broken ones first."""
    return _kept(warehouse, "SELECT * FROM check_results FINAL ORDER BY run DESC LIMIT 1 BY name", "is_ok, name")


def kept_results(warehouse: Warehouse, *, name: str = "", limit: int = 100) -> list[KeptResult]:
    """Results of the past, newest first: of one check, or of all."""
    chosen = "WHERE name = {name:String}" if name else ""
    return _kept(warehouse, f"SELECT * FROM check_results FINAL {chosen}", f"run DESC, name LIMIT {limit}", name)


def _kept(warehouse: Warehouse, sql: str, order: str, name: str = "") -> list[KeptResult]:
    rows = warehouse.query(
        "SELECT toString(name), is_ok, broken, detail, examples, guards, seconds, toString(scope), run,"
        f" toString(occasion), toUnixTimestamp(at) FROM ({sql}) ORDER BY {order}",
        {"name": name} if name else None,
    ).rows
    return [
        KeptResult(
            str(word), bool(ok), int(broken), str(detail), tuple(map(str, examples)), tuple(map(str, guards)),
            float(seconds), str(scope), int(run), str(occasion), int(at),
        )
        for word, ok, broken, detail, examples, guards, seconds, scope, run, occasion, at in rows
    ]  # fmt: skip


def _tested(
    warehouse: Warehouse,
    chosen: Sequence[Invariant],
    whose: Callable[[Part], tuple[str, str]],
    named: Callable[[str], str],
) -> list[CheckResult]:
    """Test invariants; those that look at the same rows with one statement.

    Args:
        warehouse: where the tables are.
        chosen: to be tested.
        whose: condition and name of what is looked at, of each part.
        named: a statement on published tables, on those that are to be tested.
    """
    results = []
    for rows, same in groupby(chosen, key=lambda one: one.rows):
        together = list(same)
        condition, scope = whose(together[0].part)
        looked_at = named(rows.replace(WALLETS, condition))
        started = time.monotonic()
        counts = ", ".join(f"countIf({one.broken})" for one in together)
        found = warehouse.query(f"SELECT {counts} FROM ({looked_at}) {BULK}").rows[0]
        seconds = (time.monotonic() - started) / len(together)
        results += [
            _result(one, int(broken), _examples(warehouse, one, looked_at) if broken else (), seconds, scope)
            for one, broken in zip(together, found, strict=True)
        ]
    return results


def _examples(warehouse: Warehouse, one: Invariant, looked_at: str) -> tuple[str, ...]:
    """Names of the first rows that break an invariant."""
    names = f"groupArrayIf({_EXAMPLES})({one.name_of}, {one.broken})"
    return tuple(map(str, warehouse.query(f"SELECT {names} FROM ({looked_at})").rows[0][0]))


def _result(one: Invariant, broken: int, examples: tuple[str, ...], seconds: float, scope: str) -> CheckResult:
    detail = one.meaning if not broken else f"violated: {one.meaning}; e.g. {', '.join(examples)}"
    return CheckResult(one.name, not broken, broken, detail, examples, one.guards, seconds, scope)


def _between(low: int, high: int) -> str:
    bounds = ["1"]
    if low:
        bounds.append(f"wallet >= toFixedString(unhex('{low:04x}'), 20)")
    if high < 65_536:
        bounds.append(f"wallet < toFixedString(unhex('{high:04x}'), 20)")
    return " AND ".join(bounds)
