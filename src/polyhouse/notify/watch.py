"""Looks at the stores for what the rules watch. What was looked at is remembered in marks, so that each fact is told
once; the first look only takes the marks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from polyhouse.feed import FeedQuery, feed
from polyhouse.models.checks import newest_results, run_checks
from polyhouse.notify.rules import Rules
from polyhouse.ports import Warehouse
from polyhouse.reads.quality import reconciliations

if TYPE_CHECKING:
    from polyhouse.state import StateStore
    from polyhouse.state.runs import RunRecord

NAMED = 10
"""Facts of one message that are spelt out; the others are counted."""
_PAGE = 1_000
_log = logging.getLogger("polyhouse.notify")
_RUNS = 100
_PROBLEMS = frozenset({"sync_failed", "sync_stale", "parked", "invariant", "reconciliation"})


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell.

    Attributes:
        rule: by which it is told.
        subject: what it is about: messages of one rule and subject are throttled together.
        title: one line.
        facts: a line each, the first ``NAMED``.
        others: further facts.
        advice: what to do about it.
    """

    rule: str
    subject: str
    title: str
    facts: tuple[str, ...]
    others: int = 0
    advice: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether somebody should do something about it."""
        return self.rule in _PROBLEMS

    @property
    def lasts(self) -> bool:
        """Whether it is found again at every look for as long as it is so."""
        return self.rule == "sync_stale"

    @property
    def body(self) -> str:
        """The facts and the advice as text."""
        rest = [f"and {self.others:,} more"] if self.others else []
        return "\n".join([*self.facts, *rest, *([self.advice] if self.advice else [])])

    def with_more(self, later: Message) -> Message:
        """Both as one: the facts of both, the newer title."""
        facts = (*self.facts, *later.facts)
        return replace(later, facts=facts[:NAMED], others=self.others + later.others + max(len(facts) - NAMED, 0))


def _message(rule: str, subject: str, title: str, facts: Sequence[str], advice: str = "") -> Message:
    return Message(rule, subject, title, tuple(facts[:NAMED]), max(len(facts) - NAMED, 0), advice)


def look(
    warehouse: Warehouse, state: StateStore, rules: Rules, followed: frozenset[str], marks: Mapping[str, Any], now: int
) -> tuple[list[Message], dict[str, Any]]:
    """What is new since the marks were taken, and the marks of now.

    Args:
        warehouse: with the feed, and the results of reconciliations.
        state: with the runs and the queue.
        rules: what is watched.
        followed: addresses in lower case.
        marks: of the last look; {} = this is the first.
        now: Unix seconds.
    """
    if not marks:
        return [], _first_marks(warehouse, state, now)
    seen = dict(marks)
    found = [
        *_runs(state, rules, seen, now),
        *_parked(state, rules, seen),
        *_news(warehouse, rules, followed, seen),
        *_reconciled(warehouse, rules, seen),
        *_built(warehouse, rules, seen),
        *_checked(warehouse, rules, seen, now),
    ]
    return found, seen


def _first_marks(warehouse: Warehouse, state: StateStore, now: int) -> dict[str, Any]:
    last = state.last_run()
    reconciled = _newest_reconciliation(warehouse)
    return {
        "run": last.id if last else 0, "well": now, "parked": state.wallet_counts().get("parked", 0),
        "event": feed(warehouse, FeedQuery(), limit=1)["newest_id"], "checked": now, "built": _newest_test(warehouse),
        "reconciled": reconciled,
        "within": {kind: str(share) for kind, share in _shares(warehouse, reconciled).items()},
    }  # fmt: skip


def _runs(state: StateStore, rules: Rules, seen: dict[str, Any], now: int) -> Iterator[Message]:
    # A run that goes on is looked at again when it has ended, and so are all that began after it.
    runs = sorted((run for run in _runs_after(state, seen["run"]) if run.id > seen["run"]), key=lambda run: run.id)
    for run in runs:
        if run.status == "running":
            break
        seen["run"] = run.id
        if run.status in {"ok", "partial"}:
            seen["well"] = max(seen["well"], run.finished_at)
        elif run.status == "failed" and rules.sync_failed:
            fact = f"Run {run.id}: {run.error or 'no reason was noted'}"
            yield _message("sync_failed", run.command, f"{run.command} failed", [fact])
    if rules.sync_stale is not None and now - seen["well"] >= rules.sync_stale:
        hours = (now - seen["well"]) / 3_600
        advice = "`polyhouse status` shows the last run."
        yield _message("sync_stale", "", "no sync ended well lately", [f"None for {hours:.1f} hours."], advice)


def _runs_after(state: StateStore, known: int) -> list[RunRecord]:
    """The newest runs, as many as it takes to reach the one that is known."""
    limit = _RUNS
    while True:
        runs = state.runs(limit=limit)
        if len(runs) < limit or runs[-1].id <= known:
            return runs
        limit *= 10


def _parked(state: StateStore, rules: Rules, seen: dict[str, Any]) -> Iterator[Message]:
    parked = state.wallet_counts().get("parked", 0)
    more, seen["parked"] = parked - seen["parked"], parked
    if more > 0 and rules.parked:
        advice = "`polyhouse status` names the reasons, `polyhouse retry` queues them again."
        yield _message("parked", "", "wallets were given up", [f"{more:,} more; {parked:,} are parked now."], advice)


def _news(warehouse: Warehouse, rules: Rules, followed: frozenset[str], seen: dict[str, Any]) -> Iterator[Message]:
    whales: list[str] = []
    insiders: list[str] = []
    own: dict[str, list[str]] = {}
    for event in _events(warehouse, seen):
        if event["kind"] == "trade" and event["action"] == "new":
            if rules.whale_trade is not None and event["volume"] * 1_000_000 >= rules.whale_trade:
                whales.append(_trade(event))
            if rules.followed and event["wallet"] in followed:
                own.setdefault(event["wallet"], []).append(_trade(event))
        elif event["kind"] == "flag" and event["flag"] == "insider" and event["action"] == "new" and rules.insider:
            insiders.append(event["wallet"])
    if whales:
        yield _message("whale_trade", "", "large trades", whales)
    if insiders:
        yield _message("insider", "", "suspected insiders", insiders, "A pattern, no proof: docs/flags.md.")
    for wallet, lines in sorted(own.items()):
        yield _message("followed", wallet, f"{wallet} traded", lines)


def _events(warehouse: Warehouse, seen: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
    while True:
        page = feed(warehouse, FeedQuery(kinds=("trade", "flag")), after=seen["event"], limit=_PAGE)
        yield from page["events"]
        if page["missed"]:
            _log.warning("nobody looked for so long that events of the feed were dropped: they are not told")
        seen["event"] = page["newest_id"] if page["missed"] else page["last_id"]
        if len(page["events"]) < _PAGE:
            return


def _reconciled(warehouse: Warehouse, rules: Rules, seen: dict[str, Any]) -> Iterator[Message]:
    newest = _newest_reconciliation(warehouse)
    if newest == seen["reconciled"]:
        return
    seen["reconciled"] = newest
    within = dict(seen["within"])
    for kind, share in _shares(warehouse, newest).items():
        before = within.get(kind)
        within[kind] = str(share)
        if before is None or rules.reconciliation is None or (Decimal(before) - share) * 100 < rules.reconciliation:
            continue
        fact = f"{kind}: {share * 100:.1f} % within a dollar, {Decimal(before) * 100:.1f} % the time before."
        advice = "`polyhouse reconcile` shows wallets and causes."
        yield _message("reconciliation", kind, "our figures are further from the published ones", [fact], advice)
    seen["within"] = within


def _newest_reconciliation(warehouse: Warehouse) -> int:
    return int(warehouse.query("SELECT max(run) FROM reconciliation").rows[0][0])


def _shares(warehouse: Warehouse, run: int) -> dict[str, Decimal]:
    """Kind of comparison → share of it that was within a dollar."""
    rows = [row for row in reconciliations(warehouse) if row["run"] == run]
    return {row["kind"]: row["within_dollar"] for row in rows if row["within_dollar"] is not None}


def _newest_test(warehouse: Warehouse) -> int:
    return max((one.run for one in newest_results(warehouse)), default=0)


def _built(warehouse: Warehouse, rules: Rules, seen: dict[str, Any]) -> Iterator[Message]:
    """What builds found since, and did not publish."""
    if rules.invariant is None:
        return
    known, results = int(seen.get("built", 0)), newest_results(warehouse)
    seen["built"] = max((one.run for one in results), default=known)
    for result in results:
        if not result.ok and result.run > known and result.occasion == "build":
            facts = [f"{result.broken:,} rows: {result.detail}"]
            advice = "What was shown before stays. `polyhouse check` shows all checks, docs/checks.md what to do."
            yield _message("invariant", result.name, f"a build broke the check {result.name}", facts, advice)


def _checked(warehouse: Warehouse, rules: Rules, seen: dict[str, Any], now: int) -> Iterator[Message]:
    if rules.invariant is None or now - seen["checked"] < rules.invariant:
        return
    seen["checked"] = now
    for result in run_checks(warehouse):
        if not result.ok:
            facts = [f"{result.broken:,} rows: {result.detail}"]
            advice = "`polyhouse check` shows all checks."
            yield _message("invariant", result.name, f"the check {result.name} is broken", facts, advice)


def _trade(event: Mapping[str, Any]) -> str:
    side = "bought" if event["side"] == "BUY" else "sold"
    return (
        f"{event['wallet']} {side} {event['shares']:,.2f} shares of outcome {event['outcome_index']} for"
        f" {event['cash']:,.2f} $ in {event['condition_id']} ({event['category']}, {event['at']})"
    )
