"""Progress, queue, failures and the last run, as one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import moment
from polyhouse.reads.token_map import token_map

WALLET_STATUSES = ("pending", "syncing", "completed", "failed")
FIGURES = ("trades", "markets", "unmapped_tokens", "token_map", "checks", "as_of")
"""Keys of the document that come from the warehouse."""
_COUNTS = (
    "SELECT (SELECT count() FROM builds) AS builds,"
    " (SELECT sum(trades) FROM wallet_totals FINAL WHERE category = 'overall' AND `window` = 'lifetime') AS trades,"
    " (SELECT uniqExact(condition) FROM markets) AS markets,"
    " (SELECT uniqExact(token) FROM unmapped FINAL) AS unmapped"
)

_CHECKS = (
    "SELECT name, is_ok, broken, detail, guards, toUnixTimestamp(at) FROM check_results FINAL"
    " ORDER BY run DESC LIMIT 1 BY name"
)


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What the state store contributes: wallets by status, the last run, quarantine, upstream figures, the queue."""

    wallets: Mapping[str, int]
    last_run: Mapping[str, Any] | None
    quarantine: Mapping[str, int] = field(default_factory=dict)
    upstreams: Sequence[Mapping[str, Any]] = ()
    queue: Mapping[str, Any] = field(default_factory=dict)


def status(warehouse: Warehouse, facts: QueueFacts) -> dict[str, Any]:
    """The status document of the contract.

    ``trades`` are the fills in the computed totals (both roles), ``unmapped_tokens`` tokens whose market no source
    named yet, ``token_map`` how much of the traded tokens and cash has a market, ``as_of`` the newest ledger row of
    the last build.
    """
    return status_of(facts, warehouse_figures(warehouse))


def status_without_warehouse(facts: QueueFacts, figures: Mapping[str, Any] | None) -> dict[str, Any]:
    """The status document while another process has the embedded warehouse open.

    Args:
        facts: what the state store says now.
        figures: ``warehouse_figures`` as the last job remembered them; without any, they are null.
    """
    return status_of(facts, dict.fromkeys(FIGURES) | dict(figures or {}))


def warehouse_figures(warehouse: Warehouse) -> dict[str, Any]:
    """The part of the document that the warehouse contributes.

    ``checks``: which invariants are broken, as of the newest test of each, and when that was; None if none was tested.
    """
    result = warehouse.query(_COUNTS)
    row = dict(zip(result.columns, result.rows[0], strict=True))
    return {
        "trades": int(row["trades"] or 0),
        "markets": int(row["markets"] or 0),
        "unmapped_tokens": int(row["unmapped"] or 0),
        "token_map": token_map(warehouse),
        "checks": _checks(warehouse),
        "as_of": moment(newest_build_time(warehouse)),
    }


def _checks(warehouse: Warehouse) -> dict[str, Any] | None:
    rows = warehouse.query(_CHECKS).rows
    if not rows:
        return None
    broken = [
        {"name": str(name), "broken": int(number), "detail": str(detail), "guards": list(map(str, guards))}
        for name, is_ok, number, detail, guards, _ in rows
        if not is_ok
    ]
    return {"tested": len(rows), "tested_at": moment(max(int(row[-1]) for row in rows)), "broken": broken}


def status_of(facts: QueueFacts, figures: Mapping[str, Any]) -> dict[str, Any]:
    """The document from both halves (``warehouse_figures``)."""
    return {
        "wallets": {name: int(facts.wallets.get(name, 0)) for name in WALLET_STATUSES}
        | {name: int(count) for name, count in facts.wallets.items() if name not in WALLET_STATUSES},
        **{name: figures[name] for name in FIGURES if name != "as_of"},
        "quarantined": {reason: int(count) for reason, count in facts.quarantine.items()},
        "as_of": figures["as_of"],
        "last_run": dict(facts.last_run) if facts.last_run is not None else None,
        "queue": dict(facts.queue),
        "upstreams": [dict(upstream) for upstream in facts.upstreams],
    }
