"""What machines need of one state store: turns, notes that several change, leases, and patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from polyhouse.errors import RetryableError
from polyhouse.state import StateStore, open_state
from polyhouse.sync.reorg import rebuilt, wallets_to_rebuild
from polyhouse.sync.turns import BUILD, building
from polyhouse.sync.unbuilt import remember_unbuilt

WALLETS = [bytes([number]) * 20 for number in range(1, 9)]


@pytest.fixture
def two(postgres_url: str) -> Iterator[tuple[StateStore, StateStore]]:
    """The stores of two machines."""
    with open_state(postgres_url) as one, open_state(postgres_url) as other:
        yield one, other


def test_only_one_machine_builds_at_a_time(two: tuple[StateStore, StateStore]) -> None:
    inside, most = 0, 0
    lock = threading.Lock()

    def build(state: StateStore) -> None:
        nonlocal inside, most
        with building(state):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.1)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(build, two))
    assert most == 1
    assert two[0].take_turn(BUILD, 10), "and the turn is free again"


def test_the_turn_of_a_machine_that_died_ends_by_itself(postgres_url: str) -> None:
    now = 1_000.0
    with open_state(postgres_url, now=lambda: now) as dead, open_state(postgres_url, now=lambda: now) as other:
        assert dead.take_turn(BUILD, 60)
        assert dead.take_turn(BUILD, 60), "its own is renewed"
        now += 59
        assert not other.take_turn(BUILD, 60)
        other.end_turn(BUILD)
        assert not other.take_turn(BUILD, 60), "nobody ends the turn of another one"
        now += 1
        assert other.take_turn(BUILD, 60)
        assert not dead.take_turn(BUILD, 60)


def test_what_several_machines_note_is_not_lost(two: tuple[StateStore, StateStore]) -> None:
    def note(number: int) -> None:
        remember_unbuilt(two[number % 2], [WALLETS[number]])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(8)))
    assert wallets_to_rebuild(two[0]) == WALLETS


def test_a_build_ticks_off_what_it_built_and_not_what_came_meanwhile(two: tuple[StateStore, StateStore]) -> None:
    one, other = two
    remember_unbuilt(one, WALLETS[:2])
    noted = wallets_to_rebuild(one)
    remember_unbuilt(other, WALLETS[2:3])
    rebuilt(one, noted)
    assert wallets_to_rebuild(one) == WALLETS[2:3]
    remember_unbuilt(other, None)
    rebuilt(one, WALLETS[2:3])
    assert wallets_to_rebuild(one) is None, "all were to be built again, and were not"
    rebuilt(one, None)
    assert wallets_to_rebuild(one) == []


def test_a_short_lease_makes_wallets_and_run_of_a_dead_worker_known_early(postgres_url: str) -> None:
    now = 10_000.0
    with (
        open_state(postgres_url, now=lambda: now, lease_seconds=10) as dead,
        open_state(postgres_url, now=lambda: now) as other,
    ):
        dead.register_wallets(WALLETS, "file")
        run = dead.start_run("sync wallets", {})
        assert len(dead.claim_wallets(3)) == 3
        dead.renew_leases()
        assert other.leased_to_others() == 3
        assert dead.leased_to_others() == 0
        now += 9
        assert len(other.claim_wallets(8)) == 5
        assert other.unfinished_runs() == []
        now += 1
        assert len(other.claim_wallets(8)) == 3
        assert [record.id for record in other.unfinished_runs()] == [run]
        assert other.leased_to_others() == 0


def test_a_patient_store_waits_for_its_server_and_loses_nothing_of_an_iterator(
    postgres_server: Any, postgres_url: str
) -> None:
    with open_state(postgres_url) as state:
        postgres_server.stop()
        back = threading.Timer(1.0, postgres_server.start)
        try:
            with pytest.raises(RetryableError):
                state.register_wallets(iter(WALLETS), "file")
            state.patience_seconds = 60.0
            back.start()
            assert state.register_wallets(iter(WALLETS), "file") == len(WALLETS)
        finally:
            back.join() if back.ident else postgres_server.start()


def test_patience_ends(postgres_server: Any, postgres_url: str) -> None:
    with open_state(postgres_url) as state:
        state.patience_seconds = 0.5
        postgres_server.stop()
        try:
            with pytest.raises(RetryableError, match="unavailable"):
                state.get_note("fact")
        finally:
            postgres_server.start()
        assert state.get_note("fact") is None
