"""What the tests of the simulated node share."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec

from polyhouse.sim.universe import Universe


class Caller:
    """Sends JSON-RPC requests, without any repetition."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def post(self, url: str, doc: Any) -> tuple[int, bytes, Any]:
        body = doc if isinstance(doc, bytes) else msgspec.json.encode(doc)
        async with self.session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
            return response.status, await response.read(), response.headers

    async def ask(self, url: str, method: str, *params: Any) -> Any:
        """The whole answer to one call."""
        doc = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
        _, body, _ = await self.post(url, doc)
        answer = msgspec.json.decode(body)
        assert answer["id"] == 7
        return answer

    async def result(self, url: str, method: str, *params: Any) -> Any:
        answer = await self.ask(url, method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    async def block(self, url: str, which: int | str, by: str = "Number", *, full: bool = False) -> Any:
        """A block by its number, tag or hash, with the hashes of its transactions."""
        key = hex(which) if isinstance(which, int) else which
        return await self.result(url, f"eth_getBlockBy{by}", key, full)

    async def head(self, url: str) -> int:
        return int(await self.result(url, "eth_blockNumber"), 16)

    async def logs(self, url: str, first: int, last: int, **wanted: Any) -> list[dict[str, Any]]:
        return await self.result(url, "eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last), **wanted})


def dense(seed: int = 1) -> Universe:
    """A few days in which blocks with transactions stand close together; each test moves its own clock."""
    return Universe(seed=seed, wallets=40, fills=6000, span_days=6, with_transfers=True)
