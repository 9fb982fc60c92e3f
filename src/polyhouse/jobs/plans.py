"""The plans: which action runs when. The defaults are those of the systems that Polyhouse replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyhouse.errors import ConfigError
from polyhouse.jobs.actions import ACTIONS, Action
from polyhouse.jobs.rules import Rule, parse_rule
from polyhouse.reads.exact import moment

if TYPE_CHECKING:
    from polyhouse.state import StateStore

OFF = "off"
DEFAULTS: Mapping[str, str] = {
    "incremental": "*/30 * * * *",
    "open-markets": "10-59/15 * * * *",
    "top": "0 * * * *",
    "full": "0 */6 * * *",
    "everything": "0 2 * * *",
}
"""Every half hour what is new, every hour the first hundred, every six hours discovery and the queue, at two in the
morning everything (seed_systems.md, S1, S3, S4); open markets every quarter of an hour, beside the others."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One line of the schedule. ``rule`` None: switched off."""

    action: Action
    rule: Rule | None

    @property
    def name(self) -> str:
        """A plan is named after its action."""
        return self.action.name


def plans(chosen: Mapping[str, str]) -> list[Plan]:
    """The plans that hold.

    Args:
        chosen: action → crontab line or ``off``, over the defaults.

    Raises:
        ConfigError: an unknown action, or a rule that cannot be.
    """
    for name in chosen:
        if name not in ACTIONS:
            raise ConfigError(f"the schedule names an unknown plan {name!r}", hint=f"one of: {' '.join(ACTIONS)}")
    rules = {**DEFAULTS, **chosen}
    return [Plan(action, _rule(name, rules[name])) for name, action in ACTIONS.items() if name in rules]


def _rule(name: str, text: str) -> Rule | None:
    if text.strip().lower() == OFF:
        return None
    try:
        return parse_rule(text)
    except ConfigError as error:
        raise ConfigError(f"the schedule of {name}: {error}", hint=error.hint) from None


def schedule_document(chosen: Mapping[str, str], state: StateStore, now: int) -> dict[str, Any]:
    """The schedule as people and programs see it: every plan with its rule, its next time and its last job."""
    rows = []
    for plan in plans(chosen):
        record = state.schedule(plan.name)
        job = state.job(record.last_job) if record is not None and record.last_job else None
        rows.append({
            "plan": plan.name,
            "summary": plan.action.summary,
            "rule": plan.rule.text if plan.rule else None,
            "next_at": moment(plan.rule.next_after(now)) if plan.rule else None,
            "last_job": None if job is None else {
                "id": job.id, "status": job.status, "started_at": moment(job.started_at),
                "finished_at": moment(job.finished_at),
            },
        })  # fmt: skip
    return {"time_zone": "UTC", "count": len(rows), "rows": rows}
