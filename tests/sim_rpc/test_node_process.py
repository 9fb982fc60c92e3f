"""The simulated node in a process of its own, as other programs start it."""

from __future__ import annotations

import asyncio
import signal
import sys

import msgspec
import pytest
from sim_rpc_tools import Caller

from polyhouse.sim.abi import TOPICS


@pytest.mark.parametrize("arguments", [[], ["--transfers"]])
async def test_it_serves_its_chain(rpc: Caller, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "polyhouse.sim.server", "--wallets", "12", "--fills", "150", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        urls = msgspec.json.decode(await process.stdout.readline())["rpc_urls"]
        assert [url.rsplit("/", 1)[1] for url in urls] == ["rpc", "rpc2", "rpc3"]
        head = await rpc.head(urls[0])
        fills, transfers = 0, 0
        # From the newest block backwards, as wide as the provider allows, until fills were seen.
        for last in range(head, head - 12_000_000, -10_000):
            logs = await rpc.logs(urls[0], last - 9_999, last)
            topics = [log["topics"][0] for log in logs]
            fills += sum(topics.count(TOPICS[name]) for name in ("OrderFilled1", "OrderFilled2"))
            transfers += topics.count(TOPICS["TransferSingle"])
            if fills > 40:
                break
        assert fills > 40
        assert (transfers > fills) == bool(arguments)
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
