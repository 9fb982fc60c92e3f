"""Every upstream row of a simulated universe in one SQLite database: paged by index, filled as time advances.

Rows are ordered by ``seq`` = block × 10^10 + place in the block, which is also time order (block times never fall).
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any

from polyhouse.errors import BadInputError
from polyhouse.sim.indexer import HIDDEN, MERGE, NO_OUTCOME, SPLIT, TRADE, Indexer, Row
from polyhouse.sim.markets import Catalog
from polyhouse.sim.model import Transaction

_SCHEMA = """
CREATE TABLE rows (
  seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, wallet INTEGER NOT NULL, market INTEGER NOT NULL,
  outcome INTEGER NOT NULL, kind INTEGER NOT NULL, side INTEGER NOT NULL, size INTEGER NOT NULL,
  usdc INTEGER NOT NULL, price INTEGER NOT NULL, taker INTEGER NOT NULL, delta INTEGER NOT NULL, tx BLOB NOT NULL
);
CREATE TABLE balances (
  wallet INTEGER NOT NULL, market INTEGER NOT NULL, b0 INTEGER NOT NULL, b1 INTEGER NOT NULL,
  PRIMARY KEY (wallet, market)
) WITHOUT ROWID;
"""
_INDEXES = """
CREATE INDEX IF NOT EXISTS rows_wallet ON rows (wallet);
CREATE INDEX IF NOT EXISTS rows_market ON rows (market);
CREATE INDEX IF NOT EXISTS rows_ts ON rows (ts);
CREATE INDEX IF NOT EXISTS balances_market ON balances (market);
"""
_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Feed:
    """One selection of rows for a keyset page.

    Attributes:
        wallet: wallet id, None = everyone.
        markets: market numbers, None = all.
        where: further SQL conditions, joined with AND; ``values`` are their parameters.
        low, high: bounds of ``seq`` (both inclusive).
        after: exclusive place where the page begins, None = from the head.
    """

    wallet: int | None = None
    markets: tuple[int, ...] | None = None
    where: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    low: int = 0
    high: int = 2**62
    after: int | None = None
    ascending: bool = False


class Views:
    """Rows, wallets and balances.

    Args:
        catalog: metadata of the universe, updated while logs are read.
        path: database file; None keeps everything in memory (small universes).
    """

    def __init__(self, catalog: Catalog, path: Path | None = None) -> None:
        self.catalog = catalog
        self.generation = 0
        self.counts: dict[int, int] = defaultdict(int)
        self.last_block = 0
        self._db = sqlite3.connect(":memory:" if path is None else str(path), check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;")
        self._db.executescript(_SCHEMA)
        self._wallets: dict[str, int] = {}
        self._names: list[str] = []
        self._pending: dict[tuple[int, int], list[int]] = {}
        self._position: tuple[int, int] = (-1, -1)
        self._last_ts = 0
        self._indexed = False
        self._indexer = Indexer(catalog, self._enrol, self.balance)

    def close(self) -> None:
        """Release the database."""
        self._db.close()

    # -- writing ------------------------------------------------------------------------------------------------

    def ingest(self, transactions: Iterable[Transaction]) -> int:
        """Derive and store the rows of further transactions in block order; ones already seen are passed over.

        Returns:
            Number of transactions taken.

        Raises:
            BadInputError: block order and time order disagree, or a trade names an unknown token.
        """
        taken, batch = 0, list[Row]()
        for tx in transactions:
            place = (tx.block, tx.tx_index)
            if place <= self._position:
                continue
            if tx.ts < self._last_ts:
                raise BadInputError(f"block {tx.block} is older than the block before it")
            self._position, self._last_ts, self.last_block = place, tx.ts, tx.block
            rows = self._indexer.rows(tx)
            self._collect(rows)
            batch += rows
            taken += 1
            if len(batch) >= _BATCH:
                self._flush(batch)
                batch = []
        self._flush(batch)
        if not self._indexed:
            self._db.executescript(_INDEXES)
            self._indexed = True
        self.generation += 1
        return taken

    def _collect(self, rows: Sequence[Row]) -> None:
        for row in rows:
            wallet, market, outcome, kind, delta = row[2], row[3], row[4], row[5], row[11]
            self.counts[kind] += 1
            if not delta:
                continue
            pair = self._pending.setdefault((wallet, market), [0, 0])
            if outcome == NO_OUTCOME and kind in (SPLIT, MERGE):
                pair[0] += delta
                pair[1] += delta
            else:
                pair[outcome] += delta

    def _flush(self, batch: list[Row]) -> None:
        with self._db:
            self._db.executemany("INSERT INTO rows VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", batch)
            self._db.executemany(
                "INSERT INTO balances VALUES (?, ?, ?, ?) ON CONFLICT (wallet, market) "
                "DO UPDATE SET b0 = b0 + excluded.b0, b1 = b1 + excluded.b1",
                [(*key, *pair) for key, pair in self._pending.items()],
            )
        self._pending.clear()

    def _enrol(self, address: str) -> int:
        known = self._wallets.get(address)
        if known is None:
            known = self._wallets[address] = len(self._names)
            self._names.append(address)
        return known

    # -- reading ------------------------------------------------------------------------------------------------

    @property
    def wallet_count(self) -> int:
        """Wallets that appear in any row."""
        return len(self._names)

    def wallet_id(self, address: str) -> int | None:
        """Small integer of a lowercase address; None if it never appeared."""
        return self._wallets.get(address)

    def wallet_name(self, wallet: int) -> str:
        """Address of a wallet id."""
        return self._names[wallet]

    def balance(self, wallet: int, market: int, outcome: int) -> int:
        """Micro-shares held now, transfers included."""
        row = self._db.execute(
            "SELECT b0, b1 FROM balances WHERE wallet = ? AND market = ?", (wallet, market)
        ).fetchone()
        pending = self._pending.get((wallet, market), (0, 0))
        return (row[outcome] if row else 0) + pending[outcome]

    def holdings(self, wallet: int) -> dict[tuple[int, int], int]:
        """(market, outcome) → micro-shares of one wallet, zeros left out."""
        found = {}
        for market, b0, b1 in self._db.execute("SELECT market, b0, b1 FROM balances WHERE wallet = ?", (wallet,)):
            found.update({(market, outcome): held for outcome, held in enumerate((b0, b1)) if held})
        return found

    def holders(self, market: int, outcome: int, minimum: int) -> list[tuple[int, int]]:
        """(wallet, micro-shares) of one token, largest first."""
        column = ("b0", "b1")[outcome]
        return self._db.execute(
            f"SELECT wallet, {column} FROM balances WHERE market = ? AND {column} >= ? ORDER BY {column} DESC, wallet",
            (market, max(1, minimum)),
        ).fetchall()

    def market_wallets(self, market: int) -> list[int]:
        """Wallets that ever moved shares of a market."""
        return [row[0] for row in self._db.execute("SELECT wallet FROM balances WHERE market = ?", (market,))]

    def outstanding(self, market: int) -> tuple[int, int]:
        """Micro-shares of both outcomes that wallets hold."""
        sql = "SELECT COALESCE(SUM(b0), 0), COALESCE(SUM(b1), 0) FROM balances WHERE market = ?"
        first, second = self._db.execute(sql, (market,)).fetchone()
        return int(first), int(second)

    def seq_at(self, ts: int) -> int:
        """The first ``seq`` at or after a time; 2**62 when nothing is that new."""
        row = self._db.execute("SELECT seq FROM rows WHERE ts >= ? ORDER BY ts, seq LIMIT 1", (ts,)).fetchone()
        return int(row[0]) if row else 2**62

    def page(self, feed: Feed, limit: int) -> list[Row]:
        """Up to ``limit`` rows of a selection in feed order. Several markets are merged, never sorted whole."""
        markets: Iterable[int | None] = (None,)
        if feed.markets is not None and (feed.wallet is None or len(feed.markets) == 1):
            markets = feed.markets
        streams = [self._select(feed, market, limit) for market in markets]
        key: Callable[[Row], int] = lambda row: row[0]  # noqa: E731
        return list(islice(merge(*streams, key=key, reverse=not feed.ascending), limit))

    def _select(self, feed: Feed, market: int | None, limit: int) -> Iterator[Row]:
        where, values = list(feed.where), list(feed.values)
        low, high = feed.low, feed.high
        if feed.after is not None:
            low, high = (max(low, feed.after + 1), high) if feed.ascending else (low, min(high, feed.after - 1))
        where.append("seq BETWEEN ? AND ?")
        values += [low, high]
        if feed.wallet is not None:
            where.append("wallet = ?")
            values.append(feed.wallet)
        if market is not None:
            # With a wallet given, its index is the better one: "+" keeps SQLite from choosing the market's.
            where.append("market = ?" if feed.wallet is None else "+market = ?")
            values.append(market)
        elif feed.markets is not None:
            where.append(f"+market IN ({','.join('?' * len(feed.markets))})")
            values += feed.markets
        order = "ASC" if feed.ascending else "DESC"
        sql = f"SELECT * FROM rows WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT {limit}"
        return iter(self._db.execute(sql, values))

    def history(self, wallet: int) -> Iterator[Row]:
        """Every row of one wallet in order, hidden movements included."""
        return iter(self._db.execute("SELECT * FROM rows WHERE wallet = ? ORDER BY seq", (wallet,)))

    def histories(self) -> Iterator[Row]:
        """Every row, wallet by wallet, in order inside each."""
        return iter(self._db.execute("SELECT * FROM rows INDEXED BY rows_wallet ORDER BY wallet, seq"))

    def volume(self, wallet: int, low_ts: int, high_ts: int) -> tuple[int, int, int]:
        """(micro-shares, micro-USDC, fills) a wallet traded between two times, both inclusive."""
        row = self._db.execute(
            "SELECT COALESCE(SUM(size), 0), COALESCE(SUM(usdc), 0), COUNT(*) FROM rows "
            "WHERE wallet = ? AND kind = ? AND ts BETWEEN ? AND ?",
            (wallet, TRADE, low_ts, high_ts),
        ).fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def stats(self) -> dict[str, int]:
        """Counts for reports and tests."""
        shown = sum(count for kind, count in self.counts.items() if kind < HIDDEN)
        return {
            "wallets": self.wallet_count, "trades": self.counts[TRADE], "rows": shown,
            "events": len(self.catalog.events), "markets": len(self.catalog.markets), "last_block": self.last_block,
        }  # fmt: skip
