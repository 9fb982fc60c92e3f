"""`retry`, `reset` and the queue in `status`: counts, names, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polyhouse.cli.app import run_command_line
from polyhouse.state import StateStore, open_state
from polyhouse.state.outcomes import MAX_ATTEMPTS

WALLETS = [bytes([number]) * 20 for number in range(1, 9)]


def text(wallet: bytes) -> str:
    return "0x" + wallet.hex()


@pytest.fixture
def state(tmp_path: Path):
    with open_state(f"sqlite:///{tmp_path}/state.db") as store:
        store.register_wallets(WALLETS, "file")
        yield store


@pytest.fixture
def command(tmp_path: Path, state: StateStore, capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> tuple[int, dict]:
        code = run_command_line(["--home", str(tmp_path), *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def park(state: StateStore, wallet: bytes) -> None:
    for _ in range(MAX_ATTEMPTS):
        state.mark_failed(wallet, "503 again")


def test_retry_takes_failed_and_parked_wallets_and_counts_them(command, state):
    state.mark_failed(WALLETS[0], "500")
    park(state, WALLETS[1])
    state.mark_completed(WALLETS[2], trades_synced=4)
    assert command("retry") == (0, {"queued": 2})
    assert command("retry") == (0, {"queued": 0})
    assert {state.wallet(one).status for one in WALLETS[:2]} == {"pending"}
    assert [state.wallet(one).attempts for one in WALLETS[:2]] == [0, 0]
    assert state.wallet(WALLETS[2]).status == "completed"


def test_retry_of_named_wallets_says_which_it_does_not_know(command, state):
    park(state, WALLETS[0])
    park(state, WALLETS[1])
    stranger = b"\xaa" * 20
    names = [text(one) for one in (WALLETS[0], WALLETS[3], stranger, WALLETS[0])]
    assert command("retry", *names) == (1, {"queued": 1, "had_not_failed": 1, "unknown": [text(stranger)]})
    assert (state.wallet(WALLETS[0]).status, state.wallet(WALLETS[1]).status) == ("pending", "parked")


def test_reset_forgets_and_says_whether_the_wallet_is_known(command, state):
    from polyhouse.ports import Checkpoint

    state.restore_checkpoint(Checkpoint("data.activity", text(WALLETS[0]), {"from": 7}, "ok"))
    state.mark_completed(WALLETS[0], trades_synced=4)
    assert command("reset", text(WALLETS[0])) == (0, {"wallet": text(WALLETS[0]), "known": True})
    assert state.checkpoint("data.activity", text(WALLETS[0])) is None
    record = state.wallet(WALLETS[0])
    assert (record.status, record.trades_synced, record.last_synced_at) == ("pending", 0, 0)
    assert command("reset", "0x" + "aa" * 20) == (1, {"wallet": "0x" + "aa" * 20, "known": False})


def test_status_shows_who_waits_and_why(command, state):
    for wallet in WALLETS[:4]:
        state.mark_completed(wallet, trades_synced=1)
    state.queue(WALLETS[2:4])
    state.set_whale_scores({WALLETS[3]: 74, WALLETS[0]: 80})
    code, document = command("status")
    queue = document["queue"]
    assert (code, queue["waiting"]) == (0, {"whale": 1, "new": 4, "stale": 1, "all": 6})
    assert (queue["first"][0]["wallet"], queue["first"][0]["class"]) == (text(WALLETS[3]), "whale")
    assert queue["first"][0]["reason"].startswith("whale 7.4, waiting since ")
    assert len(queue["first"]) == 5
    assert document["wallets"]["completed"] == 2
    assert document["wallets"]["parked"] == document["wallets"]["empty"] == 0
