"""Builds that end before the statistics, for tests of ledgers, positions and what is told of them.

Metrics, intervals, flags, specialists and categories take half of a small build. Nothing of the accounts is made of
them, and files whose subject is one of their tables build everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from polyhouse.models import runner
from polyhouse.models.build import Build

_STATISTICS = ("build_metrics", "build_flags", "build_specialists", "build_category_stats")


def _nothing(_run: Build) -> bool:
    """What ``build_metrics`` returns where not everybody was measured."""
    return False


@contextmanager
def accounting_builds() -> Iterator[None]:
    """Until the block ends, builds of this process leave the tables of statistics as they are."""
    with pytest.MonkeyPatch.context() as patched:
        for step in _STATISTICS:
            patched.setattr(runner, step, _nothing)
        yield
