"""A store that an earlier version made goes on with the same wallets in the same state."""

from __future__ import annotations

import pytest
from alembic import command, op
from sqlalchemy import text

from polyhouse.state import open_state
from polyhouse.state.database import SCHEMA, connect, parse_url
from polyhouse.state.lifecycle import alembic_config

DAY = 86_400
HOUR = 3_600
THEN = 1_799_000_000

OLD = [
    # address, status, first seen, last seen, attempts, next attempt, error, last synced, trades, last trade
    (1, "pending", THEN, THEN + 5, 0, 0, "", 0, 0, 0),
    (2, "pending", THEN - DAY, THEN, 0, 0, "", THEN - HOUR, 7, THEN - DAY),
    (3, "syncing", THEN, THEN, 2, THEN + 60, "no luck", 0, 0, 0),
    (4, "completed", THEN - DAY, THEN - DAY, 0, 0, "", THEN, 12, THEN - 5),
    (5, "failed", THEN, THEN, 3, THEN + 960, "no luck", 0, 0, 0),
    (6, "parked", THEN, THEN, 8, THEN + 6 * HOUR, "never", THEN - DAY, 3, THEN - DAY),
]


def address(number):
    return number.to_bytes(20, "big")


@pytest.fixture
def old_url(state_url):
    """A store as version 0001 left it."""
    engine = connect(parse_url(state_url))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        command.upgrade(alembic_config(connection), "0001")
        for number, status, first, last, attempts, following, error, synced, trades, newest in OLD:
            connection.execute(
                text(
                    "INSERT INTO wallets (address, status, provenance, first_seen, last_seen, attempts, next_attempt,"
                    " last_error, last_synced_at, trades_synced, last_trade_at) VALUES (:address, :status, 'trades',"
                    " :first, :last, :attempts, :next, :error, :synced, :trades, :newest)"
                ),
                {
                    "address": address(number), "status": status, "first": first, "last": last, "attempts": attempts,
                    "next": following, "error": error, "synced": synced, "trades": trades, "newest": newest,
                },
            )  # fmt: skip
        connection.execute(
            text(
                "INSERT INTO runs (id, command, args, started_at, finished_at, status, counts, error)"
                " VALUES (1, 'run', '{}', 5, 0, 'running', '{}', '')"
            )
        )
    engine.dispose()
    return state_url


def test_wallets_keep_what_they_were(old_url, clock):
    clock.now = THEN + 6 * HOUR
    with open_state(old_url, now=clock) as state:
        for number, status, first, last, attempts, following, error, synced, trades, newest in OLD:
            record = state.wallet(address(number))
            assert (record.status, record.provenance, record.last_error) == (status, ("trades",), error)
            assert (record.first_seen, record.last_seen, record.attempts) == (first, last, attempts)
            assert (record.next_attempt, record.last_synced_at) == (following, synced)
            assert (record.trades_synced, record.last_trade_at) == (trades, newest)
        figures = [(one.address[-1], one.due_at, one.rank) for one in map(state.wallet, map(address, range(1, 7)))]
        assert figures == [
            (1, THEN, THEN - 2 * HOUR),
            (2, THEN - DAY, THEN - DAY),
            (3, THEN, THEN - 2 * HOUR),
            (4, THEN + 6 * HOUR, THEN + 6 * HOUR),
            (5, THEN + 960, THEN + 960 - 2 * HOUR),
            (6, 0, 0),
        ]
        assert [one.id for one in state.unfinished_runs()] == [1]
        assert len(state.changed_since(0)) == 6
        assert state.promote_due() == 3, "the failed, the one whose worker is gone, the stale one"
        assert [one[-1] for one in state.claim_wallets(10)] == [2, 1, 5, 3, 4]
        assert state.next_due_at() is not None


def test_upgrading_twice_and_reading_on_is_the_same(old_url, clock):
    with open_state(old_url, now=clock) as state:
        before = state.changed_since(0)
    with open_state(old_url, now=clock) as state:
        assert state.changed_since(0) == before


def test_an_upgrade_that_is_cut_leaves_the_old_store(old_url, monkeypatch):
    real = op.create_index

    def cut(name, *args, **options):
        if name == "wallets_changed":
            raise KeyboardInterrupt
        return real(name, *args, **options)

    monkeypatch.setattr(op, "create_index", cut)
    with pytest.raises(KeyboardInterrupt):
        open_state(old_url)
    monkeypatch.setattr(op, "create_index", real)
    engine = connect(parse_url(old_url))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0001"
    engine.dispose()
    with open_state(old_url) as state:
        assert state.wallet_counts() == dict.fromkeys(state.wallet_counts(), 1) | {"pending": 2, "empty": 0}
