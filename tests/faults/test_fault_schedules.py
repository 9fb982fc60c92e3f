"""Seeded schedules of faults against the real engine, streams, client, queue and writer (see ``docs/promises.md``)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faultlab.mutants import MUTANTS, SEEN_BY, planted
from faultlab.schedule import KINDS
from faultlab.world import play, play_at
from soak import Sums, explain, play_some

SEEDS = int(os.environ.get("POLYHOUSE_FAULT_SEEDS", "500"))
FIRST = 1
REGRESSIONS = [
    int(line.split()[0])
    for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]
CANONICAL = 3
"""A world of wallets with several pages and equal seconds at their edges."""

ERRORS = (
    ("5xx", "timeout_after", "truncated"),  # before the upstream acted, after it, in the middle of its answer
    ("write_refused", "write_answer_lost", "write_half"),
    ("state_busy", "state_answer_lost"),
)


def test_no_schedule_of_faults_breaks_a_promise_and_all_kinds_of_faults_fire() -> None:
    sums = play_some(range(FIRST, FIRST + SEEDS))
    assert not sums.failures, "\n".join(explain(play(seed)) for seed in sorted(sums.failures)[:3])
    assert sums.shortcomings() == []
    assert sums.measured > SEEDS / 20
    assert len(KINDS) == 32


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_schedule_that_once_failed_passes(seed: int) -> None:
    assert not play(seed).problems


def test_a_seed_is_a_schedule() -> None:
    for seed in (8, 9):
        first, second = play(seed), play(seed)
        assert (first.fired, first.calls, first.commits) == (second.fired, second.calls, second.commits)
        assert first.fired


@pytest.mark.parametrize("kind", ["crash", "error"])
def test_one_fault_at_any_single_call_is_harmless(kind: str) -> None:
    possible = play_at(CANONICAL, 0, "").possible
    assert len(possible) > 40
    played = 0
    for call, kinds in enumerate(possible, 1):
        wanted = ("crash",) if kind == "crash" else tuple(one for three in ERRORS for one in three)
        for one in set(wanted) & set(kinds):
            result = play_at(CANONICAL, call, one)
            assert not result.problems, f"{one} at call {call}: {result.problems[:3]}"
            played += len(result.fired)
    assert played >= len(possible) / 2


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_seen(name: str) -> None:
    seed = SEEN_BY.get(name, 1)
    assert seed < 500
    with planted(MUTANTS[name]):
        assert play(seed, measure=True).problems


def test_a_run_that_proves_too_little_says_so() -> None:
    few = Sums(seeds=500, wallets=100, tied=10, pages=[1, 2, 3])
    few.fired.update(dict.fromkeys(KINDS, 19))
    told = few.shortcomings()
    assert sum("fired 19 times" in text for text in told) == len(KINDS)
    assert any("pages" in text for text in told)
    assert any("edge" in text for text in told)
