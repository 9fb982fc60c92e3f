"""Faults of the simulated upstreams: seeded, per route, countable, settable while the server runs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from polyhouse.errors import BadInputError

FaultKind = Literal[
    "status",  # an error of that status in the host's own shape
    "html",  # a Cloudflare page: status 403 (default), or 200
    "truncated",  # JSON that stops in the middle, with a matching content length
    "reset",  # the connection is reset in the middle of the body
    "slow",  # a good answer after `seconds`
    "hang",  # no answer for `seconds`, then the connection is dropped
    "empty",  # 200 and no body
    "errors",  # 200 with errors instead of data, as GraphQL servers answer
    "repeat_page",  # the rows of the page before, under this page's cursor
    "repeat_cursor",  # the cursor that was sent, handed out again
    "stale_head",  # the first page as it was when it was first asked for
]
ROW_FAULTS = frozenset({"repeat_page", "repeat_cursor", "stale_head"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule.

    Attributes:
        route: glob over ``host/path``, e.g. ``data/v2/trades`` or ``gamma/*``.
        kind: what happens.
        query: glob over the query string, e.g. ``*user=0xabc…*``: one wallet's requests.
        status: for ``status`` and ``html``; 0 = 500 and 403.
        probability: chance per matching request.
        after: matching requests that pass before the rule applies.
        times: how often it fires at most; None = for ever.
        seconds: for ``slow`` and ``hang``.
        retry_after: ``Retry-After`` header of a ``status`` fault.
    """

    route: str
    kind: FaultKind
    status: int = 0
    probability: float = 1.0
    after: int = 0
    times: int | None = None
    seconds: float = 0.0
    retry_after: str = ""
    query: str = "*"

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise BadInputError(f"unknown fault kind {self.kind!r}: use one of {', '.join(get_args(FaultKind))}")
        if not 0 <= self.probability <= 1:
            raise BadInputError("a fault's probability lies between 0 and 1")


class FaultPlan:
    """An ordered list of faults; the first one that applies to a request fires.

    Args:
        faults: rules, as ``Fault`` or as their JSON documents.
        seed: decides the probabilities.
    """

    def __init__(self, faults: Iterable[Fault | dict[str, Any]] = (), seed: int = 0) -> None:
        self.fired: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._rules: list[Fault] = []
        self._matched: list[int] = []
        self._used: list[int] = []
        self.set(faults)

    def set(self, faults: Iterable[Fault | dict[str, Any]]) -> None:
        """Replace the rules; counts of fired faults stay.

        Raises:
            BadInputError: a document names an unknown field or kind.
        """
        known = {entry.name for entry in fields(Fault)}
        rules = []
        for entry in faults:
            if isinstance(entry, dict) and (not {"route", "kind"} <= set(entry) or not set(entry) <= known):
                raise BadInputError(f"a fault has route, kind and any of {', '.join(sorted(known))}")
            rules.append(entry if isinstance(entry, Fault) else Fault(**entry))
        self._rules, self._matched, self._used = rules, [0] * len(rules), [0] * len(rules)

    def describe(self) -> list[dict[str, Any]]:
        """The rules as JSON documents."""
        return [asdict(rule) for rule in self._rules]

    def decide(self, path: str, query: str = "") -> Fault | None:
        """The fault that hits this request, if any."""
        for place, rule in enumerate(self._rules):
            if not fnmatchcase(path, rule.route) or not fnmatchcase(query, rule.query):
                continue
            self._matched[place] += 1
            if self._matched[place] <= rule.after or (rule.times is not None and self._used[place] >= rule.times):
                continue
            if rule.probability < 1 and self._random.random() >= rule.probability:
                continue
            self._used[place] += 1
            self.fired[f"{rule.route}:{rule.kind}"] += 1
            return rule
        return None
