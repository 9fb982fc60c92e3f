"""The commands about boards, markets and categories, as users call them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from board_rows import AS_OF, USD, built, flag, specialist, totals, wallet
from commands import running_engine
from score_store import columns, condition, fill, load, market_tables

from polyhouse.cli.app import run_command_line
from polyhouse.models.runner import build
from polyhouse.warehouse import open_warehouse

CONDITION = "0x" + condition(1).hex()
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with open_warehouse(f"chdb://{folder / 'warehouse'}") as warehouse:
        load(warehouse, market_tables(1, slug="rain", question="Rain?", outcomes=["Yes", "No"]))
        load(warehouse, {"observations": columns([fill(0xAA, 1, 100, 4_000), fill(0xBB, 2, 50, 3_000)])})
        build(warehouse)
        for name, usd in (("aa", 30), ("bb", 20), ("cc", 10)):
            totals(warehouse, name, realized=usd * USD, bought_cost=100 * USD, version=2**62)
        specialist(warehouse, "aa", "sports", q=0.01)
        flag(warehouse, "bb", "bot", version=2**62)
        built(warehouse, AS_OF)
    with running_engine(folder):
        yield folder


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command_line(["--home", str(home), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def document(call: Call, *arguments: str) -> dict[str, Any]:
    code, out, _ = call(*arguments, "--json")
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_leaderboard_with_orders_filters_and_pages(call: Call) -> None:
    first = document(call, "leaderboard", "--sort", "pnl", "--limit", "1")
    assert [row["wallet"] for row in first["rows"]] == [wallet("aa")]
    second = document(call, "leaderboard", "--sort", "pnl", "--limit", "1", "--cursor", first["next_cursor"])
    assert [(row["rank"], row["wallet"]) for row in second["rows"]] == [(2, wallet("bb"))]
    few = document(call, "leaderboard", "--sort", "pnl", "--exclude-bots", "--min-pnl", "10", "--reverse")
    assert [row["wallet"] for row in few["rows"]] == [wallet("cc"), wallet("aa")]
    code, out, err = call("leaderboard", "--sort", "pnl", "--limit", "2")
    lines = [line.split("\t") for line in out.splitlines()]
    assert (code, lines[0][:3], len(lines)) == (0, ["rank", "wallet", "value"], 3)
    assert lines[2][lines[0].index("flags")] == "bot"
    assert "--cursor" in err
    assert document(call, "leaderboard", "--copy-trading")["filters"]["exclude_market_makers"] is True
    code, out, err = call("leaderboard", "--min-pnl", "5000")
    assert (code, len(out.splitlines())) == (0, 1)
    assert "no wallet passes" in err
    code, _, err = call("leaderboard", "--sort", "luck")
    assert code == 2
    assert "omega" in err


def test_specialists(call: Call) -> None:
    assert [row["wallet"] for row in document(call, "specialists")["rows"]] == [wallet("aa")]
    assert document(call, "specialists", "--category", "crypto")["rows"] == []
    code, out, err = call("specialists")
    assert (code, out.splitlines()[1].split("\t")[2]) == (0, "sports")
    assert "1 of 1 tested" in err
    assert call("specialists", "--category", "football")[0] == 2


def test_categories(call: Call) -> None:
    found = document(call, "categories")
    assert [row["category"] for row in found["rows"]] == ["overall", "other"]
    code, out, _ = call("categories", "--window", "30d")
    assert (code, out.splitlines()[0].split("\t")[0]) == (0, "category")
    assert call("categories", "--window", "7d")[0] == 2


def test_market_by_slug(call: Call) -> None:
    found = document(call, "market", "rain")
    assert (found["condition_id"], found["holder_count"]) == (CONDITION, 2)
    code, out, err = call("market", CONDITION, "--holders", "1")
    assert code == 0
    facts = dict(line.split("\t", 1) for line in out.split("\n\n")[0].splitlines() if "\t" in line)
    assert (facts["question"], facts["smart money"], facts["holder_count"]) == ("Rain?", "NO_SMART_MONEY", "2")
    assert "holder\toutcome\tshares" in out
    assert "not advice" in err
    code, _, err = call("market", "sun")
    assert (code, "UNKNOWN_MARKET" in err) == (2, True)
