"""The clock of a server: queues a job whenever the time of a plan has come.

Which times were seen to is kept in the state store, so each becomes a job once, however many servers share the store.
Times that passed while no server ran are made up for by one job, at the start.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from polyhouse.errors import RetryableError
from polyhouse.jobs.plans import Plan, plans

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

    from polyhouse.state import StateStore

_OUTAGE_SECONDS = 30
_log = logging.getLogger("polyhouse.schedule")


class Schedule:
    """Queues the jobs of the plans.

    Args:
        chosen: the settings' schedule (see ``plans``).
        jitter: each job is queued up to so many seconds late, so that not everybody asks the upstream at once.
        state: where jobs and the times that were seen to are kept.
        wake: called when a job was queued.
        now: wall clock, Unix seconds.

    Raises:
        ConfigError: see ``plans``.
    """

    def __init__(
        self,
        chosen: Mapping[str, str],
        jitter: int,
        state: StateStore,
        wake: Callable[[], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._plans = [plan for plan in plans(chosen) if plan.rule is not None]
        self._jitter = jitter
        self._state = state
        self._wake = wake
        self._now = now
        self._clock: BackgroundScheduler | None = None

    def start(self) -> None:
        """Make up for what was missed, then keep time in a thread."""
        from apscheduler.schedulers.background import BackgroundScheduler

        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._clock = BackgroundScheduler(timezone=UTC, job_defaults=defaults)
        for plan in self._plans:
            assert plan.rule is not None
            self.see_to(plan)
            self._clock.add_job(self.see_to, plan.rule.trigger(self._jitter), args=[plan], id=plan.name)
        self._clock.start()

    def stop(self) -> None:
        """Keep time no longer; what is queued stays queued."""
        if self._clock is not None:
            self._clock.shutdown(wait=True)

    def see_to(self, plan: Plan) -> None:
        """Queue one job if a time of the plan has come since the last one that was seen to."""
        assert plan.rule is not None
        try:
            known = self._state.keep_schedule(plan.name, plan.rule.text)
            slot = plan.rule.newest(known.last_slot, int(self._now()))
            if slot is not None and self._state.take_slot(plan.name, slot, plan.action.name):
                self._wake()
        except RetryableError as error:
            _log.warning("the plan %s cannot be queued now: %s", plan.name, error)
            if self._clock is not None:
                again = datetime.now(UTC) + timedelta(seconds=_OUTAGE_SECONDS)
                self._clock.add_job(
                    self.see_to, "date", run_date=again, args=[plan], id=f"{plan.name} again", replace_existing=True
                )
