"""The product from Python: ask, load, and take the answers wherever they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from polyhouse.api.connection import Connection
from polyhouse.api.documents import Document, MarketPage, WalletPage
from polyhouse.api.results import Listing, Query
from polyhouse.api.rows import BoardRow, Day, MetricValue, Position, Row, SpecialistRow, Trade, Unit
from polyhouse.reads.relations.question import Question

if TYPE_CHECKING:
    from polyhouse.sync.report import RunReport

Wallets = str | Iterable[str] | None
Moment = str | int | date | None


class Polyhouse:
    """One installation. Made by ``polyhouse.open``; a context manager.

    The stores are opened at the first question and held until ``close``: the embedded warehouse belongs to one process
    at a time. While ``polyhouse serve`` owns it, questions go to that server instead, and nothing is held.
    Every method raises ``polyhouse.errors.PolyhouseError`` and its kinds, never an empty answer for a failed one.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> Connection:
        """Who answers."""
        return self._connection

    def leaderboard(
        self, *, category: str = "overall", window: str = "lifetime", sort: str = "omega", limit: int = 100,
        as_of: str | None = None, **filters: Any,
    ) -> Listing[BoardRow]:  # fmt: skip
        """Ranked wallets.

        Args:
            category: ``overall`` or a category.
            window: 1d, 7d, 30d, 90d, 180d or lifetime.
            sort: omega, pnl, win_rate, roi, volume, …, or any metric.
            limit: places at most.
            as_of: a moment of the past (docs/as-of.md).
            filters: as the command's, with underscores: ``min_trades=…``, ``min_units=…``, ``exclude_bots=True``, ….
        """
        chosen = {"category": category, "window": window, "sort": sort, "limit": limit, "as_of": as_of, **filters}
        return Listing(self._connection.ask("leaderboard", chosen), "leaderboard", BoardRow)

    def wallet(
        self, address: str, *, window: str = "lifetime", as_of: str | None = None, cost: str | None = None
    ) -> WalletPage:
        """Everything known about one wallet; ``cost``: also by Polymarket's method ("polymarket" or "both").

        Raises:
            BadInputError: a malformed address, or one that was never seen.
        """
        chosen = {"address": address, "window": window, "as_of": as_of, "cost": cost}
        return WalletPage(self._connection.ask("wallet", chosen))

    def market(self, market_id: str, *, holders: int = 20) -> MarketPage:
        """One market, by condition id, slug or token id."""
        return MarketPage(self._connection.ask("market", {"condition_id": market_id, "holders": holders}))

    def specialists(self, *, category: str | None = None, limit: int = 100, tested: bool = False,
                    as_of: str | None = None) -> Listing[SpecialistRow]:  # fmt: skip
        """Wallets that are better in one category than elsewhere; ``tested``: also those that are none."""
        chosen = {"category": category, "limit": limit, "tested": tested, "as_of": as_of}
        return Listing(self._connection.ask("specialists", chosen), "specialists", SpecialistRow)

    def categories(self, *, window: str = "lifetime") -> Document:
        """What it is like to bet in each category."""
        return Document(self._connection.ask("categories", {"window": window}))

    def status(self) -> Document:
        """Progress, queue, failures and the last run."""
        return Document(self._connection.ask("status", {}))

    def equity(self, address: str, *, category: str = "overall", window: str = "lifetime") -> Listing[Day]:
        """The daily series of one wallet: what it realised, was worth and risked."""
        chosen = {"address": address, "category": category, "window": window}
        return Listing(self._connection.ask("wallet_days", chosen), "wallet_days", Day)

    def metrics(
        self, address: str, *, category: str = "overall", window: str = "lifetime", as_of: str | None = None
    ) -> Listing[MetricValue]:
        """Every metric of one wallet, with status and sample."""
        chosen = {"address": address, "category": category, "window": window, "as_of": as_of}
        return Listing(self._connection.ask("wallet_metrics", chosen), "wallet_metrics", MetricValue)

    def explain(self, address: str, name: str, **scope: Any) -> Document:
        """A number of a wallet, followed down to its ledger rows and transactions (docs/explain.md)."""
        return Document(self._connection.ask("explain", {"address": address, "name": name, **scope}))

    def trades(self, wallet: Wallets = None, *, category: str | None = None, since: Moment = None,
               until: Moment = None, as_of: str = "") -> Query[Trade]:  # fmt: skip
        """Fills that count, of one wallet, of several, or of everybody."""
        asked = self._of_wallets("trades", Trade, wallet, category, as_of)
        asked = asked if since is None else asked.since(since)
        return asked if until is None else asked.until(until)

    def positions(self, wallet: Wallets = None, *, category: str | None = None, as_of: str = "") -> Query[Position]:
        """Every token that wallets ever held."""
        return self._of_wallets("positions", Position, wallet, category, as_of)

    def units(self, wallet: Wallets = None, *, category: str | None = None, as_of: str = "") -> Query[Unit]:
        """Bets: conditions, or neg-risk markets of wallets that converted there, with their results."""
        return self._of_wallets("units", Unit, wallet, category, as_of)

    def tables(self) -> Mapping[str, str]:
        """The tables for programs: name → what a row of it is."""
        from polyhouse.reads.relations.catalogue import SOURCES

        return {name: source.about for name, source in SOURCES.items()}

    def table(self, name: str, *, as_of: str = "") -> Query[Row]:
        """Any table by name: ``tables`` lists them, docs/tables.md has the rest."""
        return Query(self._connection, Question(table=name, as_of=as_of))

    def sql(self, statement: str) -> Query[Row]:
        """A SELECT of your own, read-only; it can be narrowed and bounded like a table."""
        return Query(self._connection, Question(sql=statement))

    def run(self, *, wallets: Iterable[str] = (), max_wallets: int | None = None, metrics: bool = True) -> RunReport:
        """The main job, as ``polyhouse run`` does it by REST: markets, trades, wallets, positions, metrics.

        A failure is in the report (``status``, ``errors``); what was read stays, and the next call goes on.

        Args:
            wallets: only these addresses.
            max_wallets: so many at most.
            metrics: compute positions and metrics afterwards.

        Raises:
            StoreInUseError: another process owns the store.
        """
        from polyhouse.api.loading import run

        return run(self._connection, tuple(wallets), max_wallets, metrics=metrics)

    def close(self) -> None:
        """Give the stores free."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _of_wallets(self, table: str, row: Any, wallet: Wallets, category: str | None, as_of: str) -> Query[Any]:
        asked: Query[Any] = Query(self._connection, Question(table=table, as_of=as_of), row)
        if wallet is not None:
            asked = asked.where(wallet=wallet if isinstance(wallet, str) else list(wallet))
        return asked if category is None else asked.where(category=category)


def open(home: str | Path | None = None, **settings: Any) -> Polyhouse:  # noqa: A001 - as polyhouse.open
    """Open an installation: where the settings say, as the command line finds them.

    Args:
        home: folder of the embedded stores.
        settings: settings by name (docs/settings), e.g. ``warehouse="clickhouse://…"``.

    Raises:
        ConfigError: settings that cannot be.
    """
    from polyhouse.settings import load

    given = {"home": str(home) if home is not None else None, **settings}
    return Polyhouse(Connection(load(given).settings))
