"""The tools for assistants, asked by the official client over stdin and stdout."""

import asyncio
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from api_server import fill
from mcp import Client, StdioServerParameters

import polyhouse as package
from polyhouse.serve.assistant import TOOLS

WALLET = "0x" + "aa" * 20
CONDITION = "0x" + "c1" * 32


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    named = kept | {"POLYHOUSE_HOME": str(home), "PYTHONPATH": str(Path(package.__file__).parents[1])}
    fill(home)
    return named


def ask(environment, *questions):
    """The answers to questions (tool, arguments) of one client, each as (is an error, text)."""

    async def asked():
        parameters = StdioServerParameters(command=sys.executable, args=["-m", "polyhouse", "mcp"], env=environment)
        async with Client(parameters) as client:
            tools = (await client.list_tools()).tools
            answers = []
            for name, arguments in questions:
                result = await client.call_tool(name, arguments)
                answers.append((bool(result.is_error), result.content[0].text))
            return tools, answers

    return asyncio.run(asked())


def test_tools_answer_exactly_and_change_nothing(environment):
    tools, answers = ask(
        environment,
        ("wallet", {"address": WALLET}),
        ("wallet_positions", {"address": WALLET, "limit": 1}),
        ("leaderboard", {"min_units": 0}),
        ("sql", {"statement": "SELECT count() AS rows FROM observations"}),
        ("metric", {"name": "omega_net"}),
        ("explain", {"address": WALLET, "name": "realized"}),
        ("market", {"market": CONDITION}),
        ("specialists", {}),
        ("categories", {}),
    )
    assert [tool.name for tool in tools] == list(TOOLS)
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools)
    assert not any(failed for failed, _ in answers)
    documents = [json.loads(text, parse_float=Decimal) for _, text in answers]
    wallet, positions, _, sql, metric, explained, market, *_ = documents
    # 4 of 10 shares that cost 4.000001 were sold for 3.
    assert wallet["totals"]["realized"] == Decimal("1.4")
    assert wallet["positions_count"] == 1
    assert "positions" not in wallet
    assert (positions["count"], positions["left_out_after"], len(positions["positions"])) == (1, 0, 1)
    assert sql["rows"] == [[2]]
    assert metric["unit"] == "ratio"
    assert explained["adds_up"] is True
    assert market["condition_id"] == CONDITION


def test_what_cannot_be_is_said(environment):
    _, answers = ask(
        environment,
        ("wallet", {"address": "0x12"}),
        ("wallet", {"address": "0x" + "bb" * 20}),
        ("leaderboard", {"limit": 100_000}),
        ("sql", {"statement": "DROP TABLE observations"}),
        ("sql", {"statement": "SELECT number FROM numbers(1001)"}),
        ("metric", {"name": "omega_nett"}),
    )
    assert all(failed for failed, _ in answers)
    texts = [text for _, text in answers]
    assert "was never seen" in texts[1]
    assert "less than or equal to 200" in texts[2]
    assert "unknown metric" in texts[5]
    assert not any("Traceback" in text for text in texts)


def test_a_running_server_answers_for_the_store(environment):
    server = subprocess.Popen(
        [sys.executable, "-m", "polyhouse", "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr.readline().startswith("serving ")
        _, answers = ask(environment, ("status", {}), ("wallet_units", {"address": WALLET}))
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert [failed for failed, _ in answers] == [False, False]
    assert json.loads(answers[1][1])["count"] == 1
