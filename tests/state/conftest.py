"""A real store, in a fresh SQLite file and in a fresh PostgreSQL database, and a clock that stands still."""

from __future__ import annotations

import pytest

from polyhouse.state import open_state


class StillClock:
    def __init__(self):
        self.now = 1_800_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return StillClock()


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/state.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request):
    """Tests that use it (or ``state``) run on both engines."""
    return request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])


@pytest.fixture
def state(state_url, clock):
    with open_state(state_url, now=clock) as opened:
        yield opened
