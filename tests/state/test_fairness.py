"""Nobody starves, and choosing costs no more with more wallets."""

from __future__ import annotations

import random
from itertools import islice

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from polyhouse.state import Synced, open_state, priority

MINUTE = 60
STEP = 10 * MINUTE
WHALES = [bytes([1, number]) * 10 for number in range(200)]
ORDINARY = b"\x02" * 20


class Tick:
    now = 1_800_000_000

    def __call__(self):
        return self.now


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(
    arrivals=st.lists(st.integers(0, 3), min_size=20, max_size=20),
    capacity=st.integers(1, 2),
    scores=st.lists(st.integers(50, 100), min_size=5, max_size=5),
)
def test_a_stale_wallet_waits_at_most_the_difference_of_the_bonuses(tmp_path_factory, arrivals, capacity, scores):
    """Whales come for ever, more of them than can be read: those due later than the wallet plus the largest bonus never
    come before it, and if there is room for all it is read within that time.
    """
    clock = Tick()
    with open_state(f"sqlite:///{tmp_path_factory.mktemp('fair')}/state.db", now=clock) as state:
        state.register_wallets([ORDINARY, *WHALES], "trades")
        state.mark_completed_many([Synced(one, 1) for one in [ORDINARY, *WHALES]])
        state.set_whale_scores({one: scores[number % 5] for number, one in enumerate(WHALES)})
        wanted = state.wallet(ORDINARY).due_at
        clock.now = wanted
        state.sighted([ORDINARY], wanted)
        fresh, due, claimed = iter(WHALES), {}, []
        while ORDINARY not in claimed:
            number = arrivals[(clock.now - wanted) // STEP % len(arrivals)] or 1
            arrived = list(islice(fresh, number))
            state.sighted(arrived, clock.now)
            due |= dict.fromkeys(arrived, clock.now)
            claimed += state.claim_wallets(capacity, lease_seconds=1_000 * 3600)
            clock.now += STEP
            assert clock.now < wanted + 72 * 3600
        largest = max(priority.bonus(score, 1) for score in scores)
        for one in claimed[: claimed.index(ORDINARY)]:
            assert due[one] <= wanted + largest
        if all((number or 1) <= capacity for number in arrivals):
            assert clock.now - STEP <= wanted + largest + STEP


def test_a_whale_comes_before_those_that_wait_no_longer_than_its_bonus():
    now = 1_800_000_000
    whale, new, stale = priority.rank(now, 74, 5), priority.rank(now, 0, 0), priority.rank(now, 0, 5)
    assert whale < new < stale
    assert priority.rank(now - priority.bonus(74, 5) - 1, 0, 5) < whale
    assert priority.rank(now - priority.bonus(0, 0) - 1, 0, 5) < new


@pytest.fixture
def large(state):
    """A store whose statistics know nothing of its 30,000 wallets, in every status."""
    addresses = [random.Random(number).randbytes(20) for number in range(30_000)]
    state.register_wallets(addresses, "trades")
    with state._engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE wallets SET status = CASE WHEN address < {} THEN 'failed' WHEN address < {} THEN 'completed'"
            " ELSE 'pending' END".format(*(["X'0080'", "X'80'"] if state._is_sqlite else [r"'\x0080'", r"'\x80'"]))
        )
    return state


def work_the_queue(state, clock):
    claimed = state.claim_wallets(60)
    state.promote_due(40)
    state.renew_leases()
    state.next_due_at()
    state.lease_wallets(claimed[:5])
    state.mark_completed_many([Synced(one, 1) for one in claimed[:20]])
    state.mark_empty(claimed[20:25])
    state.mark_failed(claimed[25], "no luck")
    state.sighted(claimed, clock.now)
    state.set_whale_scores(dict.fromkeys(claimed, 60))
    state.queue(claimed[:3])
    state.retry(claimed[:3])
    state.read_since(claimed, 5)
    state.release_worker()
    state.changed_since(clock.now - 5, claimed[0], limit=10)
    state.queue_head()


def test_no_step_of_the_queue_walks_or_sorts_the_table(large, clock):
    """On databases without statistics, where the choice of an index is a guess."""
    plans = []

    def explain(connection, _cursor, statement, parameters, _context, many):
        words = "EXPLAIN QUERY PLAN " if large._is_sqlite else "EXPLAIN "
        if (
            statement.startswith(("SELECT wallets", "SELECT (SELECT min", "UPDATE wallets", "WITH picked"))
            and "wallets" in statement
        ):
            cursor = connection.connection.driver_connection.cursor()
            cursor.execute(words + statement, parameters[0] if many else parameters)
            plans.append((statement, parameters, "\n".join(str(row[-1]) for row in cursor.fetchall())))

    event.listen(large._engine, "before_cursor_execute", explain)
    work_the_queue(large, clock)
    event.remove(large._engine, "before_cursor_execute", explain)
    assert len(plans) > 20
    for statement, parameters, plan in plans:
        assert "SCAN wallets" not in plan, (statement, plan)
        assert "Seq Scan" not in plan, (statement, plan)
        if "wallets.address IN (?" in statement and "syncing" not in parameters:  # of those there are few
            assert "(address=?" in plan, (statement, plan)
        if "LIMIT" in statement:
            assert "TEMP B-TREE" not in plan, (statement, plan)
            assert "Sort" not in plan, (statement, plan)
