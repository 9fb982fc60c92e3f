"""A real store in a fresh file, and a clock that stands still."""

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
def state_url(tmp_path):
    return f"sqlite:///{tmp_path}/state.db"


@pytest.fixture
def state(state_url, clock):
    with open_state(state_url, now=clock) as opened:
        yield opened
