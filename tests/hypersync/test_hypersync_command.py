"""HyperSync from the command line: the token opens it, and shows up nowhere."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from chain_world import serve, universe

import polyhouse as package
from polyhouse.settings import load
from polyhouse.sim.hypersync_api import TOKEN


async def polyhouse(server, home: Path, *arguments: str, **extra: str) -> tuple[int, str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "polyhouse", "--home", str(home), *arguments,
        env=kept | {
            "PYTHONPATH": str(Path(package.__file__).parents[1]), "POLYHOUSE_RPC_URL": ",".join(server.rpc_urls),
            "POLYHOUSE_RPC_RANGE": "100000000", "POLYHOUSE_RATE_SCALE": "1000",
            "POLYHOUSE_HYPERSYNC_URL": server.hypersync_url, **extra,
        },
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_token_takes_the_second_road_and_no_token_the_first(tmp_path: Path) -> None:
    async with serve(universe(wallets=6, fills=60)) as server:
        code, _, err = await polyhouse(server, tmp_path, "sync", "chain", POLYHOUSE_HYPERSYNC_TOKEN=TOKEN)
        assert code == 0, err
        assert TOKEN not in err
        asked = server.requests["hypersync/query"]
        assert asked > 2
        code, out, err = await polyhouse(server, tmp_path, "status", "--json")
        assert code == 0, err
        document = json.loads(out)
        assert {"rpc.other", "hypersync.other"} <= {one["name"] for one in document["upstreams"]}
        assert set(document["token_map"]) == {"traded_tokens", "mapped_tokens", "cash_share_mapped"}
        await server.advance(86_400)
        code, _, err = await polyhouse(server, tmp_path, "sync", "chain")
        assert code == 0, err
        assert server.requests["hypersync/query"] == asked
        code, out, err = await polyhouse(server, tmp_path, "check", "--json")
        assert code == 0, err
        detail = {row["name"]: row["detail"] for row in json.loads(out)["checks"]}["tokens_are_mapped"]
        assert (code, detail.count("100 % of the cash of all fills")) == (0, 1), out


async def test_a_refused_token_ends_with_code_4_and_is_not_shown(tmp_path: Path) -> None:
    token = "wrong-token-7431"
    async with serve(universe(wallets=6, fills=60)) as server:
        code, out, err = await polyhouse(
            server, tmp_path, "sync", "chain", "--no-metrics", "--debug", POLYHOUSE_HYPERSYNC_TOKEN=token
        )
    assert code == 4, err
    assert "refused the token" in err
    assert token not in out + err


def test_the_token_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYHOUSE_HYPERSYNC_TOKEN", "planted")
    monkeypatch.setenv("POLYHOUSE_HOME", str(tmp_path))
    loaded = load(working_directory=tmp_path)
    assert "planted" not in repr(loaded.explain()) + repr(loaded.settings)
    shown = {name: value for name, value, _ in loaded.explain()}
    assert shown["POLYHOUSE_HYPERSYNC_TOKEN"] == "***"
    assert shown["POLYHOUSE_HYPERSYNC_URL"].startswith("https://polygon.")
