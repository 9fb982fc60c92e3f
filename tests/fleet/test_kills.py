"""A dozen SIGKILLs at random moments; ``kills.py`` does a hundred."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import fleetlab

import kills
from polyhouse.sim.faults import Fault
from polyhouse.sim.server import SimServer

KILLS = 12


def test_killed_at_random_moments_it_ends_with_the_same_ledger(
    server: SimServer, undisturbed: tuple[dict[str, tuple[int, ...]], int], new_home: Callable[[str], Path]
) -> None:
    alone, minimum = undisturbed
    server.faults.set([Fault(fleetlab.LEDGER, "slow", seconds=0.1)])
    tally, rng = kills.Tally(), random.Random(20261121)
    plan, expected = kills.planned(KILLS, rng), fleetlab.ledger_of(alone)
    while plan:
        home = new_home(f"round-{tally.rounds}")
        assert kills.Round(home, server, minimum, 3, rng, tally).play(plan, KILLS), "no kill met the run"
        assert fleetlab.look(home, fleetlab.VISIBLE) == expected
    server.faults.set([])
    assert tally.kills == {"one": 8, "all": 2, "owner": 2}
    assert tally.fetched_again, "no kill met a page: the test proved nothing"
