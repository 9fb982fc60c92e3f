"""What every router needs: the open stores, the cached reads, the counters."""

from __future__ import annotations

from dataclasses import dataclass

from polyhouse.jobs.runner import JobRunner
from polyhouse.serve.answers import Answers
from polyhouse.serve.gauges import RequestCounter
from polyhouse.settings import Settings
from polyhouse.wiring import Stores


@dataclass(frozen=True, slots=True)
class ServeContext:
    """The inside of one server.

    Attributes:
        settings: resolved settings.
        stores: open stores; the application never closes them.
        jobs: the thread that works on jobs.
        answers: reads for routes and pages, computed in threads of their own and kept while they are true.
        counter: requests so far.
        is_scheduled: jobs of the plans are queued.
        token: key of the internal route.
        hosts: names in requests that are answered; none = any.
    """

    settings: Settings
    stores: Stores
    jobs: JobRunner
    answers: Answers
    counter: RequestCounter
    token: str
    is_scheduled: bool = False
    hosts: frozenset[str] = frozenset()
