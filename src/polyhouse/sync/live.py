"""Following the live socket: its hints decide which wallets are read next, the REST ledgers say what happened.

A hint never becomes a row. A wallet is read once the upstream's own index had time to see the trade; if the ledger
then still lacks the transaction that was hinted at, the wallet is read again a few times, and at last left in the
queue and counted. After every interruption the newest trades of everyone are walked back over the gap, and the wallets
found there are hints like the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from polyhouse.domain.contracts import INFRA
from polyhouse.errors import PolyhouseError, RetryableError
from polyhouse.ports import Clock, Warehouse
from polyhouse.sources.live import Gap, Hint, Missed
from polyhouse.sync.report import RunReport, WalletSelection
from polyhouse.sync.store import RunState

NOTE = "live.seen"
"""Note with the second until which every hint was followed up."""
_REMEMBERED = 50_000
_NAMED = 100_000
_CONDITION_BYTES = 32


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """Seconds and counts.

    Attributes:
        settle: age of a hint before its wallet is read: the index lags, and its answers are cached for 15 seconds.
        pause: between two rounds.
        attempts: rounds after which a transaction that does not show is given up.
        wallets: wallets of one round at most; the others wait for the next.
        sweep: seconds after which the newest trades are walked even without an interruption: the socket may lose
            messages without a word.
    """

    settle: float = 25.0
    pause: float = 5.0
    attempts: int = 6
    wallets: int = 5_000
    sweep: float = 900.0


@dataclass(slots=True)
class _Wanted:
    """One wallet that is to be read: the transactions hinted at, and how often that was tried."""

    due: float
    txs: set[bytes] = field(default_factory=set)
    attempts: int = 0


@dataclass(slots=True)
class LiveReport:
    """What came of following the socket.

    Attributes:
        counts: ``hints``, ``repeated`` and ``unsupported`` ones, ``gaps``, ``wallets`` read, ``confirmed`` and
            ``given_up`` transactions.
        wallets: the wallets that were read, the first hundred thousand.
        conditions: the conditions that were hinted at, the first hundred thousand.
        errors: sentences; a gap that could not be filled is among them.
    """

    counts: Counter[str] = field(default_factory=Counter)
    wallets: set[bytes] = field(default_factory=set)
    conditions: set[bytes] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


def _note(known: set[bytes], more: Iterable[bytes]) -> None:
    """Names are for reports: a follower that runs for months must not keep them all."""
    if len(known) < _NAMED:
        known.update(more)


class LiveSync:
    """Follows one socket.

    Args:
        events: hints and gaps (``LiveTrades.events``).
        missed: who traded since a second (``missed_since`` on the Data API).
        read_wallets: reads ledgers, e.g. ``SyncEngine.sync_wallets``.
        warehouse: tells whether a transaction has arrived.
        state: takes given-up wallets into its queue and remembers how far all is done.
        clock: time and sleep.
        limits: pauses and bounds.
    """

    def __init__(
        self,
        events: AsyncIterator[Hint | Gap],
        missed: Callable[[int], Awaitable[Missed]],
        read_wallets: Callable[[WalletSelection], Awaitable[RunReport]],
        warehouse: Warehouse,
        state: RunState,
        clock: Clock,
        limits: LiveLimits | None = None,
    ) -> None:
        self._events = events
        self._missed = missed
        self._read_wallets = read_wallets
        self._warehouse = warehouse
        self._state = state
        self._clock = clock
        self._limits = limits or LiveLimits()
        self._wanted: dict[bytes, _Wanted] = {}
        self._gaps: list[int] = []
        self._done: set[tuple[bytes, bytes]] = set()
        self._swept = clock.time()
        self._noted = 0
        self.report = LiveReport()

    async def follow(self, stop: asyncio.Event) -> LiveReport:
        """Listen and read until ``stop`` is set; what is due then is read once more.

        Raises:
            PolyhouseError: the host refuses the subscription, or a store is gone.
        """
        listener = asyncio.create_task(self.listen(), name="live-socket")
        stopping = asyncio.create_task(stop.wait(), name="live-stop")
        try:
            while not stop.is_set():
                pause = asyncio.create_task(self._clock.sleep(self._limits.pause))
                await asyncio.wait({pause, listener, stopping}, return_when=asyncio.FIRST_COMPLETED)
                pause.cancel()
                if listener.done():
                    listener.result()
                    raise PolyhouseError("the live socket ended without an error")
                await self.round()
        finally:
            for task in (listener, stopping):
                task.cancel()
            await asyncio.gather(listener, stopping, return_exceptions=True)
        return self.report

    async def listen(self) -> None:
        """Remember what the socket tells, for as long as it does.

        Raises:
            PolyhouseError: the host refuses the subscription.
        """
        async for event in self._events:
            self.take(event)

    def take(self, event: Hint | Gap) -> None:
        """Remember one event for the next round."""
        if isinstance(event, Gap):
            self.report.counts["gaps"] += 1
            self._gaps.append(event.since)
            return
        self.report.counts["hints"] += 1
        if len(event.condition) != _CONDITION_BYTES or event.wallet in INFRA:
            self.report.counts["unsupported"] += 1  # Protocol V2, or a contract: no ledger will ever show it
            return
        _note(self.report.conditions, [event.condition])
        wanted = self._wanted.get(event.wallet)
        if (wanted is not None and event.tx in wanted.txs) or (event.wallet, event.tx) in self._done:
            self.report.counts["repeated"] += 1
            return
        if wanted is None:
            wanted = self._wanted[event.wallet] = _Wanted(self._clock.time() + self._limits.settle)
        wanted.txs.add(event.tx)

    async def round(self) -> None:
        """Fill the gaps, then read the wallets that are due."""
        started = int(self._clock.time())
        if started - self._swept >= self._limits.sweep:
            self._gaps.append(int(self._swept))
            self._swept = started
        await self._fill_gaps()
        now = self._clock.time()
        due = sorted(wallet for wallet, wanted in self._wanted.items() if wanted.due <= now)[: self._limits.wallets]
        if due:
            await self._read(due)
        if not self._wanted and not self._gaps and started != self._noted:
            self._noted = started
            await asyncio.to_thread(self._state.set_note, NOTE, started)

    async def _fill_gaps(self) -> None:
        if not self._gaps:
            return
        gaps, self._gaps = self._gaps, []
        try:
            missed = await self._missed(min(gaps))
        except RetryableError as error:
            self._gaps += gaps
            self._error(f"live: a gap waits to be filled: {error}")
            return
        if not missed.is_complete:
            self._error("live: the gap is longer than the feed of newest trades; `polyhouse run` fills the rest")
        known = await asyncio.to_thread(self._arrived, {(hint.wallet, hint.tx) for hint in missed.hints})
        for hint in missed.hints:
            if (hint.wallet, hint.tx) not in known:
                self.take(hint)

    async def _read(self, due: Sequence[bytes]) -> None:
        tried = {wallet: set(self._wanted[wallet].txs) for wallet in due}
        report = await self._read_wallets(WalletSelection(addresses=tuple(due), incremental=True))
        for text in report.errors:
            self._error(text)
        self.report.counts["wallets"] += len(due)
        _note(self.report.wallets, due)
        pairs = {(wallet, tx) for wallet, txs in tried.items() for tx in txs}
        arrived = await asyncio.to_thread(self._arrived, pairs)
        self.report.counts["confirmed"] += len(arrived)
        if len(self._done) > _REMEMBERED:
            self._done.clear()
        self._done |= arrived
        for wallet in due:
            self._settle(wallet, {tx for owner, tx in arrived if owner == wallet})
        lost = [wallet for wallet in due if wallet in self._wanted and self._is_lost(wallet)]
        for wallet in lost:
            self.report.counts["given_up"] += len(self._wanted.pop(wallet).txs)
        if lost:
            await asyncio.to_thread(self._state.queue, lost)
            self._error(f"live: {len(lost)} wallets still lack a trade that was announced; they wait in the queue")

    def _settle(self, wallet: bytes, arrived: Iterable[bytes]) -> None:
        wanted = self._wanted[wallet]
        wanted.txs.difference_update(arrived)
        if not wanted.txs:
            del self._wanted[wallet]
            return
        wanted.attempts += 1
        wanted.due = self._clock.time() + self._limits.settle * 2 ** min(wanted.attempts - 1, 6)

    def _is_lost(self, wallet: bytes) -> bool:
        return self._wanted[wallet].attempts >= self._limits.attempts

    def _arrived(self, pairs: set[tuple[bytes, bytes]]) -> set[tuple[bytes, bytes]]:
        """Those of these (wallet, transaction) that a ledger source has told of."""
        if not pairs:
            return set()
        rows = self._warehouse.query(
            "SELECT DISTINCT wallet, tx FROM observations_current WHERE source IN ('chain', 'activity')"
            " AND wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))"
            " AND tx IN (SELECT toFixedString(unhex(arrayJoin({txs:Array(String)})), 32))",
            {
                "wallets": sorted({wallet.hex() for wallet, _ in pairs}),
                "txs": sorted({tx.hex() for _, tx in pairs}),
            },
        ).rows
        return {(bytes(wallet), bytes(tx)) for wallet, tx in rows} & pairs

    def _error(self, text: str) -> None:
        self.report.counts["errors"] += 1
        if len(self.report.errors) < 100:
            self.report.errors.append(text)
