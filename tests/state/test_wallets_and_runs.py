"""The wallet queue, runs and notes."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from polyhouse.errors import BadInputError
from polyhouse.ports import PageCommit
from polyhouse.state import LEASE_SECONDS, WalletRecord, open_state, schema
from polyhouse.state.outcomes import MAX_ATTEMPTS


def wallet(number):
    return number.to_bytes(20, "big")


def test_registering_adds_and_never_resets(state, clock):
    assert state.register_wallets([wallet(1), wallet(2), wallet(1)], "trades") == 2
    state.mark_completed(wallet(1), trades_synced=7, last_trade_at=5)
    clock.now += 10
    assert state.register_wallets([wallet(1), wallet(3)], "holders") == 1
    state.register_wallets([wallet(1)], "trades")
    state.register_wallets([wallet(1)], "trade")
    known = state.wallet(wallet(1))
    assert (known.status, known.trades_synced, known.last_trade_at) == ("completed", 7, 5)
    assert known.provenance == ("trades", "holders", "trade")
    assert known.last_seen - known.first_seen == 10
    assert state.wallet(wallet(9)) is None
    assert state.wallet_counts() == {"pending": 2, "syncing": 0, "completed": 1, "failed": 0, "parked": 0, "empty": 0}
    assert state.wallet_addresses() == [wallet(1), wallet(2), wallet(3)]
    assert state.wallet_addresses("pending", limit=1) == [wallet(2)]


@pytest.mark.parametrize(
    ("addresses", "word"), [([b"short"], "trades"), (["0x" + "00" * 20], "trades"), ([], "two words"), ([], "a%")]
)
def test_registering_nonsense_is_refused(state, addresses, word):
    with pytest.raises(BadInputError):
        state.register_wallets([wallet(1), *addresses], word)
    assert state.wallet_addresses() == []


def test_20_500_wallets_streamed_at_once_and_again(state):
    addresses = [random.Random(n).randbytes(20) for n in range(20_500)]
    assert state.register_wallets(iter(addresses), "trades") == 20_500
    assert state.register_wallets(addresses, "holders") == 0
    assert state.wallet(addresses[-1]).provenance == ("trades", "holders")


def test_failures_wait_longer_and_longer_and_are_parked_at_last(state, clock):
    state.register_wallets([wallet(1)], "file")
    waits = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert state.wallets_due() == [wallet(1)]
        record = state.mark_failed(wallet(1), f"failure {attempt}")
        assert state.wallets_due() == []
        assert (record.attempts, record.last_error) == (attempt, f"failure {attempt}")
        waits.append(record.next_attempt - clock.now)
        clock.now += waits[-1]
    assert waits[:3] == [60, 240, 960]
    assert waits == sorted(waits)
    assert max(waits) == 6 * 3600
    assert state.wallet(wallet(1)).status == "parked"
    assert state.wallets_due() == []
    assert state.retry() == 1
    assert state.wallets_due() == [wallet(1)]
    assert state.wallet(wallet(1)).attempts == 0
    assert state.mark_failed(wallet(2), "unknown") is None


def test_a_record_has_the_fields_of_the_table():
    assert [column.name for column in schema.wallets.columns] == list(WalletRecord.__slots__)


def test_success_forgets_failures(state, clock):
    state.register_wallets([wallet(1)], "file")
    state.mark_failed(wallet(1), "no luck")
    state.mark_completed(wallet(1), trades_synced=3)
    record = state.wallet(wallet(1))
    assert (record.status, record.attempts, record.last_error, record.last_synced_at) == ("completed", 0, "", clock.now)


def test_retry_takes_only_what_failed(state):
    state.register_wallets([wallet(n) for n in range(4)], "file")
    state.mark_completed(wallet(0), trades_synced=1)
    for number in (1, 2):
        state.mark_failed(wallet(number), "no luck")
    assert state.retry([wallet(0), wallet(1), wallet(9)]) == 1
    assert state.wallet(wallet(0)).status == "completed"
    assert state.wallet_counts()["failed"] == 1
    assert state.queue([wallet(0)]) == 1
    assert state.queue() == 4
    assert len(state.wallets_due()) == 4


def test_reset_forgets_the_cursors_of_that_wallet_only(state):
    state.register_wallets([wallet(1), wallet(2)], "file")
    keys = ["0x" + wallet(n).hex() for n in (1, 2)]
    state.commit_pages(1, [PageCommit(s, key, {"n": 1}, is_last=True, rows=1) for s in ("a", "b") for key in keys])
    state.mark_completed(wallet(1), trades_synced=1)
    assert state.reset(wallet(1)) is True
    assert [checkpoint.partition for checkpoint in state.checkpoints()] == [keys[1]] * 2
    assert state.wallet(wallet(1)).status == "pending"
    assert state.reset(wallet(9)) is False


def test_each_wallet_is_claimed_once(state, state_url, clock):
    state.register_wallets([wallet(n) for n in range(500)], "file")
    with open_state(state_url, now=clock) as other, ThreadPoolExecutor(6) as pool:
        stores = [state, other]
        claims = list(pool.map(lambda n: stores[n % 2].claim_wallets(30), range(20)))
    claimed = [address for claim in claims for address in claim]
    assert sorted(claimed) == [wallet(n) for n in range(500)]
    assert state.wallet_counts()["syncing"] == 500
    with open_state(state_url, now=clock) as other:
        assert other.release_syncing() == (500 if "sqlite" in state_url else 0), "other machines have workers too"
        clock.now += LEASE_SECONDS
        assert state.release_syncing() + other.release_syncing() == (0 if "sqlite" in state_url else 500)
    assert state.mark_syncing([wallet(1), wallet(1000)]) == 1
    assert len(state.wallets_due(limit=10)) == 10


def test_runs_have_a_beginning_an_end_and_an_id_of_their_own(state, clock):
    assert state.last_run() is None
    first = state.start_run("sync wallets", {"all": True})
    clock.now += 9
    state.finish_run(first, "partial", {"rows": 5}, error="1 wallet failed")
    second = state.start_run("run")
    assert second > first
    run = state.last_run("sync wallets")
    assert (run.id, run.args, run.status, run.counts, run.error) == (
        first, {"all": True}, "partial", {"rows": 5}, "1 wallet failed"
    )  # fmt: skip
    assert run.finished_at - run.started_at == 9
    assert state.last_run().status == "running"
    assert [run.id for run in state.runs()] == [second, first]
    assert state.run(first) == run
    assert state.run(99) is None


def test_a_run_without_an_end_was_killed_unless_another_machine_is_at_it(state, state_url, clock):
    run = state.start_run("run")
    with open_state(state_url, now=clock) as other:
        is_alone = "sqlite" in state_url
        assert [one.id for one in other.unfinished_runs()] == ([run] if is_alone else [])
        clock.now += LEASE_SECONDS - 1
        state.renew_leases()
        clock.now += 1
        assert [one.id for one in other.unfinished_runs()] == ([run] if is_alone else [])
        clock.now += LEASE_SECONDS
        assert [one.id for one in other.unfinished_runs()] == [run]
        state.finish_run(run, "ok")
        assert other.unfinished_runs() == []


def test_notes_keep_small_facts(state, state_url):
    state.set_note("markets.cursor", {"a": [1, None, "ü"]})
    state.set_note("markets.cursor", [2])
    state.set_note("other", value=False)
    state.set_note("gone", 1)
    state.set_note("gone", None)
    with open_state(state_url) as again:
        assert again.get_note("markets.cursor") == [2]
        assert again.get_note("other") is False
        assert again.get_note("gone") is None
