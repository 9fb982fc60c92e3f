"""``data.activity``: the ledger of one wallet, oldest row first (upstream.md §2, accounting §1.10).

One partition is one wallet; its key is the address. The first walk starts at 1, which is the only start that reaches
further back than three years. A finished walk leaves ``{"from": time of the newest row, "tail": digest}``; the next one
begins ten minutes earlier, on the boundary of a second, so that places inside a second are counted from its beginning.
A walk that stood in the newest ten minutes and went on much later leaves the time where it stood: what the upstream
learned behind its back has to be read again, too.
Most wallets did nothing meanwhile: if the ten minutes come out as they were (``tail`` is a digest of their rows, labels
included), the rows are counted as repeated and not written again, and nobody takes the wallet for a changed one.

Not in the feed by default, and not asked for: tips (they are no PnL). Asking for them means naming every type, and
then types that are unknown today would be left out silently.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator
from typing import Any

from polyhouse.domain.ids import parse_address, parse_hash
from polyhouse.domain.rest import fee_and_gross
from polyhouse.errors import RowRejectedError, UpstreamContractError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import NO_TOKEN, checked, columns, condition_of, token_of
from polyhouse.sources.data_api.activity_rows import KINDS, TRADE, ActivityRow, Kind
from polyhouse.sources.data_api.envelope import RowsDecoder, RowsPage
from polyhouse.sources.data_api.page_columns import usual_page
from polyhouse.sources.data_api.rows import (
    OBSERVATION_NAMES,
    OVERLAP_SECONDS,
    PROTOCOL_V2_DIGITS,
    SMALLEST_REPEAT,
    micros_of,
    observation_table,
    outcome_of,
    price_of,
    require_time,
)
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import CursorGuard, PageGuard, SecondCounter, digest
from polyhouse.tables import Columns

PATH = "/v2/activity"
_FEWEST_AT_ONCE = 150
_START_HORIZON = 1_000 * 86_400  # the feed moves any start but 1 up to three years ago; stay well inside


_decoder = RowsDecoder(ActivityRow, numbers=("size", "usdc_size", "price"))
Amounts = tuple[str, bytes, int, int, int, int, int, str, str]
"""kind, condition, shares, cash, usdc_gross, fee, price_e12, label, flags"""
_TS = OBSERVATION_NAMES.index("ts")


def _trade(row: ActivityRow) -> Amounts | None:
    side = row.side or ""
    if side not in {"BUY", "SELL"}:
        raise RowRejectedError("bad_side", f"a trade with side {side[:20]!r}")
    shares = micros_of(row.size, "size")
    cash = micros_of(row.usdc_size, "usdc_size")
    digits, scale, price = price_of(0 if row.price is None else row.price)
    if shares == 0 and cash == 0:
        return None
    fee, gross = fee_and_gross(side, shares, cash, digits, scale, row.timestamp)
    return side, condition_of(row.condition_id), shares, cash, gross, fee, price, "", ""


def _moved(row: ActivityRow, kind: Kind) -> Amounts:
    shares = micros_of(kind.size(row), "size")
    cash = micros_of(kind.cash(row), "usdc_size")
    return kind.name, kind.condition(row), shares, cash, 0, 0, 0, kind.label(row), kind.flags(row)


class PageReader:
    """Turns the rows of one wallet's pages into observations, counting seconds across pages.

    Args:
        wallet: whose rows they are.
        counter: of the second in which the walk stands.
        start: the time that was asked for; no row may be older.
        fewest: smaller pages are read row by row, which costs less for them.
    """

    def __init__(self, wallet: bytes, counter: SecondCounter, start: int = 0, *, fewest: int = _FEWEST_AT_ONCE) -> None:
        self.counter = counter
        self._fewest = fewest
        self._start = start
        self._wallet = wallet
        self._wallet_text = "0x" + wallet.hex()

    def read(self, page: RowsPage[ActivityRow]) -> tuple[list[tuple[Any, ...]], int]:
        """Accepted rows as tuples, and how many were ignored (fills of nothing for nothing).

        Raises:
            UpstreamContractError: the rows are not in ascending order of time, or older than what was asked for: those
                of another page, whose cursor would lead past rows that were never seen.
        """
        results = page.read(self._row)
        rows = [row for row in results if row is not None]
        return rows, len(results) - len(rows)

    def columns(self, page: RowsPage[ActivityRow]) -> tuple[Columns, int]:
        """As ``read``, but the accepted rows as columns (``OBSERVATION_NAMES``)."""
        is_small = len(page.rows) < self._fewest
        found = None if is_small else usual_page(page.rows, self._wallet, self.counter, self._start)
        if found is not None:
            return found, 0
        rows, ignored = self.read(page)
        return columns(OBSERVATION_NAMES, rows), ignored

    def _row(self, row: ActivityRow) -> tuple[Any, ...] | None:
        ts = require_time(row.timestamp)
        if ts < self.counter.ts:
            raise UpstreamContractError(f"activity of {self._wallet_text}: rows are not in ascending order of time")
        if ts < self._start:
            raise UpstreamContractError(f"activity of {self._wallet_text}: rows before the time that was asked for")
        place = self.counter.place(ts)
        if row.proxy_wallet != self._wallet_text and row.proxy_wallet.lower() != self._wallet_text:
            raise RowRejectedError("foreign_wallet", "the row belongs to another wallet")
        kind = KINDS.get(row.type)
        if row.is_combo or row.type == "MIGRATION" or len(row.condition_id or "") == PROTOCOL_V2_DIGITS:
            raise RowRejectedError("protocol_v2", f"{row.type[:20]} of Protocol V2")
        if kind is None and row.type != TRADE:
            raise RowRejectedError("unknown_type", f"type {row.type[:40]!r}")
        amounts = _trade(row) if kind is None else _moved(row, kind)
        if amounts is None:
            return None
        name, condition, shares, cash, gross, fee, price, label, flags = amounts
        token = token_of(row.token_id) if row.token_id else NO_TOKEN
        tx = parse_hash(row.transaction_hash, "transaction hash")
        ordinal = self.counter.ordinal((tx, token, condition, name, shares, cash, price, label))
        return (
            self._wallet, token, condition, tx, name, ts, place + 1, ordinal, shares, cash, gross, fee, price, "",
            outcome_of(row.outcome_index), label, flags,
        )  # fmt: skip


class _Tail:
    """The rows of the newest ten minutes of a walk that began on the boundary of a second."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def add(self, found: Columns) -> None:
        """Take the rows of the next page."""
        if times := found["ts"]:
            low = times[-1] - OVERLAP_SECONDS
            first = bisect_left(times, low)
            newest = zip(*(found[name][first:] for name in OBSERVATION_NAMES), strict=True)
            self.rows = [row for row in self.rows if row[_TS] >= low] + list(newest)

    def digest(self) -> str:
        """The same for the same rows, in every process."""
        return digest(self.rows)


class Activity:
    """Stream of wallet ledgers; partition key = wallet address.

    Positions: ``{"start", "cursor", "seen", "second"}`` inside a walk (and ``fresh``: the first second in the newest
    ten minutes at which a page ended), ``{"from": newest time, "tail": digest}`` after a complete one (without ``tail``
    if the walk was interrupted inside; ``from`` is not later than ``fresh``).
    """

    name = "data.activity"

    def __init__(self, client: HttpClient, *, page_limit: int = 1_000) -> None:
        self._client = client
        self._page_limit = page_limit

    def partition(self, wallet: str) -> Partition:
        """The partition of a wallet (``0x…``)."""
        return Partition(self.name, wallet.lower())

    def restart_position(self, position: Position) -> Position:
        """From the beginning of the second in which the walk stood."""
        second = int(position.get("second", {}).get("ts", 0))
        if not second:
            return {key: position[key] for key in ("from",) if key in position}
        return {"start": second, **{key: position[key] for key in ("fresh",) if key in position}}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        cursor: str | None = position.get("cursor")
        start = int(position["start"]) if cursor else self._start(position)
        wallet, second = parse_address(partition.key, "wallet"), SecondCounter(position.get("second"))
        reader = PageReader(wallet, second, start)
        guard = CursorGuard(where, position.get("seen"))
        same = PageGuard(where, smallest=SMALLEST_REPEAT)
        newest = int(position.get("from", 0))
        fresh = int(position.get("fresh", 0))
        tail = None if cursor else _Tail()
        while True:
            page = await self._client.get(PATH, self._params(partition.key, start, cursor), _decoder.decoder(where))
            try:
                same.check(page.rows)
                found, ignored = reader.columns(page)
            except UpstreamContractError:
                # Either this page is the wrong one, or an earlier one was, and its cursor led past rows that were never
                # seen. Nobody can tell which, so the next walk does not go on behind them.
                if cursor:
                    again: Position = {"start": start, **({"fresh": fresh} if fresh else {})}
                    yield Page(tables={}, position=again, is_last=False, fetched=0)
                raise
            newest = max(newest, reader.counter.ts)
            fresh = fresh or self._if_fresh(reader.counter.ts)
            cursor = guard.pass_on(page.cursor) if page.cursor else None
            after: Position = {"start": start, "cursor": cursor, "seen": guard.tail, "second": reader.counter.dump()}
            if fresh:
                after = {**after, "fresh": fresh}
            if tail is not None:
                tail.add(found)
            if cursor is None:
                after = {
                    "from": min(newest, fresh or newest),
                    **({"tail": tail.digest()} if tail is not None and tail.rows else {}),
                }
            accepted, notes = len(found["ts"]), {}
            if accepted and after == position and tail is not None and len(tail.rows) == accepted:
                ignored, notes, accepted = ignored + accepted, {"repeated_rows": accepted}, 0
            if zero := page.fetched - len(page.rejects) - accepted - notes.get("repeated_rows", 0):
                notes["zero_rows"] = zero
            yield checked(
                Page(
                    tables={"observations": observation_table(found, "activity")} if accepted else {},
                    position=after,
                    is_last=cursor is None,
                    fetched=page.fetched,
                    rejected=page.rejects,
                    ignored=ignored,
                    notes=notes,
                ),
                accepted,
            )
            if cursor is None:
                return

    def _if_fresh(self, ts: int) -> int:
        """The same second if the upstream may still learn of rows before it, else 0.

        By the time the answer was made: a clock of ours that goes an hour fast would take the newest rows for old ones.
        """
        return ts if ts > int(self._client.answered_at()) - OVERLAP_SECONDS else 0

    def _start(self, position: Position) -> int:
        """Where a walk begins: at 1, at a given second, or ten minutes before the newest row of the last walk."""
        start = int(position["start"]) if "start" in position else int(position.get("from", 0)) - OVERLAP_SECONDS
        horizon = int(self._client.clock.time()) - _START_HORIZON
        return start if start > max(1, horizon) else 1

    def _params(self, wallet: str, start: int, cursor: str | None) -> dict[str, Any]:
        return {
            "user": wallet,
            "sort_direction": "ASC",
            "start": start,
            "exclude_deposits_withdrawals": False,
            "limit": self._page_limit,
            "cursor": cursor,
        }
