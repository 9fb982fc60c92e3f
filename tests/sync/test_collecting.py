"""Python's search for cycles while a loader runs: seldom, and as before once the last one ends."""

from __future__ import annotations

import gc

from polyhouse.collecting import SELDOM, pass_over_what_is_loaded, seldom


def test_what_was_set_comes_back_with_the_last_one_that_leaves() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with seldom():
        assert gc.get_threshold() == SELDOM
        assert gc.get_freeze_count() > frozen
        with seldom():
            pass
        assert gc.get_threshold() == SELDOM
        assert gc.get_freeze_count() > frozen
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_what_a_process_loads_later_is_passed_over_too() -> None:
    pass_over_what_is_loaded()
    assert gc.get_freeze_count() == 0
    with seldom():
        before = gc.get_freeze_count()
        loaded = [[number] for number in range(1_000)]
        pass_over_what_is_loaded()
        assert gc.get_freeze_count() >= before + len(loaded)


def test_cycles_made_meanwhile_are_found_without_being_asked_for() -> None:
    class Node:
        alive = 0

        def __init__(self) -> None:
            Node.alive += 1
            self.itself = self

        def __del__(self) -> None:
            Node.alive -= 1

    with seldom():
        for _ in range(10 * SELDOM[0]):
            Node()
        assert Node.alive <= 2 * SELDOM[0]
    gc.collect()
    assert Node.alive == 0
