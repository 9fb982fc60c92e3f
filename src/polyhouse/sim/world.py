"""What the simulated upstreams share: the universe, its derived views, the clock and the quirks' settings."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from polyhouse.domain.contracts import INFRA
from polyhouse.sim.cursors import CursorSigner
from polyhouse.sim.markets import Catalog, MarketState
from polyhouse.sim.model import SimEvent, Transaction
from polyhouse.sim.rulings import Rulings
from polyhouse.sim.views import Views

_INFRA = frozenset("0x" + contract.hex() for contract in INFRA)
_MEMORY = 64


class UniverseLike(Protocol):
    """What the server needs of ``polyhouse.sim.universe.Universe``."""

    now: int

    @property
    def events(self) -> Sequence[SimEvent]:
        """Events with their markets."""
        ...

    def transactions(self, start_ts: int | None = None, until: int | None = None) -> Iterator[Transaction]:
        """Transactions in block order."""
        ...

    def advance(self, seconds: int) -> object:
        """Let simulated time pass."""
        ...


@dataclass(frozen=True, slots=True)
class Quirks:
    """How badly the upstreams behave; all times in simulated seconds.

    Attributes:
        fresh_seconds: rows younger than this come with ``outcome_index`` 999 and an empty ``event_slug``.
        token_delay_seconds: markets younger than this have no ``clobTokenIds`` on Gamma.
        clob_page: rows of a CLOB page.
        placeholder_every: every n-th CLOB row is a placeholder with empty ids; 0 = none.
        lag_seconds: what ``/v2/status`` reports.
        repeat_past_offset: past this offset the first version of the Data API repeats a page; 0 = never.
        prices_span: longest interval that the price history answers.
        wall: depth at which lists with an offset in their cursor (holders, boards) refuse to go on; 0 = never.
        holders_end: length at which lists of holders end without a word; 0 = never.
        burn_holder: the address of burned tokens is among the holders, as it is on the chain.
    """

    fresh_seconds: int = 120
    token_delay_seconds: int = 300
    clob_page: int = 1000
    placeholder_every: int = 97
    lag_seconds: int = 4
    repeat_past_offset: int = 0
    prices_span: int = 31 * 86_400
    wall: int = 0
    holders_end: int = 0
    burn_holder: bool = False


class World:
    """A universe as its upstreams see it.

    Args:
        universe: events and transactions; only what happened until ``universe.now`` is visible.
        quirks: settings of the misbehaviour.
        path: file of the derived rows; None = in memory.
    """

    def __init__(self, universe: UniverseLike, quirks: Quirks | None = None, path: Path | None = None) -> None:
        self.universe = universe
        self.quirks = quirks or Quirks()
        self.catalog = Catalog(universe.events)
        self.views = Views(self.catalog, path)
        self.rulings = Rulings()
        self.cursors = CursorSigner(hashlib.sha256(b"polyhouse simulated upstream").digest())
        self._seen_ts: int | None = None
        self._memory: OrderedDict[object, Any] = OrderedDict()
        self.catch_up()

    @property
    def now(self) -> int:
        """Simulated Unix seconds."""
        return int(self.universe.now)

    def catch_up(self) -> int:
        """Derive the rows of everything that happened until now; returns the number of new transactions."""
        self._memory.clear()
        self.catalog.refresh(self.universe.events)
        taken = self.views.ingest(self._until_now(self.universe.transactions(start_ts=self._seen_ts, until=self.now)))
        self._seen_ts = self.now
        return taken

    def advance(self, seconds: int) -> int:
        """Let time pass and derive what happened meanwhile; returns the number of new transactions."""
        self.universe.advance(seconds)
        return self.catch_up()

    def _until_now(self, transactions: Iterable[Transaction]) -> Iterator[Transaction]:
        for tx in transactions:
            if tx.ts > self.now:
                return
            yield tx

    def remember(self, key: object, compute: Callable[[], Any]) -> Any:
        """The result of ``compute``, kept until time moves: a walk asks for the same selection page after page."""
        if key not in self._memory:
            self._memory[key] = compute()
            while len(self._memory) > _MEMORY:
                self._memory.popitem(last=False)
        return self._memory[key]

    def is_contract(self, address: str) -> bool:
        """Whether an address belongs to the protocol rather than to a person."""
        return address in _INFRA

    def visible_events(self) -> list[SimEvent]:
        """Events that exist now, by id."""
        return sorted(
            (event for event in self.catalog.events.values() if event.created_ts <= self.now),
            key=lambda event: event.event_id,
        )

    def visible_markets(self) -> list[MarketState]:
        """Markets that exist now, by id."""
        return sorted(
            (market for market in self.catalog.markets if market.meta.created_ts <= self.now),
            key=lambda market: market.meta.market_id,
        )
