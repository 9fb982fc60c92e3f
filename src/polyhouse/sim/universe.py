"""A simulated Polymarket: events, markets, wallets, and the chain logs of their whole history.

Same arguments, same bytes. The logs are the only truth: what the upstreams show and what the PnL ought to be are both
derived from them (``polyhouse.sim.views``, ``polyhouse.sim.truth``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property
from random import Random

from polyhouse.errors import BadInputError
from polyhouse.sim import actors
from polyhouse.sim.amm import AmmCatalogue
from polyhouse.sim.catalogue import DAY, Catalogue, build_catalogue
from polyhouse.sim.chain import Chain
from polyhouse.sim.fair import fair_catalogue
from polyhouse.sim.model import SimEvent, Transaction
from polyhouse.sim.people import BEHAVIOURS, INSIDER, RICH, build_people

START = 1_761_955_200
"""2025-11-01 00:00 UTC."""
SPAN_DAYS = 400
_FILLS_PER_WALLET = 60
_KEPT_FILLS = 60_000


class Universe:
    """A seeded universe.

    Args:
        seed: any integer; everything follows from it.
        wallets: how many wallets there are.
        fills: about how many ``OrderFilled`` logs the whole span has, the future after ``now`` included;
            by default 60 per wallet.
        start: first moment, Unix seconds.
        span_days: length of the generated history; the default covers V1 fees, the cut-over to CLOB V2 and the
            change of the redemption rows on 2026-08-10.
        now_fraction: where in the span the simulated clock stands at first.
        with_transfers: every transaction carries all its ERC-1155 transfers. By default only those do that cannot be
            understood without them (plain transfers, anything that touches an adapter). Either way a transaction
            carries all of its transfers or none.
        insiders: so many of the wallets are planted insiders; whales: so many more planted whales
            (``polyhouse.sim.plants``).
        amm_markets: so many early markets more, which were traded through AMM pools, and a few orders that were filled
            directly, always with their transfers; everything else stays as it is.
        cast: a universe of another sort, whose prices are fair (``polyhouse.sim.fair``), with so many planted wallets
            of each kind (``polyhouse.sim.actors``); an empty one has the fair prices alone.

    Attributes:
        events: all events with their markets, the future ones included (see ``created_ts``).
        wallets: all addresses; wallet 0 is about the most active one.
        now: the simulated time, Unix seconds.
        end: the last moment of the generated history.

    Raises:
        BadInputError: sizes that cannot be.
    """

    def __init__(
        self,
        seed: int = 1,
        wallets: int = 200,
        fills: int | None = None,
        *,
        start: int = START,
        span_days: int = SPAN_DAYS,
        now_fraction: float = 0.85,
        with_transfers: bool = False,
        amm_markets: int = 0,
        insiders: int = 0,
        whales: int = 0,
        cast: Mapping[str, int] | None = None,
    ) -> None:
        fills = wallets * _FILLS_PER_WALLET if fills is None else fills
        planted = [INSIDER] * insiders + [RICH] * whales if cast is None else actors.planted(cast)
        crowd = wallets - len(planted)
        least = min(amm_markets, insiders, whales)
        if crowd < 4 or fills < 1 or span_days < 2 or least < 0 or not 0 < now_fraction <= 1:
            raise BadInputError(
                f"a universe of {wallets} wallets, {fills} fills, {amm_markets} AMM markets and {span_days} days "
                "cannot be simulated: it needs at least 4 wallets that are not planted, 1 fill, 2 days, and a clock "
                "inside its span"
            )
        self.seed = seed
        self.fills = fills
        self.start = start - start % 2
        self.end = self.start + span_days * DAY
        self.now = self.start + span_days * DAY * round(now_fraction * 10_000) // 10_000
        self._with_transfers = with_transfers
        self._is_fair = cast is not None
        self._people = build_people(
            Random(f"people {seed}"), wallets, planted=planted, crowd=actors.CROWD if self._is_fair else BEHAVIOURS
        )
        self._catalogue: Catalogue = build_catalogue(
            Random(f"catalogue {seed}"), fills=fills, start=self.start, end=self.end
        )
        if self._is_fair:
            self._catalogue = fair_catalogue(Random(f"results {seed}"), self._catalogue)
        self._first_now = self.now
        self.wallets: list[str] = self._people.addresses
        self._amm = AmmCatalogue(f"amm {seed}", amm_markets, self._people, self._catalogue, self.start, self.end)
        self.events: list[SimEvent] = [*self._catalogue.events, *self._amm.events]

    @cached_property
    def neg_risk_markets(self) -> dict[str, tuple[int, int]]:
        """Neg-risk market id → (number of questions, conversion fee in basis points)."""
        return {
            event.neg_risk_market_id: (len(event.markets), event.neg_risk_fee_bips)
            for event in self.events
            if event.neg_risk
        }

    @cached_property
    def behaviours(self) -> dict[str, str]:
        """Wallet → name of its behaviour."""
        return {w: kind.name for w, kind in zip(self.wallets, self._people.kinds, strict=True)}

    def advance(self, seconds: int) -> None:
        """Move the simulated clock; what was generated for that time becomes visible. After ``end`` nothing happens.

        Raises:
            BadInputError: time does not run backwards.
        """
        if seconds < 0:
            raise BadInputError(f"the simulated clock cannot go back by {-seconds} seconds; create the universe again")
        self.now += seconds

    def transactions(self, start_ts: int | None = None, until: int | None = None) -> Iterator[Transaction]:
        """Stream transactions with ``start_ts <= ts <= until`` in block order; ``until`` is ``now`` by default.

        A small universe is kept in memory after the first walk; a large one is generated anew in each walk, which is
        deterministic and takes memory for open positions only.
        """
        last = self.now if until is None else until
        if self.fills <= _KEPT_FILLS:
            first = 0 if start_ts is None else bisect_left(self._kept, start_ts, key=_ts)
            source: Iterator[Transaction] = (self._kept[place] for place in range(first, len(self._kept)))
        else:
            source = self._chain().walk()
        for transaction in source:
            if transaction.ts > last:
                return
            if start_ts is None or transaction.ts >= start_ts:
                yield transaction

    @cached_property
    def _kept(self) -> list[Transaction]:
        return list(self._chain().walk())

    def _chain(self) -> Chain:
        return Chain(
            f"chain {self.seed}",
            self._people,
            self._catalogue,
            self.start,
            self.end,
            with_transfers=self._with_transfers,
            pools=self._amm.lives(),
            fair_until=self._first_now if self._is_fair else None,
        )


def _ts(transaction: Transaction) -> int:
    return transaction.ts
