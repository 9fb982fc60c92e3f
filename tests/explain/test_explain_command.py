"""The commands: --explain, --cost and --as-of, readable on a terminal and whole as documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import running_engine
from score_store import columns, fill, load, market_tables

from polyhouse.cli.app import run_command_line
from polyhouse.models.runner import build
from polyhouse.settings import Settings
from polyhouse.wiring import open_stores

ADDRESS = "0x" + "05" * 20
EARLY = "2026-05-28T23:00:00Z"
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with open_stores(Settings(home=folder)) as stores:
        rows = [fill(5, 1, 100, 4_000), fill(5, 5, 50, 3_000, kind="SELL"), fill(6, 9, 10, 700)]
        load(stores.warehouse, market_tables() | {"observations": columns(rows)})
        build(stores.warehouse)
    with running_engine(folder):
        yield folder


@pytest.fixture
def say(home: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command_line(["--home", str(home), *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def document(said: tuple[int, str, str]) -> dict[str, Any]:
    code, out, _ = said
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_number_is_followed_down_by_what_each_row_says_next(say: Say) -> None:
    found = document(say("wallet", ADDRESS, "--explain", "realized", "--json"))
    assert found["value"] == found["sum"] == 10
    for level in ("unit", "position"):
        further = found["rows"][0]["next"]
        options = [word for key, value in further.items() if key != "name" for word in (f"--{key}", value)]
        found = document(say("wallet", ADDRESS, "--explain", further["name"], *options, "--json"))
        assert (found["level"], found["value"], found["adds_up"]) == (level, 10, True)
    bought, sold = found["rows"]
    assert (bought["kind"], bought["shares_after"], bought["contribution"]) == ("BUY", 100, 0)
    assert (sold["kind"], sold["shares_after"], sold["cost_after"], sold["contribution"]) == ("SELL", 50, 20, 10)
    assert sold["tx_hash"].startswith("0x")


def test_it_is_readable(say: Say) -> None:
    code, out, err = say("wallet", ADDRESS, "--explain", "trades", "--limit", "1")
    assert code == 0
    assert "trades\t2" in out
    assert "meaning\tFills in both roles" in out
    code, out, err = say("wallet", ADDRESS, "--explain", "metric.net_pnl")
    assert code == 0
    code, out, err = say("wallet", ADDRESS, "--explain", "profits")
    assert (code, out) == (2, "")
    assert "a wallet has no number 'profits'" in err
    code, out, err = say("wallet", ADDRESS, "--unit", "0x12")
    assert code == 2
    assert "--unit belongs to --explain" in err


def test_cost_methods_are_shown_side_by_side(say: Say) -> None:
    assert "cost_methods" not in document(say("wallet", ADDRESS, "--json"))
    both = document(say("wallet", ADDRESS, "--cost", "both", "--json"))["cost_methods"]
    assert both["totals"]["ours"]["realized"] == both["totals"]["polymarket"]["realized"] == 10
    theirs = document(say("wallet", ADDRESS, "--cost", "polymarket", "--json"))["cost_methods"]
    assert list(theirs["totals"]) == ["polymarket"]
    code, out, _ = say("wallet", ADDRESS, "--cost", "both")
    assert code == 0
    assert "polymarket\t10" in out


def test_a_moment_is_kept_listed_asked_and_forgotten(say: Say) -> None:
    assert document(say("metrics", "--list", "--json")) == {"kept": []}
    then = document(say("wallet", ADDRESS, "--as-of", EARLY, "--json"))
    assert (then["as_of_moment"], then["totals"]["trades"], then["sync"]) == (EARLY, 1, None)
    assert document(say("metrics", "--as-of", EARLY, "--json"))["rows"] == 1
    assert [one["as_of"] for one in document(say("metrics", "--list", "--json"))["kept"]] == [EARLY]
    steps = document(say("wallet", ADDRESS, "--as-of", EARLY, "--explain", "trades", "--json"))
    assert (steps["value"], steps["count"]) == (1, 1)
    code, _, err = say("metrics", "--as-of", EARLY, "--forget")
    assert code == 0
    assert "forgotten" in err
    assert document(say("metrics", "--list", "--json")) == {"kept": []}
    code, out, err = say("leaderboard", "--as-of", "2027-01-01")
    assert (code, out) == (2, "")
    assert "the store knows what happened from" in err
    code, _, err = say("metrics", "--forget")
    assert code == 2
