"""``polyhouse discover`` as people call it, also when it is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

import polyhouse as package
from polyhouse.cli.app import run_command_line

SECRET = "pass-7431-word"


async def polyhouse(lab, *arguments, signal_after=None, **extra):
    """(exit code, stdout, stderr) of one call."""
    server = lab.server
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    urls = {
        "POLYHOUSE_GAMMA_URL": server.gamma_url, "POLYHOUSE_CLOB_URL": server.clob_url,
        "POLYHOUSE_DATA_URL": server.data_url, "POLYHOUSE_RATE_SCALE": "1000",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "polyhouse", "--home", str(lab.folder / "home"), *arguments,
        env=kept | urls | extra | {"PYTHONPATH": str(Path(package.__file__).parents[1])}, cwd=lab.folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if signal_after is not None:
        await signal_after()
        process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 100)
    return process.returncode, out.decode(), err.decode()


def registered(lab):
    with sqlite3.connect(lab.folder / "home" / "state.db") as connection:
        return {"0x" + bytes(row[0]).hex(): row[1] for row in connection.execute("SELECT address, status FROM wallets")}


async def test_the_report_as_json_and_as_a_table(lab):
    users = f"postgresql://reader:{SECRET}@127.0.0.1:1/users"
    code, out, err = await polyhouse(
        lab, "discover", "--source", "holders,trades,users", "--json", POLYHOUSE_USER_WALLETS_URL=users
    )
    document = json.loads(out)
    everyone = lab.holders() | lab.traders()
    assert code == 1, err
    assert SECRET not in out + err
    assert (document["command"], document["status"]) == ("discover", "partial")
    assert document["wallets"] == {"seen": len(everyone), "new": len(everyone), "known": 0}
    assert document["sources"]["holders"]["new"] == len(lab.holders())
    assert document["sources"]["users"] == {"seen": 0, "new": 0, "known": 0, "rejected": 0}
    assert [error for error in document["errors"] if error.startswith("users: ")] == document["errors"]
    assert registered(lab) == dict.fromkeys(everyone, "pending")


async def test_killed_then_stopped_then_done_nobody_is_lost(lab):
    arguments = ("discover", "--source", "holders,trades,leaderboard")
    code, _, err = await polyhouse(lab, *arguments, POLYHOUSE_FAILPOINT="K10:1")
    assert code == -signal.SIGKILL, err

    async def some_boards():
        for _ in range(5_000):
            if lab.requests.get("data/v2/leaderboard", 0) >= 1:
                return
            await asyncio.sleep(0.01)

    code, _, err = await polyhouse(lab, *arguments, signal_after=some_boards)
    assert code == 130, err
    assert "the same command goes on from there" in err

    code, out, err = await polyhouse(lab, *arguments, "--json")
    assert code == 0, err
    assert set(registered(lab)) == lab.holders() | lab.traders() | lab.ranked()
    assert json.loads(out)["wallets"]["seen"] <= len(registered(lab))


def test_people_get_a_table(tmp_path, capsys):
    (tmp_path / "wallets.txt").write_text("0x" + "a1" * 20 + "\n" + "0x" + "b2" * 20 + "\nnonsense\n")
    home = ["--home", str(tmp_path / "home")]
    assert run_command_line([*home, "discover", "--file", str(tmp_path / "wallets.txt")]) == 1
    shown = capsys.readouterr()
    assert [line.split("\t") for line in shown.out.splitlines()] == [
        ["source", "seen", "new", "known", "rejected"],
        ["file", "2", "2", "0", "1"],
        ["all", "2", "2", "0", ""],
    ]
    assert "line 3" in shown.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--source", "telepathy"), "telepathy"),
        (("--source", "file"), "--file"),
        (("--source", "users"), "POLYHOUSE_USER_WALLETS_URL"),
        (("--file", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_wrong_usage_is_exit_2(arguments, words, tmp_path, capsys):
    assert run_command_line(["--home", str(tmp_path), "discover", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
