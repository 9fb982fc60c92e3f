"""The sync engine: the commands of the product as runs over the page loop.

Every run is written into the state store with its outcome. A run that was stopped or killed is continued by the same
call: what is committed is never read again, what is not is read once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from polyhouse import collecting, telemetry
from polyhouse.errors import PolyhouseError
from polyhouse.failpoints import reach
from polyhouse.ports import Clock, Warehouse
from polyhouse.sync import verify
from polyhouse.sync.census import Census
from polyhouse.sync.context import EngineLimits, RunContext
from polyhouse.sync.discover import discover_all, plan_discovery
from polyhouse.sync.discovery_hook import DISCOVERING, Discovery
from polyhouse.sync.discovery_report import DiscoverOptions, DiscoverReport
from polyhouse.sync.gaps import settle_news
from polyhouse.sync.incremental import catch_up, follows_trades, prepare
from polyhouse.sync.journal import Journal
from polyhouse.sync.leases import leases_renewed
from polyhouse.sync.markets import look_up_missing, walk_resolutions, walk_universe
from polyhouse.sync.planner import plan_sync
from polyhouse.sync.pool import first_error
from polyhouse.sync.positions import all_wallets, walk_positions
from polyhouse.sync.progress import NullObserver, NullReporter, Reporter, RunObserver
from polyhouse.sync.recovery import recover
from polyhouse.sync.registry_mirror import RegistryMirror
from polyhouse.sync.report import Plan, RunReport, Tally, WalletSelection
from polyhouse.sync.served import record_served
from polyhouse.sync.sources import Sources
from polyhouse.sync.store import RunState
from polyhouse.sync.trades import walk_trades
from polyhouse.sync.unbuilt import close_killed, remember_unbuilt
from polyhouse.sync.wallets import choose_wallets, plan_wallets, walk_wallets
from polyhouse.sync.writer import BatchWriter

_RESUMED_RUNS = 200
_LEFT_OVER = frozenset({"gave_up", "wallets_waiting"})
"""Counts of a run that left something to the next one."""
_WORK = Callable[[RunContext], Awaitable[None]]


class SyncEngine:
    """Runs the jobs of the product against one warehouse and one state store.

    Args:
        warehouse: where rows go.
        state: where progress goes.
        sources: the upstream streams.
        reporter: hears of progress.
        clock: time and sleep.
        stop: set by a signal handler; walks end after their current page and the run is ``interrupted``.
        limits: concurrency and bounds.
        journal: pages that a killed process had taken over are committed first, and our own are kept there.
        observer: hears when runs begin and end.
        is_verified: another engine of this process has held the stores together; its run may be going on.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        state: RunState,
        sources: Sources,
        reporter: Reporter | None,
        clock: Clock,
        *,
        stop: asyncio.Event | None = None,
        limits: EngineLimits | None = None,
        observer: RunObserver | None = None,
        journal: Journal | None = None,
        is_verified: bool = False,
    ) -> None:
        self._warehouse = warehouse
        self._state = state
        self._sources = sources
        self._reporter: Reporter = reporter or NullReporter()
        self._clock = clock
        self._limits = limits or EngineLimits()
        self._observer: RunObserver = observer or NullObserver()
        self._journal = journal
        self._is_verified = is_verified
        self.stop = stop or asyncio.Event()

    async def sync_markets(self, *, full: bool = False) -> RunReport:
        """Bring events, markets, tokens and resolutions up to date; ``full`` reads old closed events again."""

        async def work(ctx: RunContext) -> None:
            await self._markets(ctx, full=full)

        return await self._run("sync markets", {"full": full}, work)

    async def sync_trades(self, markets: Sequence[str] | None = None) -> RunReport:
        """Read the fills of all markets (or of some, by number or condition); discovers wallets."""

        async def work(ctx: RunContext) -> None:
            await walk_trades(ctx, markets)
            await look_up_missing(ctx)

        return await self._run("sync trades", {"markets": list(markets or ())}, work)

    async def verify(self) -> None:
        """Hold the stores together now instead of before the first run, and end the runs that were killed."""
        await self._verify(Tally())

    async def sync_wallets(self, selection: WalletSelection, *, command: str = "sync wallets") -> RunReport:
        """Read wallet ledgers. With ``dry_run`` the report holds a plan and nothing is changed.

        Runs of the same ``command`` go on with each other: one that reads a few wallets beside them has its own.
        """
        args = selection_args(selection)
        if selection.dry_run:
            return await self._plan(lambda ctx: plan_sync(ctx, selection))
        since = await asyncio.to_thread(self._unfinished_since, command, args)
        resume = selection.resume or since is not None

        async def work(ctx: RunContext) -> None:
            chosen = await prepare(ctx, selection)
            if not ctx.should_end:
                # Who has news is found out anew each time: that an earlier run read the wallet says nothing.
                await walk_wallets(ctx, chosen, resume=resume, since=None if chosen.active_only else since)
            if chosen.until_empty:
                # What dead workers wrote is built by those that are left.
                await asyncio.to_thread(self._close_killed)
            if follows_trades(chosen):
                await settle_news(ctx)
            await look_up_missing(ctx)

        return await self._run(command, args, work)

    async def sync_positions(self, selection: WalletSelection) -> RunReport:
        """Read positions and values as Polymarket reports them; without a selection, of every registered wallet."""
        if selection.dry_run:
            return await self._plan(lambda ctx: plan_wallets(ctx, selection))

        async def work(ctx: RunContext) -> None:
            named = bool(selection.addresses or selection.file or selection.top is not None)
            wallets = await choose_wallets(ctx, selection, resume=True) if named else None
            chosen = await all_wallets(ctx) if wallets is None else await asyncio.to_thread(wallets.joined)
            if selection.max_wallets is not None and len(chosen) > selection.max_wallets * 20:
                ctx.tally.limit(f"only the first {selection.max_wallets:,} wallets: --max-wallets was reached")
                chosen = chosen[: selection.max_wallets * 20]
            await walk_positions(ctx, chosen)

        return await self._run("sync positions", selection_args(selection), work)

    async def discover(self, options: DiscoverOptions) -> tuple[RunReport, DiscoverReport]:
        """Find wallets and queue the new ones. With ``dry_run`` the report holds a plan and nothing is changed."""
        report = DiscoverReport()
        if options.dry_run:
            return await self._plan(lambda ctx: plan_discovery(ctx, options, report)), report

        async def work(ctx: RunContext) -> None:
            await discover_all(ctx, options, report)

        return await self._run("discover", options.args(), work), report

    async def perform(self, command: str, args: Mapping[str, Any], work: _WORK, *, builds: bool = False) -> RunReport:
        """Run work that another module brings, with the record, the writer and the checks of every run.

        Args:
            command: its name in the record of runs.
            args: what it was asked to do.
            work: what it does.
            builds: work that comes to its end has rebuilt the models of the wallets it touched.
        """
        return await self._run(command, args, work, builds=builds)

    async def run(
        self,
        selection: WalletSelection | None = None,
        *,
        full: bool = False,
        metrics: bool = True,
        positions: bool = True,
    ) -> RunReport:
        """The main job: markets → trades → wallets with news → reported positions → models.

        Args:
            selection: which wallets; without one, those that the trades feed has news of and those that wait.
            full: also read old closed events again.
            metrics: build the model tables at the end.
            positions: also ask what Polymarket reports for the wallets that were read.
        """
        chosen = selection or WalletSelection(incremental=True)
        if chosen.dry_run:
            return await self._plan(lambda ctx: plan_wallets(ctx, chosen))

        since = await asyncio.to_thread(self._unfinished_since, "run", selection_args(chosen))

        async def work(ctx: RunContext) -> None:
            await self._markets(ctx, full=full)
            steps: list[Callable[[], Awaitable[None]]] = [
                lambda: catch_up(ctx),
                lambda: walk_wallets(ctx, chosen, resume=True),
                lambda: look_up_missing(ctx),
            ]
            if follows_trades(chosen):
                steps.insert(2, lambda: settle_news(ctx))
            if positions:
                steps.append(lambda: self._positions(ctx, since))
            for step in steps:
                if not ctx.should_end:
                    await step()
            await record_served(ctx)

        return await self._run("run", selection_args(chosen), work, metrics=metrics)

    async def _positions(self, ctx: RunContext, since: int | None) -> None:
        """Ask for the positions of the wallets that were read: by this run, or by the one that it goes on with."""
        left = [] if since is None else await asyncio.to_thread(self._read_without_positions, ctx, since)
        await walk_positions(ctx, ctx.wallets_done, left=left, since=since or 0)

    def _read_without_positions(self, ctx: RunContext, since: int) -> list[bytes]:
        mine = {bytes(ctx.wallets_done[start : start + 20]) for start in range(0, len(ctx.wallets_done), 20)}
        return sorted(self._state.read_since(self._state.wallet_addresses(), since) - mine)

    async def _markets(self, ctx: RunContext, *, full: bool) -> None:
        await walk_universe(ctx, full=full)
        if not ctx.should_end:
            await look_up_missing(ctx)
        if not ctx.should_end:
            await walk_resolutions(ctx)

    async def _run(
        self, command: str, args: Mapping[str, Any], work: _WORK, *, metrics: bool = False, builds: bool = False
    ) -> RunReport:
        started = self._clock.monotonic()
        tally = Tally()
        await self._verify(tally)
        run = await asyncio.to_thread(self._state.start_run, command, args)
        self._observer.begin(run, command)
        mirror = RegistryMirror(self._warehouse, self._state, self._clock)
        mirror.start()
        discovery = self._discovery()
        ended = is_built = False
        try:
            with collecting.seldom(), telemetry.bound(run=run), telemetry.span("run", command=command):
                await self._work(run, work, tally, discovery)
                if metrics and not self.stop.is_set():
                    await self._build()
            is_built = (metrics or builds) and not self.stop.is_set()
            ended = True
        except PolyhouseError as error:
            tally.fatal = error
            tally.error(str(error))
            ended = True
        finally:
            if not ended:
                # Aborted, or our bug: the exception goes on, but the run must not look as if it were still going.
                tally.interrupted = True
            tally.interrupted = tally.interrupted or self.stop.is_set()
            tally.counts["wallets_found"] = discovery.found
            await self._finish(run, tally, discovery, is_built=is_built)
            await mirror.stop()
            self._observer.end(tally.status())
        touched = None if discovery.touched is None else tuple(sorted(discovery.touched))
        return RunReport(
            run,
            tally.status(),
            counts=dict(tally.counts),
            errors=tally.errors,
            seconds=self._clock.monotonic() - started,
            error_code="" if tally.fatal is None else tally.fatal.code,
            exit_code=tally.exit_code(),
            touched=touched,
        )

    async def _work(self, run: int, work: _WORK, tally: Tally, discovery: Discovery) -> None:
        census = Census(self._warehouse, run)
        writer = BatchWriter(
            self._warehouse, self._state, run, self._clock, self._limits.batch, before_write=discovery, census=census,
            journal=self._journal,
        )  # fmt: skip
        try:
            async with writer, leases_renewed(self._state):
                await self._recover(writer, tally)
                await work(self._context(run, writer, tally, discovery))
        except BaseExceptionGroup as group:
            raise first_error(group) from group
        finally:
            tally.counts.update(census.counts)
        if writer.failure is not None:
            raise writer.failure

    async def _recover(self, writer: BatchWriter, tally: Tally) -> None:
        if self._journal is None:
            return
        recovered = await recover(self._journal, writer, self._state)
        tally.counts["pages_recovered"] = recovered
        if recovered:
            self._reporter.note(f"{recovered:,} pages that a killed process had taken over were committed.")

    def _discovery(self) -> Discovery:
        return Discovery(self._state, [*(stream.name for stream in self._sources.trades), *DISCOVERING])

    def _context(self, run: int, writer: BatchWriter, tally: Tally, discovery: Discovery) -> RunContext:
        return RunContext(
            self._warehouse, self._state, self._sources, self._reporter, self._clock, self.stop, self._limits, run,
            writer, tally, discovery=discovery, observer=self._observer,
        )  # fmt: skip

    async def _plan(self, make: Callable[[RunContext], Awaitable[Plan]]) -> RunReport:
        started = self._clock.monotonic()
        writer = BatchWriter(self._warehouse, self._state, 0, self._clock)
        plan = await make(self._context(0, writer, Tally(), self._discovery()))
        return RunReport(0, "ok", seconds=self._clock.monotonic() - started, plan=plan)

    async def _build(self) -> None:
        self._reporter.phase("metrics", None, "tables")
        try:
            rows = await asyncio.to_thread(self._build_all)
            self._reporter.advance(len(rows), rows=sum(rows.values()))
        finally:
            self._reporter.finish()

    def _build_all(self) -> Mapping[str, int]:
        """Build all models; how many rows each table has."""
        from polyhouse.sync.touched import rebuild

        report, _ = rebuild(self._warehouse, self._state, None)
        return report.rows

    async def _verify(self, tally: Tally) -> None:
        """Once per process, before the first run."""
        if self._is_verified:
            return
        verdict = await asyncio.to_thread(verify.verify, self._warehouse, self._state)
        await asyncio.to_thread(self._close_killed)
        self._is_verified = True
        if verdict.rebuilt:
            self._reporter.note(
                f"The state store is new: {verdict.rebuilt:,} partitions and {verdict.wallets:,} wallets were rebuilt "
                "from the warehouse."
            )
        if verdict.rewound:
            self._reporter.note(
                f"The warehouse is older than the state store: {verdict.rewound:,} partitions were set back to what "
                "it holds and are read again."
            )
        tally.counts["partitions_rebuilt"] = verdict.rebuilt
        tally.counts["partitions_rewound"] = verdict.rewound

    def _close_killed(self) -> None:
        """Give runs that were killed an end, and their wallets back to the queue."""
        close_killed(self._warehouse, self._state)
        self._state.release_syncing()

    def _unfinished_since(self, command: str, args: Mapping[str, Any]) -> int | None:
        """When the work began that the newest run of the same call left unfinished (it and those before it in a row);
        None if there is nothing to go on with.
        """
        since = None
        for record in self._state.runs(command=command, limit=_RESUMED_RUNS):
            stopped = record.status in {"interrupted", "running", "failed"} or _LEFT_OVER & record.counts.keys()
            if not stopped or dict(record.args) != dict(args):
                break
            since = record.started_at
        return since

    async def _finish(self, run: int, tally: Tally, discovery: Discovery, *, is_built: bool) -> None:
        def finish() -> None:
            # Whoever rebuilds them next may be killed before, and then nobody else would know of them.
            if not is_built:
                remember_unbuilt(self._state, discovery.touched)
            reach("K15")
            self._state.finish_run(run, tally.status(), tally.counts, "\n".join(tally.errors[:10]))
            verify.remember(self._warehouse, self._state)

        # If a store is gone, the error that ended the run says so; this one would hide it.
        with suppress(PolyhouseError):
            await asyncio.to_thread(finish)


def selection_args(selection: WalletSelection) -> dict[str, Any]:
    """The selection as JSON for the record of the run; set options only."""
    args: dict[str, Any] = {}
    for name, value in asdict(selection).items():
        if name == "addresses":
            if value:
                args["addresses"] = ["0x" + address.hex() for address in value[:100]]
                args["wallets"] = len(value)
        elif value not in (None, False) and name not in {"resume", "dry_run"}:
            args[name] = str(value) if name == "file" else value
    return args
