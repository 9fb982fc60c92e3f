"""Several machines read one Polymarket together through a queue in PostgreSQL and a warehouse server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import machinelab
from relay import Relay

from polyhouse.sim.faults import Fault
from polyhouse.sim.server import SimServer

PAGES_UNCOMMITTED = 24
"""Wallets that a worker has open: so many pages may wait for a commit, since a batch is written every two seconds."""

NewWorld = Callable[[], machinelab.World]


def slowly(sim: SimServer, seconds: float) -> None:
    sim.faults.set([Fault(machinelab.LEDGER, "slow", seconds=seconds)])


def test_two_machines_read_every_wallet_once_and_make_what_one_process_makes_whatever_their_clocks_say(
    sim: SimServer, new_world: NewWorld, alone: machinelab.Alone
) -> None:
    world, before = new_world(), sim.requests[machinelab.LEDGER]
    slowly(sim, 0.05)
    machines = [world.machine(), world.machine()]
    # Seven minutes ahead and behind, where leases last five seconds.
    machines[0].wrong_by, machines[1].wrong_by = 420, -420
    workers = [machine.start("worker") for machine in machines]
    for machine, worker in zip(machines, workers, strict=True):
        assert worker.wait(90) == 0, machine.log()
    assert sim.requests[machinelab.LEDGER] - before == alone.requests
    shares = world.completed_by_run()
    assert len(shares) == 2
    assert min(shares) >= 1, "both took part"
    statuses = world.statuses()
    assert sum(shares) == statuses["completed"]
    assert set(statuses) <= {"completed", "empty"}
    assert machinelab.look(world.warehouse) == alone.content


def test_the_wallets_of_a_killed_machine_come_back_after_its_lease_and_another_one_finishes(
    sim: SimServer, new_world: NewWorld, alone: machinelab.Alone
) -> None:
    world, before = new_world(), sim.requests[machinelab.LEDGER]
    slowly(sim, 0.06)
    first, second = world.machine(), world.machine()
    first.lease_seconds = 8  # longer than the rest of the work takes
    killed, survivor = first.start("worker"), second.start("worker")
    owners = "SELECT DISTINCT lease_owner FROM wallets WHERE status = 'syncing'"
    machinelab.wait_for(lambda: len(world.ask(owners)) == 2 and sim.requests[machinelab.LEDGER] - before >= 30)
    machinelab.kill(killed)
    held = f"SELECT count(*) FROM wallets WHERE status = 'syncing' AND lease_owner LIKE '%:{killed.pid}:%'"
    assert world.ask(held)[0][0] >= 1, "it was killed in the middle of its work"
    assert survivor.wait(90) == 0, second.log()
    assert "in the hands of other workers" in second.log(), "it waited for the lease"
    assert set(world.statuses()) <= {"completed", "empty"}
    assert machinelab.look(world.warehouse) == alone.content
    # Again are fetched: the page in its hands, and what it had fetched and not committed yet.
    assert alone.requests <= sim.requests[machinelab.LEDGER] - before <= alone.requests + PAGES_UNCOMMITTED


def test_a_worker_goes_on_when_its_state_store_was_away_for_some_seconds(
    sim: SimServer, new_world: NewWorld, alone: machinelab.Alone, postgres_server: Any
) -> None:
    world, before = new_world(), sim.requests[machinelab.LEDGER]
    slowly(sim, 0.1)
    machine = world.machine()
    worker = machine.start("worker", "--no-metrics")
    machinelab.wait_for(lambda: sim.requests[machinelab.LEDGER] - before >= 8)
    postgres_server.stop()
    try:
        time.sleep(3)  # longer than the writer alone would try again
        assert worker.poll() is None, machine.log()
    finally:
        postgres_server.start()
    assert sim.requests[machinelab.LEDGER] - before < alone.requests, "the work is not over yet"
    assert worker.wait(90) == 0, machine.log()
    assert set(world.statuses()) <= {"completed", "empty"}
    assert sim.requests[machinelab.LEDGER] - before == alone.requests
    rows = machinelab.look(world.warehouse)["observations_current"]
    assert rows == alone.content["observations_current"]


def test_a_machine_that_is_cut_off_from_the_state_store_loses_its_wallets_and_nothing_else(
    sim: SimServer, new_world: NewWorld, alone: machinelab.Alone, postgres_server: Any
) -> None:
    world, before = new_world(), sim.requests[machinelab.LEDGER]
    slowly(sim, 0.08)
    network = Relay(postgres_server.port)
    island, mainland = world.machine(), world.machine()
    island.state = world.state.replace(f"127.0.0.1:{postgres_server.port}", network.address)
    try:
        lost, other = island.start("worker", "--no-metrics"), mainland.start("worker", "--no-metrics")
        owners = "SELECT DISTINCT lease_owner FROM wallets WHERE status = 'syncing'"
        machinelab.wait_for(lambda: len(world.ask(owners)) == 2 and sim.requests[machinelab.LEDGER] - before >= 10)
        network.cut()
        held = f"SELECT count(*) FROM wallets WHERE status = 'syncing' AND lease_owner LIKE '%:{lost.pid}:%'"
        assert world.ask(held)[0][0] >= 1, "it was cut off in the middle of its work"
        # Its leases end, the other machine takes its wallets and finishes.
        assert other.wait(90) == 0, mainland.log()
        assert world.ask(held) == [(0,)]
        assert lost.poll() is None, island.log()
        network.heal()
        assert lost.wait(90) == 0, island.log()
    finally:
        network.close()
    assert set(world.statuses()) <= {"completed", "empty"}
    rows = machinelab.look(world.warehouse)["observations_current"]
    assert rows == alone.content["observations_current"]
    # It read on until it had to commit; what it had not committed was read by the other one.
    assert alone.requests <= sim.requests[machinelab.LEDGER] - before <= alone.requests + PAGES_UNCOMMITTED
