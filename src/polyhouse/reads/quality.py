"""How far the numbers can be trusted: coverage, what could not be mapped, and how they compared with published ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from polyhouse.metrics.exact import nine
from polyhouse.models.checks import newest_results
from polyhouse.models.publication import publications
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment, money, shortest
from polyhouse.reads.provenance import union
from polyhouse.reads.token_map import token_map

RUNS = 30
"""Comparisons of the newest so many runs are told; ``earlier_runs`` counts the others."""
_TOKENS = 20
_BUILDS = 20
_WHOLE = ("gross_of_fees", "gross_of_fees_series", "subgraph_realized", "v1_pnl_total", "benchmark")
"""Kinds that compare wallets; their rows are kept also when they are equal (``docs/reconcile.md``)."""


def quality(warehouse: Warehouse) -> dict[str, Any]:
    """The data-quality document.

    ``coverage``: wallets by where their history comes from. ``provisional``: wallets by the reason why a number may
    still move (a wallet may have several). ``chain``: ranges of blocks that were read, per group of contracts.
    ``token_map`` as in the status document; ``unmapped``: the tokens nobody could name with the most cash in their
    rows. ``reconciliation``: per run and kind how many wallets were compared, how many were closer than a cent and a
    dollar, and the causes of the others. ``checks``: the newest result of each invariant, those of builds included;
    ``builds``: what readers were shown, newest first, with the tables that were held back and each rollback.
    """
    return {
        "coverage": _counts(warehouse, "SELECT coverage, count() FROM wallet_coverage FINAL GROUP BY coverage"),
        "provisional": _counts(
            warehouse,
            "SELECT arrayJoin(provisional) AS reason, count() FROM wallet_coverage FINAL GROUP BY reason",
        ),
        "exact": int(warehouse.query("SELECT count() FROM wallet_coverage FINAL WHERE empty(provisional)").rows[0][0]),
        "chain": _chain(warehouse),
        "token_map": token_map(warehouse),
        "checks": _checks(warehouse),
        "builds": _builds(warehouse),
        "unmapped": _unmapped(warehouse),
        "reconciliation": reconciliations(warehouse),
        "earlier_runs": max(0, int(warehouse.query("SELECT uniqExact(run) FROM reconciliation").rows[0][0]) - RUNS),
    }


def reconciled(warehouse: Warehouse, wallet: bytes) -> dict[str, Any] | None:
    """How the numbers of one wallet compared with published ones the last time, None if they never were.

    ``rows`` are the comparisons of whole wallets and the positions that differed, largest difference first.
    ``is_equal``: no whole-wallet comparison was a cent apart or more.
    """
    rows = warehouse.query(
        "SELECT kind, detail, ours, theirs, difference, cause, toUnixTimestamp(as_of), toUnixTimestamp(theirs_ts), run"
        " FROM reconciliation FINAL WHERE wallet = toFixedString(unhex({wallet:String}), 20) AND run ="
        " (SELECT max(run) FROM reconciliation WHERE wallet = toFixedString(unhex({wallet:String}), 20))"
        " ORDER BY abs(difference) DESC, kind, detail",
        {"wallet": wallet.hex()},
    ).rows
    if not rows:
        return None
    found = [
        {
            "kind": kind, "detail": detail or None, "ours": money(ours), "theirs": money(theirs),
            "difference": money(difference), "cause": cause, "theirs_at": moment(theirs_ts),
        }
        for kind, detail, ours, theirs, difference, cause, _, theirs_ts, _ in rows
    ]  # fmt: skip
    whole = [row for row in found if row["kind"] in _WHOLE]
    return {
        "run": int(rows[0][8]),
        "as_of": moment(rows[0][6]),
        "compared": len(whole),
        "is_equal": all(row["cause"] == "equal" for row in whole) if whole else None,
        "rows": found,
    }


def _counts(warehouse: Warehouse, sql: str) -> dict[str, int]:
    return {str(name): int(number) for name, number in sorted(warehouse.query(sql).rows, key=lambda row: -row[1])}


def _chain(warehouse: Warehouse) -> list[dict[str, Any]]:
    groups: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for group, start, end in warehouse.query(
        "SELECT contract_group, from_block, to_block FROM coverage FINAL WHERE source = 'chain'"
    ).rows:
        groups[str(group)].append((int(start), int(end)))
    return [
        {"contracts": group, "ranges": [{"from": start, "to": end} for start, end in union(found)]}
        for group, found in sorted(groups.items())
    ]


def _unmapped(warehouse: Warehouse) -> list[dict[str, Any]]:
    rows = warehouse.query(
        "SELECT lower(hex(token)) AS token_hex, any(reason), sum(rows) AS n, sum(toInt128(cash)) AS moved,"
        " uniqExact(wallet)"
        f" FROM unmapped FINAL GROUP BY token_hex ORDER BY abs(moved) DESC, token_hex LIMIT {_TOKENS}"
    ).rows
    return [
        {
            "token_id": str(int(token, 16)) if token else "0", "reason": reason, "rows": int(number),
            "cash": money(int(cash)), "wallets": int(wallets),
        }
        for token, reason, number, cash, wallets in rows
    ]  # fmt: skip


def reconciliations(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The newest runs that compared our numbers with published ones, one row a run and kind, newest first."""
    rows = warehouse.query(
        "SELECT run, kind, toUnixTimestamp(max(as_of)), count(), countIf(abs(difference) < 10000),"
        " countIf(abs(difference) <= 1000000), sumMap(map(cause, toUInt64(1)))"
        f" FROM reconciliation FINAL WHERE kind IN {_WHOLE}"
        f" AND run IN (SELECT DISTINCT run FROM reconciliation ORDER BY run DESC LIMIT {RUNS})"
        " GROUP BY run, kind ORDER BY run DESC, kind"
    ).rows
    return [
        {
            "run": int(run), "kind": kind, "as_of": moment(as_of), "compared": int(compared),
            "within_cent": _share(cent, compared), "within_dollar": _share(dollar, compared), "causes": _causes(causes),
        }
        for run, kind, as_of, compared, cent, dollar, causes in rows
    ]  # fmt: skip


def _causes(causes: Mapping[str | bytes, int]) -> dict[str, int]:
    """Keys of a map come as bytes from one engine and as text from another."""
    named = {cause.decode() if isinstance(cause, bytes) else cause: int(number) for cause, number in causes.items()}
    return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))


def _checks(warehouse: Warehouse) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name, "ok": one.ok, "broken": one.broken, "detail": one.detail, "by": one.occasion,
            "scope": one.scope, "guards": list(one.guards), "at": moment(one.at),
        }
        for one in newest_results(warehouse)
    ]  # fmt: skip


def _builds(warehouse: Warehouse) -> list[dict[str, Any]]:
    return [
        {
            "build": one.build, "kind": one.kind, "at": moment(one.build // 1_000_000), "held": list(one.held),
            "restored": one.restored or None, "seconds": shortest(round(one.seconds, 3)),
        }
        for one in publications(warehouse, limit=_BUILDS)
        if one.is_done
    ]  # fmt: skip


def _share(part: int, whole: int) -> Decimal | None:
    return nine(int(part), int(whole)) if whole else None
