"""The same for asyncio: every question runs in a thread, so that the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from polyhouse.api import house as plain
from polyhouse.api.documents import Document, MarketPage, WalletPage
from polyhouse.api.house import Moment, Polyhouse, Wallets
from polyhouse.api.results import Listing, Query
from polyhouse.api.rows import BoardRow, Day, MetricValue, Position, Row, SpecialistRow, Trade, Unit

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

RowT = TypeVar("RowT")


class AsyncQuery(Generic[RowT]):
    """A question to a table whose answers are awaited. ``query`` has everything that narrows it.

    Args:
        query: the same question for plain code.
    """

    def __init__(self, query: Query[RowT]) -> None:
        self.query = query

    def where(self, condition: str = "", /, **columns: Any) -> AsyncQuery[RowT]:
        """See ``Query.where``."""
        return AsyncQuery(self.query.where(condition, **columns))

    def columns(self, *names: str) -> AsyncQuery[RowT]:
        """See ``Query.columns``."""
        return AsyncQuery(self.query.columns(*names))

    def limit(self, rows: int) -> AsyncQuery[RowT]:
        """See ``Query.limit``."""
        return AsyncQuery(self.query.limit(rows))

    def ordered(self) -> AsyncQuery[RowT]:
        """See ``Query.ordered``."""
        return AsyncQuery(self.query.ordered())

    async def rows(self) -> list[RowT]:
        """See ``Query.rows``."""
        return await asyncio.to_thread(self.query.rows)

    async def arrow(self) -> pa.Table:
        """See ``Query.arrow``."""
        return await asyncio.to_thread(self.query.arrow)

    async def polars(self) -> pl.DataFrame:
        """See ``Tabular.polars``."""
        return await asyncio.to_thread(self.query.polars)

    async def pandas(self) -> pd.DataFrame:
        """See ``Tabular.pandas``."""
        return await asyncio.to_thread(self.query.pandas)

    async def count(self) -> int:
        """See ``Query.count``."""
        return await asyncio.to_thread(self.query.count)

    async def iter_arrow(self) -> AsyncIterator[pa.RecordBatch]:
        """See ``Query.iter_arrow``."""
        batches = self.query.iter_arrow()
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            yield batch


class AsyncPolyhouse:
    """``Polyhouse`` whose questions are awaited. Made by ``polyhouse.open_async``; an async context manager.

    Args:
        house: the same for plain code.
    """

    def __init__(self, house: Polyhouse) -> None:
        self.house = house

    async def leaderboard(self, **chosen: Any) -> Listing[BoardRow]:
        """See ``Polyhouse.leaderboard``."""
        return await asyncio.to_thread(partial(self.house.leaderboard, **chosen))

    async def wallet(self, address: str, **chosen: Any) -> WalletPage:
        """See ``Polyhouse.wallet``."""
        return await asyncio.to_thread(partial(self.house.wallet, address, **chosen))

    async def market(self, market_id: str, *, holders: int = 20) -> MarketPage:
        """See ``Polyhouse.market``."""
        return await asyncio.to_thread(partial(self.house.market, market_id, holders=holders))

    async def specialists(self, **chosen: Any) -> Listing[SpecialistRow]:
        """See ``Polyhouse.specialists``."""
        return await asyncio.to_thread(partial(self.house.specialists, **chosen))

    async def categories(self, *, window: str = "lifetime") -> Document:
        """See ``Polyhouse.categories``."""
        return await asyncio.to_thread(partial(self.house.categories, window=window))

    async def status(self) -> Document:
        """See ``Polyhouse.status``."""
        return await asyncio.to_thread(self.house.status)

    async def equity(self, address: str, **chosen: Any) -> Listing[Day]:
        """See ``Polyhouse.equity``."""
        return await asyncio.to_thread(partial(self.house.equity, address, **chosen))

    async def metrics(self, address: str, **chosen: Any) -> Listing[MetricValue]:
        """See ``Polyhouse.metrics``."""
        return await asyncio.to_thread(partial(self.house.metrics, address, **chosen))

    async def explain(self, address: str, name: str, **scope: Any) -> Document:
        """See ``Polyhouse.explain``."""
        return await asyncio.to_thread(partial(self.house.explain, address, name, **scope))

    def trades(self, wallet: Wallets = None, *, category: str | None = None, since: Moment = None,
               until: Moment = None) -> AsyncQuery[Trade]:  # fmt: skip
        """See ``Polyhouse.trades``."""
        return AsyncQuery(self.house.trades(wallet, category=category, since=since, until=until))

    def positions(self, wallet: Wallets = None, *, category: str | None = None) -> AsyncQuery[Position]:
        """See ``Polyhouse.positions``."""
        return AsyncQuery(self.house.positions(wallet, category=category))

    def units(self, wallet: Wallets = None, *, category: str | None = None) -> AsyncQuery[Unit]:
        """See ``Polyhouse.units``."""
        return AsyncQuery(self.house.units(wallet, category=category))

    def table(self, name: str, *, as_of: str = "") -> AsyncQuery[Row]:
        """See ``Polyhouse.table``."""
        return AsyncQuery(self.house.table(name, as_of=as_of))

    def sql(self, statement: str) -> AsyncQuery[Row]:
        """See ``Polyhouse.sql``."""
        return AsyncQuery(self.house.sql(statement))

    async def close(self) -> None:
        """Give the stores free."""
        await asyncio.to_thread(self.house.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def open_async(home: str | Path | None = None, **settings: Any) -> AsyncPolyhouse:
    """``polyhouse.open`` for asyncio. Errors as there."""
    return AsyncPolyhouse(plain.open(home, **settings))
