"""What the stored logs of the chain mean, derived again without a node: after a decode rule was put right.

Every row is written first and what no rule derives any more is deleted last, so that a reader never misses a row and a
run that was stopped is simply run again. Only blocks that the coverage ledger has are touched: chain rows of other
blocks came from files.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

from polyhouse.errors import ConfigError
from polyhouse.sources.chain import eras
from polyhouse.sources.chain.decode import decode_columns
from polyhouse.sync.chain import group_filters
from polyhouse.sync.chain_registry import RegistryCache, market_rows, settle
from polyhouse.sync.chain_rows import classify, ledger_rows
from polyhouse.sync.context import RunContext
from polyhouse.sync.coverage import LEDGER, REGISTRY, Interval, covered, lost
from polyhouse.sync.reorg import REBUILD_NOTE, expect_rebuild
from polyhouse.sync.stored_logs import StoredLogs, stored_logs


async def derive_again(ctx: RunContext) -> None:
    """Write observations, resolutions and markets of the chain anew from the stored logs.

    Everybody's models have to be rebuilt afterwards; a note says so until it is done.

    Raises:
        ConfigError: nothing is stored, or logs are missing that the coverage ledger counts: what they said would be
            deleted.
    """
    again = _Again(ctx)
    await asyncio.to_thread(again.prepare)
    blocks = sum(last - first + 1 for group in (REGISTRY, LEDGER) for first, last in again.covered[group])
    ctx.reporter.phase("stored logs", blocks, "blocks")
    try:
        for first, last in again.covered[REGISTRY]:
            await again.registry(first, last)
        if not ctx.should_end:
            await asyncio.to_thread(settle, ctx.warehouse, ctx.run, again.name(), 0)
        for first, last in again.covered[LEDGER]:
            await again.ledger(first, last)
    finally:
        ctx.reporter.finish()
    ctx.tally.counts.update(again.counts)


class _Again:
    """One derivation."""

    def __init__(self, ctx: RunContext) -> None:
        self.covered: dict[str, list[Interval]] = {}
        self.counts: Counter[str] = Counter()
        self._ctx = ctx
        self._warehouse = ctx.warehouse
        self._cache = RegistryCache(ctx.warehouse)
        self._oldest_resolution = 0
        self._registry_to = -1
        self._nonce = uuid.uuid4().hex
        self._writes = 0

    def name(self) -> str:
        """A name for the next write; no two share one, since the same rows may have to be written twice."""
        self._writes += 1
        return f"again:{self._nonce}:{self._writes}"

    def prepare(self) -> None:
        """Check that the logs are all there, and that what they are called is what the registry calls them today."""
        self.covered = {group: covered(self._warehouse, group) for group in (REGISTRY, LEDGER)}
        if not self.covered[LEDGER]:
            raise ConfigError("no logs of the chain are stored", hint="`polyhouse sync chain` reads them from a node")
        if broken := lost(self._warehouse):
            raise ConfigError(
                f"logs are missing in {len(broken):,} ranges of blocks that were read",
                hint="`polyhouse check --heal` reads them again",
            )
        expect_rebuild(self._ctx.state)
        self._ctx.state.set_note(REBUILD_NOTE, "all")
        # A row may come back as something else: what was a fill need not be one any more.
        for kept in ("price_builds", "ledger_builds"):
            self._warehouse.command(f"TRUNCATE TABLE {kept}")
        self._rename()
        first, last = (self.covered[REGISTRY] or [(0, -1)])[0]
        start = min(one.first_block for one in group_filters()[LEDGER])
        self._registry_to = last if first <= start else -1
        self._oldest_resolution = int(self._warehouse.query("SELECT max(version) FROM resolutions").rows[0][0])

    def _rename(self) -> None:
        """Give logs the event and status that the era registry has for them now."""
        found = self._warehouse.query(
            "SELECT hex(address), hex(topics[1]), event, status, min(block), max(block) FROM chain_logs FINAL"
            " WHERE notEmpty(topics) GROUP BY address, topics[1], event, status"
        ).rows
        for address, topic, event, status, first, last in found:
            pair = bytes.fromhex(address), bytes.fromhex(topic)
            cuts = sorted({first, *(era.first_block for era in eras.find(*pair) if first < era.first_block <= last)})
            for low, high in zip(cuts, [*(cut - 1 for cut in cuts[1:]), last], strict=True):
                today = classify(*pair, low)
                if today == (event, status):
                    continue
                self.counts["renamed_kinds"] += 1
                self._warehouse.command(
                    "INSERT INTO chain_logs SELECT * REPLACE ({e:String} AS event, {s:String} AS status,"
                    " version + 1 AS version) FROM (SELECT * FROM chain_logs FINAL WHERE hex(address) = {a:String}"
                    " AND hex(topics[1]) = {t:String} AND block BETWEEN {low:UInt32} AND {high:UInt32})",
                    {"e": today[0], "s": today[1], "a": address, "t": topic, "low": low, "high": high},
                )

    async def registry(self, first: int, last: int) -> None:
        """Markets, their tokens and pools, of the blocks ``first`` to ``last``."""
        topics = sorted({era.event.topic0.hex().upper() for era in eras.ERAS if era.event.status == "registry"})
        where = "hex(topics[1]) IN {topics:Array(String)}"

        def write(piece: StoredLogs) -> None:
            batch = decode_columns(piece.logs)
            self.counts["rejected"] += len(batch.rejects)
            for table, columns in market_rows(batch)[0].items():
                if any(columns.values()):
                    self._warehouse.write(table, columns, run=self._ctx.run, token=self.name())

        await self._each(stored_logs(self._warehouse, first, last, where=where, params={"topics": topics}), write)

    async def ledger(self, first: int, last: int) -> None:
        """Observations and resolutions of the blocks ``first`` to ``last``."""

        def write(piece: StoredLogs) -> None:
            batch = decode_columns(piece.logs)
            tables, notes = ledger_rows(batch, self._cache, knows_all=piece.last <= self._registry_to)
            self.counts.update(notes)
            self.counts["logs"] += len(piece.logs)
            self.counts["rejected"] += len(batch.rejects)
            self.counts["rows"] += len(tables["observations"]["wallet"])
            for table, columns in tables.items():
                if any(columns.values()):
                    self._warehouse.write(table, columns, run=self._ctx.run, token=self.name())

        if await self._each(stored_logs(self._warehouse, first, last), write):
            await asyncio.to_thread(self._forget_old, first, last)

    async def _each(self, pieces: Iterator[StoredLogs], write: Callable[[StoredLogs], None]) -> bool:
        """Every piece of stored logs in turn; False if a stop came in between."""
        while not self._ctx.should_end:
            piece = await asyncio.to_thread(next, pieces, None)
            if piece is None:
                return True
            await asyncio.to_thread(write, piece)
            self._ctx.reporter.advance(piece.last - piece.first + 1)
        return False

    def _forget_old(self, first: int, last: int) -> None:
        """Delete what these blocks are no longer said to have done."""
        for table, is_old, value in (
            ("observations", "run != {v:UInt64}", self._ctx.run),
            ("resolutions", "version <= {v:UInt64}", self._oldest_resolution),
        ):
            where = f"source = 'chain' AND block BETWEEN {{a:UInt32}} AND {{b:UInt32}} AND {is_old}"
            params = {"a": first, "b": last, "v": value}
            gone = int(self._warehouse.query(f"SELECT count() FROM {table} FINAL WHERE {where}", params).rows[0][0])
            if gone:
                self.counts["removed"] += gone
                self._warehouse.command(f"DELETE FROM {table} WHERE {where}", params)
