"""``polyhouse sync history`` from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

import polyhouse as package
from polyhouse.cli.app import run_command_line
from polyhouse.sim import dome_api
from polyhouse.sim.goldsky_api import raw_fills
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe


def environment(server, **extra):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    urls = {
        "POLYHOUSE_GAMMA_URL": server.gamma_url, "POLYHOUSE_CLOB_URL": server.clob_url,
        "POLYHOUSE_DATA_URL": server.data_url, "POLYHOUSE_SUBGRAPH_URL": server.subgraph_url,
        "POLYHOUSE_DOME_URL": server.dome_url, "POLYHOUSE_LIVE_URL": server.live_url, "POLYHOUSE_RATE_SCALE": "1000",
    }  # fmt: skip
    return kept | urls | extra | {"PYTHONPATH": str(Path(package.__file__).parents[1])}


async def polyhouse(server, home, *arguments, **extra):
    """(exit code, stdout, stderr) of one call."""
    if arguments[0].startswith("--"):
        arguments = ("sync", "history", *arguments)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "polyhouse", "--home", str(home), *arguments,
        env=environment(server, **extra),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 100)
    return process.returncode, out.decode(), err.decode()


async def test_the_whole_v1_era_and_then_nothing_new(server, tmp_path):
    code, out, err = await polyhouse(server, tmp_path, "--source", "goldsky", "--no-metrics", "--json")
    assert code == 0, err
    counts = json.loads(out)["counts"]
    fills = {(f.tx, f.log.fields["order"]) for f in raw_fills(server.world) if f.version == 1}
    wallets = {f.log.fields["maker"] for f in raw_fills(server.world) if f.version == 1}
    assert counts["rows"] >= len(fills) > 500
    assert counts["wallets_found"] == len(wallets)
    code, out, err = await polyhouse(server, tmp_path, "--source", "goldsky", "--no-metrics", "--json")
    assert code == 0, err
    again = json.loads(out)["counts"]
    assert again.get("wallets_found", 0) == 0
    assert again["rows"] < counts["rows"] / 2


@pytest.mark.parametrize("key", ["", "wrong-key-7431", dome_api.FORBIDDEN_KEY])
async def test_a_missing_or_refused_key_ends_with_code_4_and_is_not_shown(server, tmp_path, key):
    wallet = server.world.universe.wallets[0]
    code, out, err = await polyhouse(
        server, tmp_path, "--source", "dome", wallet, "--debug", POLYHOUSE_DOME_API_KEY=key
    )
    assert code == 4, err
    assert "POLYHOUSE_DOME_API_KEY" in err or "refused" in err
    assert not key or key not in out + err


async def test_dome_with_its_key(server, tmp_path):
    wallet = server.world.universe.wallets[0]
    code, out, err = await polyhouse(
        server, tmp_path, "--source", "dome", wallet, "--json", POLYHOUSE_DOME_API_KEY=dome_api.KEY
    )
    assert code == 0, err
    assert json.loads(out)["status"] == "ok"
    query = "SELECT count() AS rows, any(source) AS source, any(flags) AS flags FROM observations_current"
    code, out, err = await polyhouse(server, tmp_path, "sql", query, "--json")
    assert code == 0, err
    fills = sum(f.log.fields["maker"] == wallet for f in raw_fills(server.world))
    assert json.loads(out)["rows"] == [[fills, "dump", "gross"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--source", "data-v1"), "no feed of everyone"),
        (("--source", "nowhere"), "nowhere"),
        (("--source", "goldsky", "12"), "asked for by wallet"),
        (("--source", "goldsky", "--all", "0x" + "11" * 20), "every known wallet"),
        (("--source", "prices", "0x" + "11" * 20), "by token"),
        (("--source", "prices", "12"), "No fill of token 12"),
        (("--source", "goldsky", "0x12"), "address"),
    ],
)
def test_usage_errors(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert run_command_line(["--home", str(tmp_path), "sync", "history", *arguments]) == 2
    assert words in capsys.readouterr().err


async def test_live_reads_who_trades_until_ctrl_c(tmp_path):
    universe = Universe(seed=11, wallets=60, fills=1_500)
    async with SimServer(universe, enforce_limits=False) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "polyhouse", "--home", str(tmp_path), "sync", "live", "--json",
            env=environment(server), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            while not server.live.connections:  # noqa: ASYNC110 - the hub has no event for it
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)
            await server.advance(12 * 86_400)
            assert server.live.lost == 0
            await asyncio.sleep(0.3)
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    assert process.returncode == 130, err
    document = json.loads(out)
    assert document["status"] == "interrupted"
    assert document["counts"]["hints"] == server.live.sent > 10
    assert document["counts"]["gaps"] == 1


async def test_trades_of_the_first_data_api_name_wallets(server, tmp_path):
    market = max(server.world.catalog.markets, key=lambda market: len(server.world.views.market_wallets(market.number)))
    names = (market.meta.condition_id, server.world.universe.wallets[0])
    source = ("--source", "data-v1-trades", "--no-metrics", "--json")
    code, out, err = await polyhouse(server, tmp_path, *source, *names)
    assert code == 0, err
    counts = json.loads(out)["counts"]
    assert counts["rows"] > 20
    assert counts["wallets_found"] > 3
    code, _, err = await polyhouse(server, tmp_path, *source)
    assert (code, "no feed of everyone" in err) == (2, True)
    code, _, err = await polyhouse(server, tmp_path, "--source", "dome", names[0], POLYHOUSE_DOME_API_KEY=dome_api.KEY)
    assert (code, "data-v1-trades" in err) == (2, True)
