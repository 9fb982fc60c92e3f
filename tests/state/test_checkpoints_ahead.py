"""Checkpoints that are read ahead of the walks that ask for them: never older than what this process moved since."""

from __future__ import annotations

import pytest

from polyhouse.errors import RetryableError
from polyhouse.ports import Checkpoint, PageCommit
from polyhouse.state.ahead import LONGEST_SECONDS, AheadOfTime

WALLETS = [bytes([number] * 20) for number in (1, 2)]
KEYS = ["0x" + wallet.hex() for wallet in WALLETS]
NEVER = "0x" + "33" * 20


def page(partition, number=1):
    return PageCommit("s", partition, {"page": number}, is_last=False, rows=1)


def test_each_is_given_out_once_as_it_stands(state):
    state.commit_pages(1, [page(KEYS[0]), page(KEYS[1], 2)])
    state.read_ahead(["s", "other"], [*KEYS, NEVER])
    for key in KEYS:
        assert state.take_ahead("s", key).checkpoint == state.checkpoint("s", key)
        assert state.take_ahead("s", key) is None, "asked for again: whoever took it may have moved it"
        assert state.take_ahead("other", key).checkpoint is None, "the stream is another one"
    assert state.take_ahead("s", NEVER).checkpoint is None, "looked for, and never read"
    assert state.take_ahead("s", "0x" + "44" * 20) is None, "not looked for"


MOVES = {
    "commit_pages": lambda state: state.commit_pages(2, [page(KEYS[0], 9)]),
    "doubt": lambda state: state.doubt({("s", KEYS[0])}),
    "fail_partition": lambda state: state.fail_partition(2, "s", KEYS[0], "refused"),
    "restore_checkpoint": lambda state: state.restore_checkpoint(Checkpoint("s", KEYS[0], {"page": 9}, "ok")),
    "forget_checkpoints": lambda state: state.forget_checkpoints("s"),
    "reset": lambda state: state.reset(WALLETS[0]),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_what_this_process_moves_is_not_given_out(state, move):
    state.register_wallets(WALLETS, "user")
    state.commit_pages(1, [page(key) for key in KEYS])
    state.read_ahead(["s"], KEYS)
    move(state)
    assert state.take_ahead("s", KEYS[0]) is None


def test_a_commit_leaves_what_was_read_ahead_of_others(state):
    state.read_ahead(["s"], KEYS)
    state.commit_pages(1, [page(KEYS[0])])
    assert state.take_ahead("s", KEYS[1]) is not None


def test_a_commit_whose_answer_was_lost_counts_as_one(state, monkeypatch):
    state.read_ahead(["s"], KEYS)

    def lose_the_answer(name):
        raise RetryableError(f"gone at {name}")

    monkeypatch.setattr("polyhouse.state.database.reach", lose_the_answer)
    with pytest.raises(RetryableError):
        state.commit_pages(1, [page(KEYS[0])])
    assert state.take_ahead("s", KEYS[0]) is None


def test_what_was_moved_while_it_was_read_is_not_kept():
    ahead = AheadOfTime()
    moves = ahead.moves()
    ahead.moved([("s", "p")])
    ahead.keep([("s", "p"), ("s", "q")], {}, moves)
    assert ahead.take(("s", "p")) is None
    assert ahead.take(("s", "q")) is None


def test_what_is_old_is_asked_for_again():
    now = 0.0
    ahead = AheadOfTime(lambda: now)
    keys = [("s", "p"), ("s", "q"), ("s", "r")]
    ahead.keep(keys, {}, ahead.moves())
    now = LONGEST_SECONDS
    assert ahead.take(keys[0]) is not None
    now += 1
    assert ahead.take(keys[1]) is None
    ahead.keep(keys[:1], {}, ahead.moves())
    now -= 1
    assert ahead.take(keys[2]) is None, "walks that never began leave nothing behind"
