"""The simulated Polymarket as a real HTTP server on loopback.

One port; the three hosts are the prefixes ``/gamma``, ``/clob`` and ``/data`` (the official client joins paths to its
base URLs); the simulated Polygon node answers at ``/rpc``, ``/rpc2``, … (see ``polyhouse.sim.rpc_api``).
``/_sim/…`` controls time, faults, re-orgs and counters from another process.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from polyhouse.errors import BadInputError
from polyhouse.sim.faults import FaultPlan
from polyhouse.sim.gateway import Gateway
from polyhouse.sim.hypersync_api import HypersyncQuirks, HypersyncServer
from polyhouse.sim.limits import WINDOW_SECONDS, Limiter
from polyhouse.sim.live_api import LiveFaults, LiveHub
from polyhouse.sim.node import Node, NodeQuirks
from polyhouse.sim.reorgs import Reorg
from polyhouse.sim.rpc_api import RpcEndpoint, default_endpoints
from polyhouse.sim.rpc_http import RpcServer
from polyhouse.sim.world import Quirks, UniverseLike, World

_ON_DISK_FROM = 300_000


class SimServer:
    """Serves one universe.

    Args:
        universe: the simulated universe; only what happened until its ``now`` is visible.
        scale: factor on every rate limit.
        enforce_limits: False answers every request.
        limit_window: seconds of a rate-limit window; shorter in tests.
        faults: faults to inject.
        quirks: how late labels and ids appear, page sizes.
        cache: answer as a CDN does: for up to 300 simulated seconds the same page to the same URL.
        host, port: where to listen; port 0 = any free one.
        on_disk: keep the derived rows in a temporary file; by default from 300,000 fills on.
        seed: of the 429 forms.
        live: how badly the live socket behaves.
        node: what else is on the simulated chain.
        endpoints: JSON-RPC providers; three different ones by default.
        hypersync: how the simulated HyperSync answers.
    """

    def __init__(
        self,
        universe: UniverseLike,
        *,
        scale: float = 1.0,
        enforce_limits: bool = True,
        limit_window: float = WINDOW_SECONDS,
        faults: FaultPlan | None = None,
        quirks: Quirks | None = None,
        cache: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        on_disk: bool | None = None,
        seed: int = 0,
        live: LiveFaults | None = None,
        node: NodeQuirks | None = None,
        endpoints: Sequence[RpcEndpoint] | None = None,
        hypersync: HypersyncQuirks | None = None,
    ) -> None:
        if on_disk is None:
            on_disk = int(getattr(universe, "fills", 0)) >= _ON_DISK_FROM
        self._temporary = tempfile.TemporaryDirectory(prefix="polyhouse-sim-") if on_disk else None
        path = Path(self._temporary.name) / "upstream.db" if self._temporary else None
        self.world = World(universe, quirks, path)
        self.limiter: Limiter | None = None
        if enforce_limits:
            self.limiter = Limiter(scale=scale, window=limit_window, seed=seed, now=lambda: self.world.now)
        self.faults = faults or FaultPlan()
        self.live = LiveHub(self.world, live, seed)
        self._gateway = Gateway(self.world, self.limiter, self.faults, cache=cache)
        self._node_quirks, self._seed = node, seed
        self.rpc = RpcServer(
            lambda: self.node, default_endpoints() if endpoints is None else endpoints, self.faults, self.requests, seed
        )
        self.hypersync = HypersyncServer(lambda: self.node, hypersync or HypersyncQuirks(), self.faults, self.requests)
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self._clock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Start to listen."""
        app = web.Application(client_max_size=2**20)
        app.router.add_post("/_sim/{action}", self._control)
        app.router.add_get("/_sim/{action}", self._control)
        app.router.add_get("/live", self.live.handle)
        app.router.add_route("*", "/{name:rpc[^/]*}", self.rpc.handle)
        app.router.add_route("*", "/hypersync/{path}", self.hypersync.handle)
        app.router.add_route("*", "/{host}/{path:.*}", self._gateway.handle)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, max_line_size=65_536, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and throw the derived rows away."""
        if self._runner is not None:
            await self._runner.cleanup()
        self.world.views.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def base_url(self) -> str:
        """Root of the server."""
        return f"http://{self._host}:{self._port}"

    @property
    def gamma_url(self) -> str:
        """Base URL of the simulated Gamma API."""
        return f"{self.base_url}/gamma"

    @property
    def clob_url(self) -> str:
        """Base URL of the simulated CLOB."""
        return f"{self.base_url}/clob"

    @property
    def data_url(self) -> str:
        """Base URL of the simulated Data API."""
        return f"{self.base_url}/data"

    @property
    def subgraph_url(self) -> str:
        """Base URL of the simulated subgraphs."""
        return f"{self.base_url}/subgraph"

    @property
    def dome_url(self) -> str:
        """Base URL of the simulated Dome API; ``polyhouse.sim.dome_api.KEY`` opens it."""
        return f"{self.base_url}/dome"

    @property
    def live_url(self) -> str:
        """Address of the simulated live socket."""
        return f"ws://{self._host}:{self._port}/live"

    @property
    def hypersync_url(self) -> str:
        """Base URL of the simulated HyperSync; ``polyhouse.sim.hypersync_api.TOKEN`` opens it."""
        return f"{self.base_url}/hypersync"

    @property
    def rpc_url(self) -> str:
        """The first JSON-RPC provider of the simulated node."""
        return self.rpc_urls[0]

    @property
    def rpc_urls(self) -> list[str]:
        """All JSON-RPC providers."""
        return [f"{self.base_url}/{name}" for name in self.rpc.endpoints]

    @cached_property
    def node(self) -> Node:
        """The simulated chain; built when it is first asked for."""
        return Node(self.world.universe, self._node_quirks, self._seed)

    async def reorg(self, depth: int, vanish: int = 20) -> Reorg:
        """Replace the newest blocks of the chain, see ``Node.reorg``."""
        async with self._clock:
            return self.node.reorg(depth, vanish)

    @property
    def requests(self) -> Counter[str]:
        """Requests per ``host/path``, refused ones included."""
        return self._gateway.requests

    @property
    def throttled(self) -> Counter[str]:
        """429 answers of the limiter per ``host/path``."""
        return self._gateway.throttled

    async def advance(self, seconds: int) -> int:
        """Let simulated time pass; returns the number of new transactions."""
        async with self._clock, self._gateway.paused():
            taken = await asyncio.to_thread(self.world.advance, seconds)
            if "node" in self.__dict__:
                self.node.catch_up()
        await self.live.publish()
        return taken

    def stats(self) -> dict[str, Any]:
        """Counters for reports and tests, as ``/_sim/stats`` prints them."""
        return {
            "now": self.world.now, "gamma_url": self.gamma_url, "clob_url": self.clob_url, "data_url": self.data_url,
            "subgraph_url": self.subgraph_url, "dome_url": self.dome_url, "live_url": self.live_url,
            "rpc_urls": self.rpc_urls, "hypersync_url": self.hypersync_url, "universe": self.world.views.stats(),
            "requests": dict(self.requests), "throttled": dict(self.throttled),
            "faults_fired": dict(self.faults.fired),
        }  # fmt: skip

    async def _control(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        body: Any = await request.json() if request.method == "POST" and request.can_read_body else {}
        try:
            if action == "stats":
                return web.json_response(self.stats())
            if request.method == "POST" and action == "advance":
                return web.json_response(
                    {"transactions": await self.advance(int(body["seconds"])), "now": self.world.now}
                )
            if request.method == "POST" and action == "faults":
                self.faults.set(body["faults"])
                return web.json_response({"faults": self.faults.describe()})
            if request.method == "POST" and action in ("reorg", "rpc", "head"):
                return web.json_response(await self._control_chain(action, body))
            if request.method == "POST" and action == "rulings":
                return web.json_response({"rulings": self.world.rulings.add_all(body["rulings"])})
            if request.method == "POST" and action == "rotate-cursors":
                self.world.cursors.rotate()
                return web.json_response({})
        except (BadInputError, KeyError, TypeError, ValueError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        return web.json_response({"error": "no such action"}, status=404)

    async def _control_chain(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        if action == "reorg":
            return asdict(await self.reorg(int(body["depth"]), int(body.get("vanish", 20))))
        if action == "rpc":
            return asdict(self.rpc.change(str(body["name"]), {key: body[key] for key in body if key != "name"}))
        self.node.hold_head(None if body["block"] is None else int(body["block"]))
        return {"head": self.node.head}


def main(argv: list[str] | None = None) -> None:
    """``python -m polyhouse.sim.server``: serve a seeded universe until SIGINT or SIGTERM.

    Prints one JSON line with the URLs on standard output once requests are answered.
    """
    import click

    from polyhouse.sim.runner import serve_until_signal
    from polyhouse.sim.universe import Universe

    @click.command(help="Serve a simulated Polymarket on loopback; prints one JSON line with its URLs when ready.")
    @click.option("--seed", default=1, show_default=True, help="Seed of the universe.")
    @click.option("--wallets", default=200, show_default=True, help="How many wallets.")
    @click.option("--fills", default=None, type=int, help="About how many fills; by default 60 per wallet.")
    @click.option("--host", default="127.0.0.1", show_default=True)
    @click.option("--port", default=0, show_default=True, help="0 = any free port.")
    @click.option("--scale", default=1.0, show_default=True, help="Factor on every rate limit; 0 = no limits.")
    @click.option("--transfers", is_flag=True, help="All ERC-1155 transfers: complete logs at the JSON-RPC URLs.")
    @click.option("--cache", is_flag=True, help="Answer repeated pages as a CDN does.")
    def serve(
        *, seed: int, wallets: int, fills: int | None, host: str, port: int, scale: float, transfers: bool, cache: bool
    ) -> None:  # fmt: skip
        server = SimServer(
            Universe(seed=seed, wallets=wallets, fills=fills, with_transfers=transfers), scale=scale or 1.0,
            enforce_limits=scale > 0,
            host=host, port=port, cache=cache, seed=seed,
        )  # fmt: skip
        serve_until_signal(server, click.echo)

    serve(argv)


if __name__ == "__main__":
    main()
