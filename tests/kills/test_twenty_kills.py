"""Twenty SIGKILLs of real commands; ``make kills N=1000`` does a thousand of every kind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import killing
import storelook
import stories

from polyhouse.failpoints import NAMES

pytestmark = pytest.mark.timeout(400)


def test_killed_at_named_places_and_random_moments_it_ends_with_the_same_tables(tmp_path: Path) -> None:
    rounds: list[killing.Round] = []
    with killing.library(tmp_path) as (lab, library):
        while sum(one.kills for one in rounds) < 20:
            seed = len(rounds)
            rounds.append(killing.play(lab, library.story(("ledgers", "import")[seed % 2]), seed, 8))
    assert [one for one in rounds if not one.is_good] == []
    places = set().union(*(one.points for one in rounds))
    assert "moment" in places, "no kill came at a random moment"
    assert len(places) > 3, "few places were met: the test proved little"


def test_a_row_that_is_lost_twice_there_or_wrong_is_told_apart() -> None:
    found = storelook.classify(["a", "b", "b", "c"], ["a", "a", "b", "d"])
    assert found == {"lost": 2, "duplicated": 1, "wrong": 1}


def test_stories_name_places_that_exist() -> None:
    assert {point.rstrip("@") for point in stories.SYNC_POINTS} <= NAMES
    assert sum(stories.KINDS.values()) == 100
    assert all(hasattr(stories.Library, f"_{kind}") for kind in stories.KINDS)
