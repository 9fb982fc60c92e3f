"""A build of all shards: the same steps on each engine, in a process of its own, and the points at which they meet.

Each shard is built by ``models.runner.build_shard`` with the engine that has its wallets; where steps need everybody's
rows they use ``models.gather`` and ``models.peers``. This module starts them, and is the table at which they meet: all
say the same thing, then each hears what all said. If one fails or dies, the others are stopped at their next meeting,
before anything is published.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, Protocol

from polyhouse.errors import PolyhouseError, WarehouseUnavailableError
from polyhouse.models.build import BuildReport
from polyhouse.models.peers import Peers
from polyhouse.ports import USUAL_WISHES, BuildWishes, Warehouse

Opener = Callable[[], Warehouse]
"""Makes connections to the engine of one shard, in another process too."""

_END_SECONDS = 30.0
_LATE_INSERTS = 100
"""More than writers ever have under way on one shard."""


class _Stopped(Exception):  # noqa: N818 - no error of this shard
    """Another shard failed."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a build tells the others, or the end of it: its report, or why there is none."""

    what: str
    value: Any = None
    error: PolyhouseError | None = None
    is_last: bool = False


class ShardPeers(Peers):
    """The builds of a cluster's shards.

    Args:
        rank: of this build's shard.
        engines: of all shards, in order.
        line: to the table.
        is_cluster: the engines are nodes of one cluster, where a definition is made once for all of them.
    """

    def __init__(self, rank: int, engines: Sequence[Warehouse], line: Connection, *, is_cluster: bool) -> None:
        self.rank = rank
        self.count = len(engines)
        self._engines = engines
        self._line = line
        self._is_cluster = is_cluster
        self.late_inserts = _LATE_INSERTS if is_cluster else 0

    def share(self, what: str, value: Any = None) -> list[Any]:
        """See ``Peers``."""
        self._line.send(_Said(what, value))
        try:
            answer = self._line.recv()
        except EOFError:
            raise _Stopped from None
        assert isinstance(answer, list)
        return answer

    def others(self) -> Sequence[tuple[int, Warehouse]]:
        """See ``Peers``. Each begins with the shard after its own, so that not all ask the same one."""
        places = [(self.rank + step) % self.count for step in range(1, self.count)]
        return [(place, self._engines[place]) for place in places]

    def define(self, warehouse: Warehouse, sql: str) -> None:
        """See ``Peers``."""
        if not self._is_cluster:
            warehouse.command(sql)
            return
        self.share(f"before {sql}")
        if self.rank == 0:
            warehouse.define(sql)
        self.share(f"after {sql}")


class _Worker(Protocol):
    """A thread or a process."""

    def start(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
    def terminate(self) -> None: ...


def build_shards(
    openers: Sequence[Opener],
    wallets: Sequence[Sequence[bytes]] | None,
    *,
    anew: bool = False,
    is_cluster: bool = False,
    in_processes: bool = True,
    wishes: BuildWishes = USUAL_WISHES,
) -> BuildReport:
    """Rebuild the models of all shards, or the rows of some wallets.

    Args:
        openers: of each shard.
        wallets: those of each shard; None = all.
        anew: see ``models.runner.build``.
        is_cluster: see ``ShardPeers``.
        in_processes: one for each shard, so that all of them compute at once; else threads.
        wishes: of whoever opened the cluster.

    Returns:
        What was built; rows and wallets of all shards together.

    Raises:
        PolyhouseError: what one of the shards failed with. None of them published anything.
        WarehouseUnavailableError: the process of a shard died.
    """
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    lines: list[Connection] = []
    workers: list[_Worker] = []
    for rank in range(len(openers)):
        ours, theirs = context.Pipe()
        chosen = None if wallets is None else list(wallets[rank])
        task = (rank, list(openers), theirs, chosen, anew, is_cluster, wishes)
        worker: _Worker = context.Process(target=_in_process, args=task) if in_processes else _Thread(build_one, task)
        worker.start()
        if in_processes:
            theirs.close()
        lines.append(ours)
        workers.append(worker)
    try:
        reports = preside(lines)
    finally:
        for line in lines:
            line.close()
        for worker in workers:
            worker.join(_END_SECONDS)
            worker.terminate()
    return replace(reports[0], seconds=time.monotonic() - started)


class _Thread(threading.Thread):
    def __init__(self, target: Callable[..., None], task: tuple[Any, ...]) -> None:
        super().__init__(target=target, args=task, daemon=True)

    def terminate(self) -> None:
        """A thread ends by itself, at its next meeting."""
        self.join()


def _in_process(*task: Any) -> None:
    """Ctrl-C reaches all processes of a terminal; the one that presides ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    build_one(*task)


def preside(lines: Sequence[Connection]) -> list[BuildReport]:
    """Hear all, tell all what was said, until all are done.

    Args:
        lines: to the shards, by rank.

    Returns:
        Their reports.

    Raises:
        PolyhouseError: what one of them failed with.
        WarehouseUnavailableError: one of them died.
    """
    while True:
        said = [_hear(line, rank) for rank, line in enumerate(lines)]
        failed = next((one.error for one in said if one.error is not None), None)
        if failed is not None:
            raise failed
        if len({(one.what, one.is_last) for one in said}) != 1:
            raise PolyhouseError(f"The builds of the shards went apart: {', '.join(one.what for one in said)}.")
        values = [one.value for one in said]
        if said[0].is_last:
            return values
        for line in lines:
            with suppress(BrokenPipeError):  # it is heard next
                line.send(values)


def _hear(line: Connection, rank: int) -> _Said:
    try:
        said = line.recv()
    except (EOFError, ConnectionResetError):
        return _Said(
            "died", error=WarehouseUnavailableError(f"The build of shard {rank + 1} died; nothing is published.")
        )
    assert isinstance(said, _Said)
    return said


def build_one(
    rank: int,
    openers: Sequence[Opener],
    line: Connection,
    wallets: list[bytes] | None,
    anew: bool,
    is_cluster: bool,
    wishes: BuildWishes = USUAL_WISHES,
) -> None:
    """Build one shard, in the process or thread that is for it.

    Args:
        rank: of the shard.
        openers: of all shards.
        line: to who presides.
        wallets: those of this shard; None = all.
        anew: see ``models.runner.build``.
        is_cluster: see ``ShardPeers``.
        wishes: see ``build_shards``.
    """
    from polyhouse.models.runner import build_shard

    with ExitStack() as opened, suppress(_Stopped, BrokenPipeError):
        opened.enter_context(closing(line))
        try:
            engines = [opened.enter_context(closing(opener())) for opener in openers]
            engines[rank].build_wishes = wishes
            peers = ShardPeers(rank, engines, line, is_cluster=is_cluster)
            report = build_shard(engines[rank], wallets, anew=anew, peers=peers)
            line.send(_Said("done", report, is_last=True))
        except PolyhouseError as error:
            line.send(_Said("failed", error=error))
