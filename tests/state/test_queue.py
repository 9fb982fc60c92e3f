"""Who is given out, when, to whom, and what becomes of it."""

from __future__ import annotations

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from polyhouse.errors import BadInputError
from polyhouse.ports import PageCommit
from polyhouse.state import LEASE_SECONDS, Synced, open_state, priority
from polyhouse.state.outcomes import MAX_ATTEMPTS

HOUR = 3600


def wallet(number):
    return number.to_bytes(20, "big")


def wallets(*numbers):
    return [wallet(number) for number in numbers]


def complete(state, addresses):
    return state.mark_completed_many([Synced(one, trades_synced=1) for one in addresses])


def test_whales_then_new_then_stale_and_a_line_says_why(state, clock):
    state.register_wallets(wallets(1, 2, 3), "trades")
    complete(state, wallets(1, 2, 3))
    state.set_whale_scores({wallet(2): 50, wallet(3): 74})
    clock.now += 6 * HOUR
    assert state.promote_due() == 3
    state.register_wallets(wallets(4), "trades")
    assert state.queue_depth() == {"whale": 2, "new": 1, "stale": 1}
    assert [priority.reason(one) for one in state.queue_head()] == [
        "whale 7.4, waiting since 2027-01-15 14:00:00 UTC (last read more than 6 hours ago)",
        "whale 5.0, waiting since 2027-01-15 14:00:00 UTC (last read more than 6 hours ago)",
        "never read, waiting since 2027-01-15 14:00:00 UTC (newly found)",
        "read before, waiting since 2027-01-15 14:00:00 UTC (last read more than 6 hours ago)",
    ]
    assert state.wallets_due() == wallets(3, 2, 4, 1)
    assert state.claim_wallets(3) == wallets(3, 2, 4)
    assert state.claim_wallets(3) == wallets(1)
    assert state.claim_wallets(3) == []


def test_the_database_and_python_agree_about_every_bonus(state, clock):
    scores = {wallet(number): number for number in range(1, 111)}
    state.register_wallets(scores, "trades")
    complete(state, list(scores)[::2])
    assert state.set_whale_scores(scores) == 110
    assert state.set_whale_scores(scores) == 0
    state.queue()
    for record in state.changed_since(0):
        assert record.rank == clock.now - priority.bonus(record.whale_score, record.last_synced_at)
    head = [record.whale_score for record in state.queue_head(60)]
    assert head == sorted(head, key=lambda score: -min(score, 100)), "a score above 10.0 is no better than 10.0"
    assert priority.bonus(100, 0) == priority.bonus(110, 1) == priority.LARGEST_BONUS_SECONDS == 8 * HOUR


def test_due_times_move_wallets_in_bounded_batches(state, clock):
    state.register_wallets(wallets(*range(50)), "trades")
    assert state.next_due_at() == clock.now
    first = state.claim_wallets(50)
    complete(state, first[:40])
    for one in first[40:]:
        state.mark_failed(one, "no luck")
    assert state.claim_wallets(50) == []
    assert state.next_due_at() == clock.now + 60
    clock.now += 60
    assert state.claim_wallets(50) == first[40:], "a claim finds failed wallets by itself"
    complete(state, first[40:])
    assert state.next_due_at(stale=False) is None
    assert state.next_due_at() == clock.now - 60 + 6 * HOUR
    clock.now += 6 * HOUR - 61
    assert state.promote_due() == 0
    clock.now += 1
    assert state.promote_due(stale=False) == 0
    assert [state.promote_due(25), state.promote_due(25), state.promote_due(25)] == [25, 15, 0]
    clock.now += 60
    assert state.promote_due() == 10
    assert state.claim_wallets(50) == first, "the longest due first"


def test_a_dead_worker_gives_back_its_wallets_and_nothing_else(state, clock):
    state.register_wallets(wallets(*range(20)), "trades")
    dead = state.claim_wallets(5, worker="dead", lease_seconds=100)
    alive = state.claim_wallets(5, worker="alive", lease_seconds=100)
    clock.now += 99
    assert state.renew_leases("alive", 100) == 5
    assert state.promote_due() == 0
    clock.now += 1
    assert state.promote_due() == 5
    assert {record.address for record in state.queue_head(20)} == set(wallets(*range(20))) - set(alive)
    assert {state.wallet(one).lease_owner for one in alive} == {"alive"}
    assert {state.wallet(one).queued_reason for one in dead} == {"lost"}
    assert state.claim_wallets(20)[-5:] == dead, "behind those that waited already"


def test_a_worker_can_put_its_wallets_back(state, clock):
    state.register_wallets(wallets(*range(9)), "trades")
    first, second = state.claim_wallets(3, worker="a"), state.claim_wallets(3, worker="b")
    clock.now += 10
    assert state.release_worker("a") == 3
    assert state.release_worker("b", lost=True) == 3
    assert state.release_worker("a") == 0
    claimed = state.claim_wallets(9)
    assert set(claimed[:6]) == {*first, *wallets(6, 7, 8)}, "equal ranks come in any order"
    assert set(claimed[6:]) == set(second)
    assert state.release_worker() == 9


def test_one_worker_per_wallet(state, state_url, clock):
    state.register_wallets(wallets(1, 2, 3), "trades")
    state.claim_wallets(1)
    with open_state(state_url, now=clock) as other:
        assert other.lease_wallets(wallets(3, 1, 9)) == wallets(3, 9), "what nobody knows, nobody else reads"
        assert state.lease_wallets(wallets(1, 2, 3)) == wallets(1, 2)
        clock.now += LEASE_SECONDS
        assert other.lease_wallets(wallets(1)) == wallets(1), "its worker is dead"
        assert state.mark_completed(wallet(1), trades_synced=1, worker=state.worker) is False
        assert state.mark_empty(wallets(1), worker=state.worker) == 0
        assert state.mark_failed(wallet(1), "late", worker=state.worker).attempts == 0
        assert state.wallet(wallet(1)).status == "syncing"
        assert other.mark_completed(wallet(1), trades_synced=1, worker=other.worker) is True


@pytest.mark.parametrize("fate", ["fails", "kills its worker"])
def test_a_poison_wallet_never_blocks_the_head(state, clock, fate):
    state.register_wallets(wallets(0), "trades")
    clock.now += 1
    state.register_wallets(wallets(*range(1, 31)), "trades")
    order = []
    for _ in range(40):
        claimed = state.claim_wallets(1)
        order += claimed
        if claimed == wallets(0) and fate == "fails":
            state.mark_failed(wallet(0), "poison")
        elif claimed != wallets(0):
            complete(state, claimed)
        clock.now += LEASE_SECONDS if fate == "kills its worker" else 1
    assert order[:31] == wallets(*range(31)), "each is given out once before the poison comes again"
    assert state.wallet_counts()["completed"] == 30


def test_parked_with_the_reason_and_back_by_hand(state, clock):
    state.register_wallets(wallets(1), "file")
    for number in range(MAX_ATTEMPTS):
        assert state.claim_wallets(1) == wallets(1)
        record = state.mark_failed(wallet(1), f"failure {number}")
        clock.now = record.next_attempt
    assert (record.status, record.attempts, record.last_error) == ("parked", 8, "failure 7")
    assert priority.reason(record) == "never read, given up after 8 failures in a row: failure 7"
    assert state.claim_wallets(1) == []
    assert state.next_due_at() is None
    assert state.retry() == 1
    assert state.claim_wallets(1) == wallets(1)


def test_empty_wallets_leave_the_queue_until_they_are_seen(state, clock):
    state.register_wallets(wallets(1, 2), "holders")
    state.claim_wallets(2)
    assert state.mark_empty(wallets(1, 2)) == 2
    assert state.wallet_counts()["empty"] == 2
    clock.now += 30 * 24 * HOUR
    state.register_wallets(wallets(1, 2), "leaderboard")
    assert (state.promote_due(), state.claim_wallets(2), state.next_due_at()) == (0, [], None), "the queue is empty"
    assert "until something is seen" in priority.reason(state.wallet(wallet(1)))
    assert state.sighted(wallets(1, 9), clock.now) == 1
    assert state.claim_wallets(2) == wallets(1)
    assert state.wallet(wallet(1)).status == "syncing"


def test_news_of_a_wallet_queues_it_only_if_it_was_read_before_them(state, clock):
    state.register_wallets(wallets(1, 2, 3), "trades")
    complete(state, wallets(1))
    state.mark_failed(wallet(2), "no luck")
    assert state.sighted(wallets(1, 2, 3), clock.now - 1) == 0
    assert state.sighted(wallets(1, 2, 3), clock.now) == 1
    assert [state.wallet(one).status for one in wallets(1, 2, 3)] == ["pending", "failed", "pending"]
    with pytest.raises(BadInputError):
        state.sighted([b"short"], clock.now)


@pytest.mark.parametrize("finish", ["completed", "empty"])
def test_what_is_seen_during_the_reading_is_read_once_more(state, clock, finish):
    state.register_wallets(wallets(1), "trades")
    state.claim_wallets(1)
    assert state.sighted(wallets(1), clock.now) == 0
    clock.now += 5
    complete(state, wallets(1)) if finish == "completed" else state.mark_empty(wallets(1))
    record = state.wallet(wallet(1))
    assert (record.status, record.last_synced_at, record.due_at) == ("pending", clock.now, clock.now)
    assert state.claim_wallets(1) == wallets(1)
    complete(state, wallets(1))
    assert state.wallet(wallet(1)).status == "completed"


def test_orders_about_a_wallet_that_another_worker_reads_wait_for_it(state, state_url, clock):
    state.register_wallets(wallets(1, 2), "file")
    state.claim_wallets(2)
    pages = [PageCommit("s", "0x" + one.hex(), {"n": 1}, is_last=False, rows=1) for one in wallets(1, 2)]
    state.commit_pages(1, pages)
    with open_state(state_url, now=clock) as other:
        assert other.reset(wallet(1)) is True
        assert other.queue(wallets(2)) == 0
        assert [other.wallet(one).status for one in wallets(1, 2)] == ["syncing", "syncing"]
    state.commit_pages(1, pages)
    complete(state, wallets(1, 2))
    assert [state.wallet(one).queued_reason for one in wallets(1, 2)] == ["reset", "asked"]
    assert [one.partition for one in state.checkpoints()] == ["0x" + wallet(2).hex()]
    assert sorted(state.claim_wallets(2)) == wallets(1, 2)


@pytest.mark.parametrize("next_reader", ["queue", "by name", "owner"])
def test_a_reset_survives_the_death_of_the_worker(state, state_url, clock, next_reader):
    state.register_wallets(wallets(1), "file")
    state.claim_wallets(1)
    with open_state(state_url, now=clock) as other:
        other.reset(wallet(1))
        state.commit_pages(1, [PageCommit("s", "0x" + wallet(1).hex(), {"n": 1}, is_last=False, rows=1)])
        clock.now += LEASE_SECONDS
        if next_reader == "by name":
            assert other.lease_wallets(wallets(1)) == wallets(1)
        else:
            assert (other.promote_due() if next_reader == "queue" else other.release_syncing()) == 1
            assert other.wallet(wallet(1)).queued_reason == "reset"
    assert state.checkpoints() == []


def test_discovering_twice_changes_nothing_but_when_it_was_seen(state, clock):
    state.register_wallets(wallets(*range(8)), "trades")
    state.claim_wallets(8)
    state.mark_completed_many([Synced(wallet(0), 7, last_trade_at=5, rows=9, duration_ms=1200)])
    state.mark_empty(wallets(1))
    state.mark_failed(wallet(2), "no luck")
    state.queue(wallets(3), "news")
    state.set_whale_scores({wallet(4): 80})
    state.start_run("discover")
    before = {record.address: record for record in state.changed_since(0)}
    clock.now += 60
    assert state.register_wallets(wallets(*range(8)), "trades") == 0
    for record in state.changed_since(0):
        old = before[record.address]
        assert (record.last_seen, record.updated_at) == (clock.now, clock.now)
        for name in set(record.__slots__) - {"last_seen", "updated_at"}:
            assert getattr(record, name) == getattr(old, name), name
    done = state.wallet(wallet(0))
    assert (done.trades_synced, done.rows_synced, done.sync_duration_ms) == (7, 9, 1200)
    before = state.changed_since(0)
    assert state.register_wallets(wallets(*range(8)), "trades") == 0
    assert state.changed_since(0) == before


def test_changes_come_in_pages_that_miss_none(state, clock):
    for number in range(25):
        state.register_wallets(wallets(number), "trades")
        clock.now += number % 3 == 0
    complete(state, wallets(3, 4))
    key, found = (0, b""), []
    while page := state.changed_since(*key, limit=4):
        found += [record.address for record in page]
        key = (page[-1].updated_at, page[-1].address)
    assert sorted(found) == wallets(*range(25))
    assert found[-2:] == wallets(3, 4)
    assert state.wallet_addresses(limit=2, after=wallet(3)) == wallets(4, 5)
    assert state.read_since(wallets(2, 3, 4, 99), clock.now) == set(wallets(3, 4))
    assert state.known_wallets(wallets(2, 99)) == set(wallets(2))


def test_queueing_all_takes_parked_and_empty_ones_and_leaves_places_alone(state, clock):
    state.register_wallets(wallets(*range(5)), "file")
    state.claim_wallets(1)
    state.mark_empty(wallets(1))
    complete(state, wallets(2))
    for _ in range(MAX_ATTEMPTS):
        state.mark_failed(wallet(3), "no luck")
    waiting_since = state.wallet(wallet(4)).due_at
    clock.now += 100
    assert state.queue() == 4
    assert state.wallet(wallet(0)).status == "syncing"
    assert state.wallet(wallet(4)).due_at == waiting_since
    assert state.wallet(wallet(3)).attempts == MAX_ATTEMPTS, "only retry gives a clean slate"
    with pytest.raises(BadInputError):
        state.queue(wallets(4), "two words")


def claim_all(store, size, start):
    start.wait()
    found = []
    while claimed := store.claim_wallets(size):
        found += claimed
    return found


def test_8_threads_never_get_the_same_wallet(state, state_url, clock):
    addresses = wallets(*range(1_200))
    state.register_wallets(addresses, "trades")
    state.set_whale_scores({one: random.Random(one).randrange(100) for one in addresses[::3]})
    stores = [open_state(state_url, now=clock) for _ in range(8)]
    start = Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda store: claim_all(store, 17, start), stores))
    assert sorted(one for claim in claims for one in claim) == addresses
    for store, claim in zip(stores, claims, strict=True):
        assert {state.wallet(one).lease_owner for one in claim[:5]} <= {store.worker}
        store.close()


_CLAIMER = """
import sys
from polyhouse.state import open_state
with open_state(sys.argv[1]) as state:
    print("ready", flush=True)
    sys.stdin.readline()
    while claimed := state.claim_wallets(17):
        for one in claimed:
            print(one.hex())
"""


def test_8_processes_never_get_the_same_wallet(postgres_url):
    with open_state(postgres_url) as state:
        state.register_wallets(wallets(*range(1_200)), "trades")
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", _CLAIMER, postgres_url],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for _ in range(8)
        ]  # fmt: skip
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        lines = [line for process in processes for line in process.communicate(timeout=60)[0].split()]
        assert sorted(map(bytes.fromhex, lines)) == wallets(*range(1_200))
        assert state.wallet_counts()["syncing"] == 1_200
