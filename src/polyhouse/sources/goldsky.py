"""``goldsky.fills``: fills of the V1 exchanges from the public orderbook-subgraph (upstream.md §4).

What it cannot tell, and what we make of that:

* A row is named by transaction and order, so that an order that filled twice in one transaction leaves one row. Every
  row therefore carries the flag ``collapsible``, and any other source of the same transaction wins over it.
* It knows no refunds, neither of fees nor of what the exchange handed back to a taker. Amounts are what the log said,
  net of the whole fee (shares on a BUY, USDC on a SELL, accounting §1.3); rows to which a refund may belong carry the
  flag ``gross``.
* It ends with V1: rows from the cut-over to CLOB V2 on are not asked for, since the index is incomplete there.

Paging is sticky: rows come in order of (time, id); after a full page the rest of its last second is read by id, then
the walk goes on behind that second. Asking for later times alone would lose rows of the second at the edge of a page.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from polyhouse.domain.contracts import CLOB_V2_CUTOVER_TS, EXCHANGES, INFRA, SYMBOL_OF
from polyhouse.domain.ids import parse_address, parse_hash, shown
from polyhouse.errors import (
    BadInputError,
    RateLimitedError,
    RowRejectedError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from polyhouse.ports import Page, Partition, Position, Reject
from polyhouse.sources.columns import checked, columns, tables, token_of
from polyhouse.sources.data_api.rows import require_time
from polyhouse.sources.http import HttpClient
from polyhouse.sources.http.limits import HostLimits
from polyhouse.sources.walk import SecondCounter
from polyhouse.tables import Columns

SUBGRAPH = HostLimits("subgraph", total=1_000)
"""About a hundred requests a second per address (upstream.md §4)."""
PATH = "/subgraphs/orderbook-subgraph/0.0.1/gn"
FIRST_TS = 1_661_990_400
"""2022-09-01: a few weeks before the first block of the V1 exchange."""
_SLICE_SECONDS = 7 * 86_400
_MAX_PAGE = 1_000
_RAW_LENGTH = 4_000
_MAX_AMOUNT = 10**18
_MOST_DIGITS = 18
_DIGITS = re.compile(r"[0-9]+\Z", re.ASCII)
_NOBODY = bytes(20)
_QUERY = """query Fills($where: OrderFilledEvent_filter!, $first: Int!) {
  orderFilledEvents(where: $where, first: $first, orderBy: timestamp, orderDirection: asc) {
    id transactionHash timestamp orderHash maker taker makerAssetId takerAssetId makerAmountFilled takerAmountFilled fee
  }
}"""


class FillRow(msgspec.Struct, rename="camel"):
    """One row on the wire; numbers come as text."""

    id: str
    transaction_hash: str
    timestamp: str | int
    order_hash: str
    maker: str
    taker: str
    maker_asset_id: str
    taker_asset_id: str
    maker_amount_filled: str | int
    taker_amount_filled: str | int
    fee: str | int = 0


class _Edge(msgspec.Struct):
    """What a row must tell at least: where it stands in the walk."""

    id: str
    timestamp: int


class _Data(msgspec.Struct, rename="camel"):
    order_filled_events: list[msgspec.Raw]


class _Error(msgspec.Struct):
    message: str = ""


class _Answer(msgspec.Struct):
    data: _Data | None = None
    errors: list[_Error] | None = None


_answer = msgspec.json.Decoder(_Answer)
_row = msgspec.json.Decoder(FillRow)
_edge = msgspec.json.Decoder(_Edge, strict=False)


def decode(body: bytes) -> list[msgspec.Raw]:
    """The rows of an answer, not yet read.

    Raises:
        RateLimitedError: the query allowance is used up.
        UpstreamUnavailableError: errors inside a 200; the same question may succeed later.
        UpstreamContractError: neither rows nor errors.
    """
    answer = _answer.decode(body)
    if answer.errors:
        text = "; ".join(error.message for error in answer.errors)[:200]
        if "allowance" in text:
            raise RateLimitedError(f"subgraph: {text}")
        raise UpstreamUnavailableError(f"subgraph: errors inside a 200: {text}")
    if answer.data is None:
        raise UpstreamContractError("subgraph: the answer has neither data nor errors")
    return answer.data.order_filled_events


_NAMES = (
    "wallet", "token", "tx", "kind", "ts", "ordinal", "shares", "cash", "shares_gross", "usdc_gross", "fee_net",
    "fee_asset", "fee_usdc", "role", "counterparty", "order_hash", "exchange", "flags",
)  # fmt: skip


def fill_columns(rows: list[tuple[Any, ...]]) -> Columns:
    """Rows of ``Walker.read`` as columns of the table ``observations``."""
    return columns(_NAMES, rows, source="subgraph")


def _amounts(row: FillRow) -> tuple[str, bytes, int, int]:
    """(kind, token, gross shares, gross USDC) of a row (accounting §1.3)."""
    buys, sells = row.maker_asset_id == "0", row.taker_asset_id == "0"
    if buys == sells:
        raise RowRejectedError("no_collateral", "exactly one asset of a fill must be collateral")
    made, taken = _amount(row.maker_amount_filled), _amount(row.taker_amount_filled)
    if buys:
        return "BUY", token_of(row.taker_asset_id), taken, made
    return "SELL", token_of(row.maker_asset_id), made, taken


def _amount(value: str | int) -> int:
    """An amount in millionths from its digits: nothing that was rounded on its way is taken for one."""
    number = int(value) if isinstance(value, int) or (_DIGITS.match(value) and len(value) <= _MOST_DIGITS) else -1
    if not 0 <= number < _MAX_AMOUNT:
        raise RowRejectedError("bad_value", f"amount {shown(value)} is no whole number of millionths below 10^18")
    return number


class Walker:
    """Reads pages of one walk: holds their order, counts equal rows across pages.

    Args:
        where: stream and partition, for errors.
        wallet: whose rows are asked for, None = everyone's.
        position: of the walk.
    """

    def __init__(self, where: str, wallet: bytes | None, position: Position) -> None:
        self.counter = SecondCounter(position.get("second"))
        self._where = where
        self._wallet = wallet
        # Behind the second ``from``, or behind the row ``after`` of second ``at``.
        behind = int(position["from"]) + 1 if "from" in position else int(position.get("at", 0))
        self._last: tuple[int, str] = (behind, str(position.get("after", "")))

    @property
    def last(self) -> tuple[int, str]:
        """Time and id of the last row that was read."""
        return self._last

    def read(self, raws: list[msgspec.Raw]) -> tuple[list[tuple[Any, ...]], list[Reject], int]:
        """(accepted rows, rejects, fills of nothing for nothing) of one answer.

        Raises:
            UpstreamContractError: rows are not in ascending order of (time, id), or have neither.
        """
        rows: list[tuple[Any, ...]] = []
        rejects: list[Reject] = []
        ignored = 0
        for raw in raws:
            self._step(raw)
            try:
                out = self._fill(_row.decode(raw))
            except (RowRejectedError, BadInputError, msgspec.ValidationError) as error:
                reason = error.reason if isinstance(error, RowRejectedError) else "bad_value"
                reason = "shape" if isinstance(error, msgspec.ValidationError) else reason
                text = bytes(raw).decode("utf-8", "replace")[:_RAW_LENGTH]
                rejects.append(Reject(reason, f"{self._where}: {error}", text))
                continue
            if out is None:
                ignored += 1
            else:
                rows.append(out)
        return rows, rejects, ignored

    def _step(self, raw: msgspec.Raw) -> None:
        try:
            edge = _edge.decode(raw)
        except msgspec.ValidationError as error:
            raise UpstreamContractError(f"{self._where}: a row has no readable time or id: {error}") from None
        if (edge.timestamp, edge.id) <= self._last:
            raise UpstreamContractError(f"{self._where}: rows are not in ascending order of time and id")
        self._last = (edge.timestamp, edge.id)

    def _fill(self, row: FillRow) -> tuple[Any, ...] | None:
        ts = require_time(self._last[0])
        self.counter.place(ts)
        wallet = parse_address(row.maker, "maker")
        if self._wallet is not None and wallet != self._wallet:
            raise RowRejectedError("foreign_wallet", "the row belongs to another wallet")
        if wallet in INFRA:
            raise RowRejectedError("infrastructure", "the maker is a contract of Polymarket, not a wallet")
        kind, token, shares, usdc = _amounts(row)
        received, fee = shares if kind == "BUY" else usdc, _amount(row.fee)
        if fee > received:
            raise RowRejectedError("bad_value", f"a fee of {fee} out of {received}")
        if shares == 0 and usdc == 0:
            return None
        fee_usdc = fee
        if kind == "BUY":
            fee_usdc = fee * usdc // shares if shares else 0
        tx, taker = parse_hash(row.transaction_hash, "transaction hash"), parse_address(row.taker, "taker")
        net_shares, cash = (shares - fee, usdc) if kind == "BUY" else (shares, usdc - fee)
        is_taker = taker in EXCHANGES
        ordinal = self.counter.ordinal((wallet, token, tx, kind, net_shares, cash))
        return (
            wallet, token, tx, kind, ts, ordinal, net_shares, cash, shares, usdc, fee,
            ("shares" if kind == "BUY" else "usdc") if fee else "", fee_usdc, "TAKER" if is_taker else "MAKER",
            _NOBODY if is_taker else taker, parse_hash(row.order_hash, "order hash"),
            SYMBOL_OF.get(taker, "") if is_taker else "", "collapsible gross" if is_taker or fee else "collapsible",
        )  # fmt: skip


class GoldskyFills:
    """Stream of V1 fills; partition key = a wallet's address, or a slice of time of everyone's fills.

    Args:
        client: of the subgraph host.
        page_limit: rows per page, at most 1,000.

    Positions: ``{"at", "after", "second"}`` inside the second ``at``, ``{"from"}`` behind second ``from``,
    ``{"newest"}`` after a complete walk; the next one reads that second again.
    """

    name = "goldsky.fills"

    def __init__(self, client: HttpClient, *, page_limit: int = _MAX_PAGE) -> None:
        self._client = client
        self._page_limit = min(page_limit, _MAX_PAGE)

    def partition(self, wallet: str) -> Partition:
        """The partition of a wallet (``0x…``)."""
        return Partition(self.name, wallet.lower())

    def partitions(self) -> list[Partition]:
        """Everyone's fills, a week of the V1 era each."""
        starts = range(FIRST_TS, CLOB_V2_CUTOVER_TS, _SLICE_SECONDS)
        return [
            Partition(self.name, f"{start}", {"from": start, "to": min(start + _SLICE_SECONDS, CLOB_V2_CUTOVER_TS)})
            for start in starts
        ]

    def restart_position(self, position: Position) -> Position:
        """Times and ids never expire."""
        return position

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        wallet = None if "from" in partition.params else parse_address(partition.key, "wallet")
        bounds: dict[str, Any] = {"timestamp_lt": str(partition.params.get("to", CLOB_V2_CUTOVER_TS))}
        if wallet is not None:
            bounds["maker"] = partition.key.lower()
        walker = Walker(where, wallet, position)
        current, newest = dict(position), int(position.get("newest", 0))
        while True:
            raws = await self._ask(bounds | _place(current, partition.params))
            rows, rejects, ignored = walker.read(raws)
            is_sticky = "after" in current
            newest = max(newest, walker.last[0])
            if raws and (is_sticky or len(raws) >= self._page_limit):
                at, after = walker.last
                current = {"at": at, "after": after, "second": walker.counter.dump()}
            elif is_sticky:
                current = {"from": current["at"]}
                continue  # an empty answer proves the end of the second, and is no page
            is_last = not is_sticky and len(raws) < self._page_limit
            yield checked(
                Page(
                    tables=tables(observations=fill_columns(rows)),
                    position={"newest": newest} if is_last else current,
                    is_last=is_last,
                    fetched=len(raws),
                    rejected=rejects,
                    ignored=ignored,
                ),
                len(rows),
            )
            if is_last:
                return

    async def _ask(self, where: Mapping[str, Any]) -> list[msgspec.Raw]:
        question = {"query": _QUERY, "variables": {"where": where, "first": self._page_limit}}
        return await self._client.post(PATH, msgspec.json.encode(question), decode)


def _place(position: Position, params: Mapping[str, Any]) -> dict[str, str]:
    """The conditions of a question that stand for a position."""
    if "after" in position:
        return {"timestamp": str(position["at"]), "id_gt": str(position["after"])}
    if "from" in position:
        return {"timestamp_gt": str(position["from"])}
    return {"timestamp_gte": str(max(int(position.get("newest", 0)), int(params.get("from", FIRST_TS))))}
