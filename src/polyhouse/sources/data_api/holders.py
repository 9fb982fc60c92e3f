"""``data.holders``: who holds the tokens of a market; ``data.market-positions``: the same from the list of positions.

The first is cheap (twenty markets a request), but nets a wallet's two outcomes and may end at a wall. The second is one
market at a time on a true keyset: it is asked where a list of holders may have been cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from polyhouse.domain.ids import format_token, parse_address
from polyhouse.errors import BadInputError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import checked, columns, reported_micros, tables, token_of
from polyhouse.sources.data_api.boards import FULL, OffsetList, may_be_cut
from polyhouse.sources.data_api.envelope import RowsDecoder, RowsPage
from polyhouse.sources.data_api.published import Positions
from polyhouse.sources.data_api.rows import SMALLEST_AMOUNT, Number, outcome_of
from polyhouse.sources.data_api.trades import checked_conditions
from polyhouse.sources.walk import digest


class HolderRow(msgspec.Struct):
    """One holder on the wire."""

    proxy_wallet: str
    amount: Number = None
    outcome_index: int | None = None


class HolderGroup(msgspec.Struct):
    """The holders of one token on one page."""

    token_id: str | int
    holders: list[HolderRow] | None = None


_holders = RowsDecoder(HolderGroup)
_NAMES = ("token", "wallet", "shares", "outcome")


class Holders(OffsetList[HolderGroup]):
    """Holders of the tokens of up to twenty conditions; partition params ``{"conditions": […]}``.

    A page holds a slice of each token's list, and the lists of all tokens go on together: the pages of one token add
    up. A list that may have been cut is named in the last position.
    """

    name = "data.holders"
    _path = "/v2/holders"

    def partition(self, conditions: Sequence[str]) -> Partition:
        """The partition of up to twenty conditions."""
        ids = sorted({text.lower() for text in conditions})
        return Partition(self.name, ids[0] if len(ids) == 1 else digest(ids), {"conditions": ids})

    def _params(self, partition: Partition) -> Mapping[str, Any]:
        return {"condition": checked_conditions(partition), "min_balance": SMALLEST_AMOUNT}

    def _decoder(self, where: str) -> Callable[[bytes], RowsPage[HolderGroup]]:
        return _holders.decoder(where)

    def _page(
        self, page: RowsPage[HolderGroup], partition: Partition, after: Position, depth: int, served: int
    ) -> Page:
        del partition
        rows: list[tuple[Any, ...]] = []
        fetched = len(page.rejects)
        lengths: Counter[str] = Counter()
        for index, group in enumerate(page.rows):
            for holder in (group.holders or []) if group else []:
                fetched += 1
                lengths[str(group.token_id) if group else ""] += 1
                try:
                    rows.append(_holder(group.token_id if group else "", holder))
                except BadInputError as error:
                    page.reject(index, "bad_value", str(error))
        ended = lengths.items() if page.cursor is None else ()
        full = {_name(token): depth + n for token, n in ended if may_be_cut(n, depth, served)}
        filled = tables(reported_holders=columns(_NAMES, rows, seen_at=int(self._client.clock.time())))
        return checked(
            Page(filled, {**after, FULL: full} if full else after, page.cursor is None, fetched, rejected=page.rejects),
            len(rows),
        )


def _holder(token: str | int, holder: HolderRow) -> tuple[Any, ...]:
    return (
        token_of(token),
        parse_address(holder.proxy_wallet, "wallet"),
        reported_micros(holder.amount, "amount"),
        outcome_of(holder.outcome_index),
    )


def _name(token: str) -> str:
    """The token as decimal, whichever way the answer spelled it."""
    try:
        return format_token(token_of(token))
    except BadInputError:
        return token[:80]


class MarketPositions(Positions):
    """Open positions of everyone in one market; partition key = condition."""

    name = "data.market-positions"

    def partition(self, condition: str) -> Partition:
        """The partition of a condition."""
        return Partition(self.name, condition.lower())

    def _selection(self, partition: Partition) -> dict[str, str]:
        return {"condition": partition.key}
