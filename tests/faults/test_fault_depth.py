"""Level 2: schedules of faults over the simulator's HTTP, with real stores, models and readers, against its truth."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from faultlab.deep import Deep, Outcome, opened, play_chain, play_rest

from polyhouse.state import open_state
from polyhouse.sync.verify import verify
from polyhouse.warehouse import open_warehouse

FIRST = 2
SEEDS = int(os.environ.get("POLYHOUSE_DEEP_SEEDS", "1"))


@pytest.mark.parametrize(("play", "is_chain"), [(play_rest, False), (play_chain, True)])
async def test_after_any_faults_the_tables_are_the_truth(
    tmp_path: Path, play: Callable[[Deep, int], Awaitable[Outcome]], is_chain: bool
) -> None:
    fired: Counter[str] = Counter()
    async with opened(tmp_path, chain=is_chain) as deep:
        for seed in range(FIRST, FIRST + SEEDS):
            outcome = await play(deep, seed)
            assert not outcome.problems, f"seed {seed}: {outcome.problems} after {dict(outcome.fired)}"
            assert outcome.compared
            fired += outcome.fired
        fired += deep.server.faults.fired
    assert fired.total() >= SEEDS


def test_a_lost_state_store_is_rebuilt_to_before_the_first_rejected_row(tmp_path: Path) -> None:
    pages = {
        "stream": ["data.activity"] * 4,
        "partition": ["clean", "doubtful", "doubtful", "doubtful"],
        "position_from": ["{}", "{}", '{"at":1}', '{"at":2}'],
        "position_to": ['{"at":9}', '{"at":1}', '{"at":2}', '{"at":3}'],
        "rows": [5, 5, 4, 5],
        "rejected": [0, 0, 1, 0],
        "ignored": [0] * 4,
        "seq": [1, 1, 2, 3],
        "is_last": [True, False, False, True],
        "digest": [bytes([n]) * 32 for n in range(4)],
        "written_at": [1_780_000_000] * 4,
    }
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, open_state(f"sqlite:///{tmp_path}/s.db") as state:
        warehouse.write("sync_pages", pages, run=1, token="pages")
        assert verify(warehouse, state).rebuilt == 2
        clean, doubtful = state.checkpoints("data.activity")
    assert (clean.position, clean.status) == ({"at": 9}, "ok")
    # The quarantine was in the lost store: the rejected row has to be met again.
    assert (doubtful.position, doubtful.status, doubtful.pages) == ({"at": 1}, "partial", 3)
