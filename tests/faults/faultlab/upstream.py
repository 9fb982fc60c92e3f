"""A small Polymarket in memory: ledgers with many equal seconds, trades by market, positions, values, resolutions.

Rows are made so that each can be told apart by its transaction and its size; pairs that are identical in every field
exist too, because real ledgers have them.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from faultlab.vtime import START

RECENT_SECONDS = 300
"""How late an upstream may be with a row or a label; the product reads ten minutes again."""

_KINDS = ("TRADE", "TRADE", "TRADE", "TRADE", "SPLIT", "MERGE", "REDEEM", "CONVERSION", "REWARD")
_STEPS = (0, 0, 0, 0, 1, 5, 60, 700)


@dataclass(slots=True, eq=False)
class Row:
    """One thing a wallet did, as the upstream knows it."""

    number: int
    wallet: str
    ts: int
    kind: str
    side: str
    condition: str
    token: int
    outcome: int
    size: str
    price: str
    tx: str
    is_deleted: bool = False
    is_doubtful: bool = False  # the upstream was late or wrong about it at some time

    @property
    def order(self) -> tuple[int, int]:
        return self.ts, self.number

    def activity(self) -> dict[str, Any]:
        """The row as ``/v2/activity`` prints it."""
        doc: dict[str, Any] = {
            "proxy_wallet": self.wallet, "timestamp": self.ts, "type": self.kind, "transaction_hash": self.tx,
            "condition_id": self.condition, "size": self.size, "usdc_size": self.size, "price": "1",
            "outcome_index": self.outcome,
        }  # fmt: skip
        if self.kind == "TRADE":
            doc |= {"side": self.side, "token_id": str(self.token)}
        return doc

    def trade(self) -> dict[str, Any]:
        """The row as ``/v2/trades`` prints it."""
        return {
            "proxy_wallet": self.wallet, "timestamp": self.ts, "side": self.side, "condition_id": self.condition,
            "token_id": str(self.token), "transaction_hash": self.tx, "size": self.size, "price": "1",
            "outcome_index": self.outcome,
        }  # fmt: skip


@dataclass
class Upstream:
    """What is true out there.

    Attributes:
        ledgers: wallet → its rows in order of time.
        positions: wallet → token → shares, as published.
        resolved: conditions that paid out.
        read_until: when somebody may have read the last time; what comes later is newer.
        page_rows: rows of a page.
    """

    seed: int
    rng: random.Random = field(init=False)
    now: int = START
    read_until: int = START
    ledgers: dict[str, list[Row]] = field(default_factory=dict)
    positions: dict[str, dict[int, int]] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    page_rows: int = 4
    _number: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(f"upstream/{self.seed}")
        self.page_rows = self.rng.choice((3, 4, 5))
        self.conditions = [f"0x{n:064x}" for n in range(1, self.rng.randint(2, 5))]
        for n in range(self.rng.randint(1, 3)):
            wallet = f"0x{n + 0xA0:040x}"
            self.ledgers[wallet], self.positions[wallet] = [], {}
            self.grow(wallet, self.rng.choice((0, 6, 20, 24, 30)), span=True)
            self.move_positions(wallet)

    def grow(self, wallet: str, rows: int, *, span: bool = False) -> None:
        """Let a wallet do more; the newest row is of now. ``span``: its whole history."""
        steps = [self.rng.choice(_STEPS) for _ in range(rows)]
        ts = self.now - (
            sum(steps) if span else min(sum(steps), RECENT_SECONDS, max(0, self.now - self.read_until - 1))
        )
        last = self.ledgers[wallet][-1].ts if self.ledgers[wallet] else 0
        for step in steps:
            ts = min(self.now, ts + step)
            self.add(wallet, max(ts, last))

    def add(self, wallet: str, ts: int) -> Row:
        """One more row, at the end of its second; now and then the very same again."""
        ledger = self.ledgers[wallet]
        before = ledger[-1] if ledger else None
        self._number += 1
        if before is not None and before.ts == ts and before.kind == "TRADE" and self.rng.random() < 0.1:
            row = Row(
                self._number, wallet, ts, "TRADE", before.side, before.condition, before.token, before.outcome,
                before.size, before.price, before.tx,
            )  # fmt: skip
        else:
            place = self.rng.randrange(len(self.conditions))
            outcome = self.rng.randrange(2)
            row = Row(
                self._number, wallet, ts, self.rng.choice(_KINDS), self.rng.choice(("BUY", "SELL")),
                self.conditions[place], 1_000 + 2 * place + outcome, outcome, f"{self._number}.5", "1",
                f"0x{self._number:064x}",
            )  # fmt: skip
        ledger.insert(bisect_right(ledger, row.order, key=lambda one: one.order), row)
        return row

    def move_positions(self, wallet: str) -> None:
        """Publish other positions: some stay, some change, some go."""
        known = self.positions[wallet]
        for token in range(1_000, 1_000 + 2 * len(self.conditions)):
            if self.rng.random() < 0.4:
                known[token] = self.rng.randint(1, 9) * 1_000_000
            elif self.rng.random() < 0.3:
                known.pop(token, None)

    def resolve(self) -> None:
        """One more market pays out."""
        rest = [one for one in self.conditions if one not in self.resolved]
        if rest:
            self.resolved.append(rest[0])

    def visible(self, wallet: str) -> list[Row]:
        """The rows of a ledger that are there now."""
        return [row for row in self.ledgers.get(wallet, ()) if not row.is_deleted]

    def trades(self, conditions: Sequence[str], *, takers: bool) -> list[Row]:
        """The fills of these markets, newest first. Every second row's wallet is a taker."""
        wanted = set(conditions)
        rows = [
            row for row in self.rows()
            if row.kind == "TRADE" and row.condition in wanted and not (takers and row.number % 2)
        ]  # fmt: skip
        return sorted(rows, key=lambda row: row.order, reverse=True)

    def rows(self) -> Iterator[Row]:
        """All rows of everybody that are there now."""
        for wallet in self.ledgers:
            yield from self.visible(wallet)

    def has_tied_edge(self, wallet: str) -> bool:
        """Whether some full page of this ledger ends inside a second."""
        rows = self.visible(wallet)
        edges = range(self.page_rows, len(rows), self.page_rows)
        return any(rows[edge - 1].ts == rows[edge].ts for edge in edges)
