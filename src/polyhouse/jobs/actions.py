"""What jobs do: the same functions as the commands, on stores that are open already.

An action is a list of steps; each is a run of the sync engine with its own record in the state store, followed by the
models of the wallets it touched. A step that fails or is stopped ends the action; wallets that it touched and whose
models were not built are remembered, and the next build takes them along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from polyhouse.jobs.report import report_document
from polyhouse.publishing import publish_after_build
from polyhouse.settings import Settings
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.progress import Reporter
from polyhouse.sync.report import RunReport, WalletSelection
from polyhouse.sync.touched import rebuild_touched
from polyhouse.wiring import Stores

TOP = 100


@dataclass(slots=True)
class Session:
    """One execution of an action.

    Attributes:
        settings: resolved settings.
        stores: open stores.
        engine: with open clients; its ``stop`` ends the current step at its next page.
        reporter: shows the progress.
        runs: documents of the steps so far.
        report: of the last step.
        is_cut: a stop left something out.
    """

    settings: Settings
    stores: Stores
    engine: SyncEngine
    reporter: Reporter
    runs: list[dict[str, Any]] = field(default_factory=list)
    report: RunReport | None = None
    is_cut: bool = False

    async def step(
        self, name: str, work: Callable[[], Awaitable[RunReport]], models: Literal["now", "later", "by itself"] = "now"
    ) -> None:
        """Do one step.

        Args:
            name: of the step, in the result.
            work: a run.
            models: of the wallets that it touches are built at once, by ``rebuild_all`` at the end, or by the run.
        """
        if not self._may_go_on():
            return
        self.report = report = await work()
        self.runs.append(report_document(name, report))
        if report.status == "interrupted":
            self.is_cut = True
        elif report.status != "failed" and models == "by itself":
            await self._publish()
        elif report.status != "failed" and models == "now":
            await self._rebuild(report.touched)

    async def rebuild_all(self) -> None:
        """Build all models anew."""
        if self._may_go_on():
            await self._rebuild(None)

    def _may_go_on(self) -> bool:
        if self.report is not None and self.report.status == "failed":
            return False
        self.is_cut = self.is_cut or self.engine.stop.is_set()
        return not self.is_cut

    async def _rebuild(self, wallets: Sequence[bytes] | None) -> None:
        stores = self.stores
        await asyncio.to_thread(rebuild_touched, stores.warehouse, stores.state, wallets, self.reporter)
        await self._publish()

    async def _publish(self) -> None:
        await asyncio.to_thread(publish_after_build, self.settings, self.stores, self.reporter.note)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a job can do.

    Attributes:
        name: as jobs and plans call it.
        summary: one line.
        commands: the same on the command line, for other schedulers.
        work: does it.
    """

    name: str
    summary: str
    commands: tuple[str, ...]
    work: Callable[[Session], Awaitable[None]]


async def _discover(session: Session) -> None:
    from polyhouse.sync.discovery_report import DiscoverOptions

    async def work() -> RunReport:
        report, _ = await session.engine.discover(DiscoverOptions())
        return report

    await session.step("discover", work, "by itself")


async def _process(session: Session) -> None:
    from polyhouse.sync.process import process

    async def work() -> RunReport:
        return (await process(session.engine)).report

    await session.step("process", work, "by itself")


async def _full(session: Session) -> None:
    await _discover(session)
    await _process(session)


async def _wallets(session: Session, selection: WalletSelection) -> None:
    await session.step("sync wallets", lambda: session.engine.sync_wallets(selection))


async def _top(session: Session) -> None:
    await _wallets(session, WalletSelection(top=TOP, incremental=True))


async def _incremental(session: Session) -> None:
    await _wallets(session, WalletSelection(incremental=True))


async def _open_markets(session: Session) -> None:
    from polyhouse.sync.open_markets import walk_open_markets

    async def work() -> RunReport:
        return await session.engine.perform("sync open-markets", {"everything": False}, walk_open_markets)

    await session.step("sync open-markets", work)


async def _everything(session: Session) -> None:
    from polyhouse.jobs.chain import follows_chain

    if await asyncio.to_thread(follows_chain, session.settings, session.stores.warehouse):
        await _run_chain(session)
        return
    await session.step("run", lambda: session.engine.run(metrics=False), "later")
    everyone = WalletSelection(all=True, incremental=True)
    await session.step("sync wallets", lambda: session.engine.sync_wallets(everyone), "later")
    await session.rebuild_all()


async def _run_chain(session: Session) -> None:
    from polyhouse.jobs.chain import chain_work
    from polyhouse.sync.chain import ChainOptions

    settings = session.settings
    options = ChainOptions(confirmations=settings.confirmations, from_block=settings.from_block)
    await session.step("sync markets", session.engine.sync_markets, "later")
    await session.step("run", lambda: session.engine.perform("run", {}, chain_work(settings, options)), "later")
    await session.rebuild_all()


async def _metrics(session: Session) -> None:
    await session.rebuild_all()


_ALL = (
    Action("discover", "finds wallets and queues the new ones", ("polyhouse discover",), _discover),
    Action("process", "works the queue: ledgers, positions, values, holders, scores", ("polyhouse process",), _process),
    Action("full", "discover, then process", ("polyhouse discover", "polyhouse process"), _full),
    Action(
        "top",
        f"the {TOP} wallets of the largest volume: what is new",
        (f"polyhouse sync wallets --top {TOP} --incremental",),
        _top,
    ),
    Action("incremental", "wallets with new trades and wallets that wait", ("polyhouse sync wallets",), _incremental),
    Action("open-markets", "markets that are due, late resolutions", ("polyhouse sync open-markets",), _open_markets),
    Action(
        "everything",
        "markets, trades, every wallet; all models anew",
        ("polyhouse run --no-metrics", "polyhouse sync wallets --all --incremental --no-metrics", "polyhouse metrics"),
        _everything,
    ),
    Action("metrics", "all models anew, from what is stored", ("polyhouse metrics --full",), _metrics),
)
ACTIONS: dict[str, Action] = {action.name: action for action in _ALL}
"""Every action by its name."""

INGEST = ("discover", "process", "full")
"""Actions of ``POST /api/admin/ingest``."""
