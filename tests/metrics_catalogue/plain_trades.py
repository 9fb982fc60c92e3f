"""The trades of a universe with the prices around them, worked out the slow way from its logs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

from plain_scores import history_of

from polyhouse.domain.categories import category_of
from polyhouse.sim.model import SimEvent, SimMarket
from polyhouse.sim.truth_reading import EXCHANGES, Fill, Reader
from polyhouse.sim.universe import Universe

USD = 1_000_000
HOUR, DAY = 3_600, 86_400
LAGS = {"30s": 30, "2m": 120, "5m": 300, "1h": HOUR, "6h": 6 * HOUR, "1d": DAY}


@dataclass(frozen=True)
class Trade:
    """What a wallet bought or sold of one token in one transaction. Prices in micro-USDC a share, None = unknown."""

    wallet: str
    token: str
    at: int
    tx: str = ""
    is_sale: bool = False
    role: str = "TAKER"
    category: str = "sports"
    kind: str = "single_long"
    outcome: int = 0
    fills: int = 1
    shares: int = 100 * USD
    cash: int = 50 * USD
    fee: int = 0
    volume: int = 50 * USD
    earliness_e6: int | None = None
    resolved_at: int = 0
    payout_e6: int | None = None
    closes_at: int = 0
    before_e6: int | None = None
    day_before_e6: int | None = None
    day_open_e6: int | None = None
    day_end_e6: int | None = None
    after: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(LAGS))
    close_e6: int | None = None

    @property
    def price(self) -> int:
        """With fees, to the micro-USDC, half up."""
        return floor(Fraction(self.cash * USD, self.shares) + Fraction(1, 2))

    @property
    def side(self) -> int:
        return -1 if self.is_sale else 1

    @property
    def quote(self) -> int:
        """Without fees."""
        return floor(Fraction((self.cash - self.side * self.fee) * USD, self.shares) + Fraction(1, 2))

    @property
    def is_purchase(self) -> bool:
        """Bought before the outcome was known."""
        return not self.is_sale and not 0 < self.resolved_at <= self.at


NAMES = [one.name for one in fields(Trade) if one.name not in {"after", "tx"}]


def plain_trades(universe: Universe) -> list[Trade]:
    """All trades, in no order."""
    place = {
        token: (event, market, outcome)
        for event in universe.events
        for market in event.markets
        for outcome, token in enumerate(market.token_ids)
    }
    history = history_of(universe)
    as_of = max(transaction.ts for transaction in universe.transactions(until=universe.now))
    found = []
    for (wallet, token, tx), (ts, fills, roles) in _traded(universe).items():
        if len({fill.buy for fill in fills}) == 2:
            continue
        shares, cash = sum(fill.shares for fill in fills), sum(fill.cash for fill in fills)
        if shares > 0 and (cash > 0 or not fills[0].buy):
            event, market, outcome = place[token]
            resolved, numerators = history.resolved.get(market.condition_id, (0, None))
            payout = None if numerators is None else numerators[outcome] * USD // sum(numerators)
            series = sorted(history.prices[market.condition_id].items())

            def price_at(
                moment: int, oldest: int = 0, series: list[tuple[int, int]] = series, outcome: int = outcome
            ) -> int | None:
                known = [first for at, first in series if oldest <= at <= moment]
                return None if not known else known[-1] if outcome == 0 else USD - known[-1]

            closes = _closes(market, resolved)

            def later(
                then: int, resolved: int = resolved, payout: int | None = payout, price_at: Any = price_at
            ) -> Any:
                return payout if 0 < resolved <= then else price_at(then) if then <= as_of else None

            midnight = ts - ts % DAY
            found.append(
                Trade(
                    wallet, token, ts, tx, not fills[0].buy, roles.pop() if len(roles) == 1 else "",
                    category_of([t for tag in event.tags for t in tag[1:]]), _kind(event, market, resolved), outcome,
                    len(fills), shares, cash, sum(f.fee for f in fills), sum(f.volume for f in fills),
                    _earliness(market, resolved, ts), resolved, payout, closes, price_at(ts - 1, ts - HOUR),
                    price_at(ts - DAY), price_at(midnight - 1), later(midnight + DAY - 1),
                    {name: later(ts + seconds) for name, seconds in LAGS.items()},
                    price_at(closes) if ts < closes <= as_of else None,
                )
            )  # fmt: skip
    return found


def _traded(universe: Universe) -> dict[tuple[str, str, str], tuple[int, list[Fill], set[str]]]:
    """(wallet, token, transaction) → its time, fills and roles."""
    markets = [market for event in universe.events for market in event.markets]
    questions: dict[str, tuple[list[tuple[str, str]], int]] = {}
    for name, (_, bips) in universe.neg_risk_markets.items():
        members = sorted((m for m in markets if m.neg_risk_market_id == name), key=lambda m: m.question_index)
        questions[name] = ([m.token_ids for m in members], bips)
    pools = {m.pool.address: m.token_ids for m in markets if m.pool}
    reader = Reader({m.condition_id: m.token_ids for m in markets}, questions, pools)
    found: dict[tuple[str, str, str], tuple[int, list[Fill], set[str]]] = {}
    for transaction in universe.transactions(until=universe.now):
        roles: defaultdict[str, set[str]] = defaultdict(set)
        filled = [log.fields for log in transaction.logs if log.t == "OrderFilled"]
        resting = "MAKER" if any(one["taker"] in EXCHANGES for one in filled) else "DIRECT"
        for one in filled:
            roles[one["maker"]].add("TAKER" if one["taker"] in EXCHANGES else resting)
        for event in reader.read(transaction):
            if isinstance(event, Fill):
                key = event.wallet, event.token, transaction.tx
                _, fills, seen = found.setdefault(key, (transaction.ts, [], set()))
                fills.append(event)
                seen |= {"DIRECT"} if event.pooled else roles[event.wallet]
    return found


def _life(market: SimMarket, resolved: int) -> tuple[int, int]:
    return market.start_ts, min(market.end_ts, resolved or market.end_ts)


def _closes(market: SimMarket, resolved: int) -> int:
    return resolved - HOUR if 0 < resolved <= market.end_ts else market.end_ts


def _earliness(market: SimMarket, resolved: int, ts: int) -> int | None:
    start, end = _life(market, resolved)
    return floor(Fraction(min(max(end - ts, 0), end - start) * USD, end - start)) if start < end else None


def _kind(event: SimEvent, market: SimMarket, resolved: int) -> str:
    start, end = _life(market, resolved)
    kind = "recurring" if event.series else "one_of_many" if market.neg_risk_market_id else "single"
    return kind + ("" if end <= start else "_short" if end - start <= 7 * DAY else "_long")


@dataclass(frozen=True)
class Timed(Trade):
    """A trade with the seconds since its wallet last traded in an earlier second; None = never."""

    gap: int | None = None


def with_gaps(trades: Iterable[Trade]) -> list[Timed]:
    times: defaultdict[str, set[int]] = defaultdict(set)
    for one in trades:
        times[one.wallet].add(one.at)
    gaps = {(wallet, at): at - before for wallet, moments in times.items() for before, at in pairwise(sorted(moments))}
    found = []
    for one in trades:
        values = {name.name: getattr(one, name.name) for name in fields(one)}
        found.append(Timed(**values, gap=gaps.get((one.wallet, one.at))))
    return found
