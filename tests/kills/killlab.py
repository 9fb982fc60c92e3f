"""A simulated Polymarket, homes, and the fork server that runs commands in them. Also used outside of pytest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

import polyhouse
from polyhouse.sim.rpc_api import RpcEndpoint
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe

sys.path.insert(0, str(Path(__file__).parent))

import storelook

SOURCE = str(Path(polyhouse.__file__).parents[1])
HERE = Path(__file__).parent
KILLED = -9


@dataclass
class World:
    """One simulated Polymarket, which counts the questions of each wallet."""

    arguments: dict[str, Any]
    server: SimServer
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> World:
        """A world whose server is not started yet."""
        endpoint = RpcEndpoint("rpc", max_range=200_000_000, max_results=400, max_batch=1_000)
        world = cls(arguments, SimServer(Universe(**arguments), enforce_limits=False, endpoints=[endpoint]))
        world._count()
        return world

    def _count(self) -> None:
        gateway, handle = self.server._gateway, self.server._gateway.handle

        async def counted(request: web.Request) -> web.StreamResponse:
            user = request.query.get("user", "")
            if user:
                self.asked[request.match_info["path"], user] += 1
            return await handle(request)

        gateway.handle = counted  # type: ignore[method-assign]

    def environment(self) -> dict[str, str]:
        server = self.server
        return {
            "POLYHOUSE_GAMMA_URL": server.gamma_url, "POLYHOUSE_CLOB_URL": server.clob_url,
            "POLYHOUSE_DATA_URL": server.data_url, "POLYHOUSE_RPC_URL": server.rpc_url,
            "POLYHOUSE_RATE_SCALE": "1000", "POLYHOUSE_RPC_RANGE": "50000000", "POLYHOUSE_RPC_LIMIT": "100000",
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: exit code or negative signal, wall and CPU seconds."""

    code: int
    seconds: float
    cpu: float


class Lab:
    """Homes in a folder, and children that work in them.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        self.cpu = 0.0
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((SOURCE, str(HERE)))}
        environment = {name: value for name, value in environment.items() if not name.startswith("POLYHOUSE_")}
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "forkserver.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip

    def close(self) -> None:
        """End the fork server."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()

    def order(self, **order: Any) -> Ended:
        """One child, to its end."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps({"log": str(self.log), **order}) + "\n")
        self._server.stdin.flush()
        ended = Ended(**json.loads(self._server.stdout.readline()))
        self.cpu += ended.cpu
        return ended

    def run(self, home: Path, world: World | None, *arguments: str, **more: Any) -> Ended:
        """One life of a command in a home."""
        environment = {"POLYHOUSE_HOME": str(home), **(world.environment() if world else {}), **more.pop("env", {})}
        return self.order(args=list(arguments), env=environment, **more)

    def must(self, home: Path, world: World | None, *arguments: str, **more: Any) -> Ended:
        """A command that nobody disturbs and that must succeed."""
        ended = self.run(home, world, *arguments, **more)
        assert ended.code == 0, f"{arguments} ended with {ended.code}:\n{self.last_words()}"
        return ended

    def call(self, function: str, **arguments: Any) -> Any:
        """A function of ``storelook`` in a child, which writes its answer to a file."""
        to = self.folder / "answer.json"
        to.unlink(missing_ok=True)
        ended = self.order(call=function, **{"with": {**arguments, "to": str(to)}})
        assert ended.code == 0, f"{function}:\n{self.last_words()}"
        return json.loads(to.read_text())

    def copy(self, home: Path, name: str) -> Path:
        """A copy of a home under another name."""
        target = self.folder / name
        shutil.rmtree(target, ignore_errors=True)
        if home.exists():
            shutil.copytree(home, target, symlinks=True)
        else:
            target.mkdir()
        return target

    def differences(self, expected: Path, found: Path, tables: list[str]) -> dict[str, Any]:
        """Rows lost, duplicated, wrong per table."""
        known = [table for table in tables if not table.startswith("state:")]
        theirs = self.call("rows_of", home=str(expected), tables=known)
        ours = self.call("rows_of", home=str(found), tables=known)
        return {table: storelook.classify(theirs.get(table, []), ours.get(table, [])) for table in theirs.keys() | ours}

    def last_words(self) -> str:
        """The end of what the children printed."""
        return self.log.read_text(errors="replace")[-4_000:] if self.log.exists() else ""
