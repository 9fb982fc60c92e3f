"""What is true in a simulated universe: PnL per position, unit, category, wallet and window (accounting §§1–3).

An independent, sequential, integer implementation that favours being obviously right over being fast. Comparing the
product with it is the demonstration that the product is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from polyhouse.domain.categories import OTHER, category_of
from polyhouse.errors import BadInputError
from polyhouse.sim.model import SimEvent, SimMarket, Transaction
from polyhouse.sim.truth_pools import Liquidity, lp_market
from polyhouse.sim.truth_reading import (
    WHOLE,
    Conversion,
    Earned,
    Event,
    Fill,
    Migration,
    Moved,
    Pairs,
    Reader,
    Redemption,
    Resolution,
)
from polyhouse.sim.truth_state import Holding, convert, share_out
from polyhouse.sim.truth_totals import PositionTruth, Snapshot, Totals, UnitTruth, results, totals_of

DAY = 86_400
WINDOWS: dict[str, int] = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY, "180d": 180 * DAY}
OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class WalletTruth:
    """One wallet.

    Attributes:
        totals: over its whole life.
        rest_exact: REST rows can express its history (accounting §1.10).
        rest_reasons: why not: ``transfer``, ``conversion``, ``migration``, ``amm``.
    """

    totals: Totals
    rest_exact: bool
    rest_reasons: tuple[str, ...]


@dataclass(slots=True)
class Truth:
    """Everything the product's numbers are compared with. Money in micro-USDC, shares in micro-shares.

    Attributes:
        as_of: time of the newest event of any wallet; windows begin their length before it.
        positions: (wallet, token).
        units: (wallet, condition, or neg-risk market if the wallet converted there).
        categories: (wallet, category).
        windows: (wallet, category or ``overall``, window) → the change over the window: realised bookings after its
            start, unrealised now less unrealised then, fills and payments after it, results of the units that closed
            after it. ``open_units`` and ``untracked_cash`` are those of now. Empty if windows were not asked for.
        marks: token → price_e6 of now (accounting §3.4).
        resolutions: condition → payout vector.
    """

    as_of: int = 0
    positions: dict[tuple[str, str], PositionTruth] = field(default_factory=dict)
    units: dict[tuple[str, str], UnitTruth] = field(default_factory=dict)
    categories: dict[tuple[str, str], Totals] = field(default_factory=dict)
    wallets: dict[str, WalletTruth] = field(default_factory=dict)
    windows: dict[tuple[str, str, str], Totals] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    resolutions: dict[str, tuple[int, int]] = field(default_factory=dict)


def compute_truth(
    transactions: Iterable[Transaction],
    events: Iterable[SimEvent],
    neg_risk_markets: Mapping[str, tuple[int, int]],
    *,
    windows: bool = True,
    marks: Mapping[str, int] | None = None,
) -> Truth:
    """Work out the truth of ``transactions``, which must be complete and in block order.

    Args:
        events: where the tokens, categories and neg-risk questions are taken from.
        neg_risk_markets: market → (number of questions, conversion fee in basis points).
        windows: also the totals of 1, 7, 30, 90 and 180 days; needs all transactions in memory.
        marks: token → price_e6 that replaces the price of the last fill.

    Raises:
        BadInputError: a log names a token or condition that no event has.
    """
    folding = _Folding(list(events), neg_risk_markets, dict(marks or {}))
    if windows:
        transactions = list(transactions)
        as_of = folding.newest(transactions)
        folding.snapshot_at = {name: as_of - length for name, length in WINDOWS.items()}
    for transaction in transactions:
        folding.take(transaction)
    folding.snapshot_before(None)
    return folding.truth()


class _Folding:
    def __init__(
        self, events: list[SimEvent], neg_risk_markets: Mapping[str, tuple[int, int]], given: dict[str, int]
    ) -> None:
        self.markets: dict[str, SimMarket] = {m.condition_id: m for event in events for m in event.markets}
        self.category = {
            market.condition_id: category_of([text for _, label, slug in event.tags for text in (label, slug)])
            for event in events
            for market in event.markets
        }
        self.market_of = {token: m for m in self.markets.values() for token in m.token_ids}
        pooled = [(market, market.pool) for market in self.markets.values() if market.pool]
        for market, pool in pooled:
            self.market_of[pool.lp_token] = lp_market(market, pool)
            self.category[pool.lp_condition] = OTHER
        self.questions: dict[str, tuple[list[tuple[str, str]], int]] = {}
        for name, (count, bips) in neg_risk_markets.items():
            members = [m for m in self.markets.values() if m.neg_risk_market_id == name]
            members.sort(key=lambda m: m.question_index)
            if len(members) != count:
                raise BadInputError(f"neg-risk market {name} has {len(members)} known questions instead of {count}")
            self.questions[name] = ([m.token_ids for m in members], bips)
        self.reader = Reader(
            {c: m.token_ids for c, m in self.markets.items()},
            self.questions,
            {pool.address: market.token_ids for market, pool in pooled},
        )
        self.given = given
        self.holdings: dict[tuple[str, str], Holding] = {}
        self.by_token: defaultdict[str, list[Holding]] = defaultdict(list)
        self.resolutions: dict[str, tuple[int, int]] = {}
        self.last_price: dict[str, tuple[int, int]] = {}
        self.fill_number = 0
        self.income: defaultdict[str, int] = defaultdict(int)
        self.converted: set[tuple[str, str]] = set()
        self.reasons: defaultdict[str, set[str]] = defaultdict(set)
        self.as_of = 0
        self.snapshot_at: dict[str, int] = {}
        self.snapshots: dict[str, Snapshot] = {}

    def newest(self, transactions: list[Transaction]) -> int:
        """Time of the newest event that belongs to a wallet."""
        for transaction in reversed(transactions):
            if any(not isinstance(event, Resolution) for event in self.read(transaction)):
                return transaction.ts
        return 0

    def read(self, transaction: Transaction) -> list[Event]:
        try:
            return self.reader.read(transaction)
        except KeyError as error:
            raise BadInputError(f"transaction {transaction.tx} names {error}, which no event has") from error

    def take(self, transaction: Transaction) -> None:
        self.snapshot_before(transaction.ts)
        for event in self.read(transaction):
            if not isinstance(event, Resolution):
                self.as_of = max(self.as_of, transaction.ts)
            self.apply(event, transaction.ts)

    def snapshot_before(self, ts: int | None) -> None:
        """Take the snapshots of all windows that begin before ``ts`` (all of them if None)."""
        for name, boundary in self.snapshot_at.items():
            if name not in self.snapshots and (ts is None or boundary < ts):
                self.snapshots[name] = Snapshot(
                    boundary,
                    {
                        key: (holding.counters(), holding.unrealized(self.mark(key[1])))
                        for key, holding in self.holdings.items()
                    },
                    dict(self.income),
                )

    def holding(self, wallet: str, token: str) -> Holding:
        found = self.holdings.get((wallet, token))
        if found is None:
            market = self.market_of.get(token)
            if market is None:
                raise BadInputError(f"token {token} belongs to no event")
            found = self.holdings[wallet, token] = Holding()
            self.by_token[token].append(found)
            numerators = self.resolutions.get(market.condition_id)
            if numerators:
                found.payout = (numerators[market.token_ids.index(token)], sum(numerators))
        return found

    def mark(self, token: str) -> int | None:
        """Price of the token's last fill, or 1 less the complement's if that one is later (§3.4)."""
        if token in self.given:
            return self.given[token]
        tokens = self.market_of[token].token_ids
        other = tokens[1 - tokens.index(token)]
        own_fill, other_fill = self.last_price.get(token), self.last_price.get(other)
        if own_fill is None and other_fill is None:
            return None
        if other_fill is None or (own_fill is not None and own_fill[0] >= other_fill[0]):
            assert own_fill is not None
            return own_fill[1]
        return 10**6 - other_fill[1]

    def apply(self, event: Event, ts: int) -> None:
        if isinstance(event, Fill):
            self.fill(event, ts)
        elif isinstance(event, Pairs):
            for token, part in zip(self.markets[event.condition].token_ids, share_out(event.amount, 2), strict=True):
                holding = self.holding(event.wallet, token)
                if event.sign > 0:
                    holding.acquire(event.amount, part, ts)
                else:
                    holding.dispose(event.amount, part, ts)
        elif isinstance(event, Redemption):
            self.redemption(event)
        elif isinstance(event, Conversion):
            self.conversion(event, ts)
        elif isinstance(event, Resolution):
            self.resolution(event, ts)
        elif isinstance(event, Earned):
            self.income[event.wallet] += event.amount
        elif isinstance(event, Liquidity):
            self.liquidity(event, ts)
        elif isinstance(event, Moved):
            self.moved(event)
        else:
            self.migration(event, ts)

    def fill(self, event: Fill, ts: int) -> None:
        holding = self.holding(event.wallet, event.token)
        if event.buy:
            holding.acquire(event.shares, event.cash, ts)
        else:
            holding.dispose(event.shares, event.cash, ts)
        holding.fees += event.fee
        holding.volume += event.volume
        holding.trades += 1
        holding.first_fill_ts = holding.first_fill_ts or ts
        holding.last_fill_ts = ts
        self.fill_number += 1
        if event.pooled:
            self.reasons[event.wallet].add("amm")
        if event.price_e6 is not None:
            self.last_price[event.token] = (self.fill_number, event.price_e6)

    def liquidity(self, event: Liquidity, ts: int) -> None:
        """Neither fills nor volume: LP shares and outcome shares change hands at the cost of §2.7."""
        for token, shares, cost in event.returned:
            self.holding(event.wallet, token).acquire(shares, cost, ts)
        provided = self.holding(event.wallet, event.lp_token)
        if event.shares > 0:
            provided.acquire(event.shares, -event.cash, ts)
        else:
            provided.dispose(-event.shares, event.cash, ts)
        self.reasons[event.wallet].add("amm")

    def redemption(self, event: Redemption) -> None:
        tokens = self.markets[event.condition].token_ids
        touched = [
            (self.holding(event.wallet, token), shares)
            for token, shares in zip(tokens, event.shares, strict=True)
            if (event.wallet, token) in self.holdings or shares > 0
        ]
        rest = event.payout
        for holding, shares in touched:
            burned = holding.shares + holding.external if shares == WHOLE else shares
            part = min(rest, holding.worth(burned))
            holding.redeemed_cash += part
            rest -= part
            holding.redeem(None if shares == WHOLE else shares)
        if rest:
            # Paid for shares that we never saw arrive.
            paying = tokens[0] if self.resolutions[event.condition][0] else tokens[1]
            self.holding(event.wallet, paying).redeemed_cash += rest

    def conversion(self, event: Conversion, ts: int) -> None:
        pairs, bips = self.questions[event.market]
        chosen = [bool(event.index_set >> i & 1) for i in range(len(pairs))]
        no_legs = [self.holding(event.wallet, no) for (_, no), burned in zip(pairs, chosen, strict=True) if burned]
        yes_legs = [
            self.holding(event.wallet, yes) for (yes, _), burned in zip(pairs, chosen, strict=True) if not burned
        ]
        convert(no_legs, yes_legs, event.amount, bips, ts)
        self.converted.add((event.wallet, event.market))
        self.reasons[event.wallet].add("conversion")

    def resolution(self, event: Resolution, ts: int) -> None:
        if event.condition in self.resolutions:
            return
        self.resolutions[event.condition] = event.numerators
        for outcome, token in enumerate(self.markets[event.condition].token_ids):
            for holding in self.by_token[token]:
                holding.resolve(event.numerators[outcome], sum(event.numerators), ts)

    def moved(self, event: Moved) -> None:
        holding = self.holding(event.wallet, event.token)
        if event.amount > 0:
            holding.external += event.amount
        else:
            holding.send(-event.amount)
        self.reasons[event.wallet].add("transfer")

    def migration(self, event: Migration, ts: int) -> None:
        source, target = self.holding(event.wallet, event.source), self.holding(event.wallet, event.target)
        tracked, basis = source.remove(event.amount)
        if tracked:
            target.acquire(tracked, basis, ts)
        target.external += event.amount - tracked
        self.reasons[event.wallet].add("migration")

    def truth(self) -> Truth:
        truth = Truth(as_of=self.as_of, resolutions=dict(self.resolutions))
        for market in self.markets.values():
            for token in market.token_ids:
                price = self.mark(token)
                if price is not None:
                    truth.marks[token] = price
        for (wallet, token), holding in self.holdings.items():
            market = self.market_of[token]
            joined = (wallet, market.neg_risk_market_id) in self.converted
            unit = market.neg_risk_market_id if joined else market.condition_id
            truth.positions[wallet, token] = PositionTruth.of(
                holding,
                self.mark(token),
                market,
                unit,
                self.category[market.condition_id],
                market.token_ids.index(token),
            )
        truth.units = results(truth.positions)
        self._totals(truth)
        return truth

    def _totals(self, truth: Truth) -> None:
        wallets = dict.fromkeys([wallet for wallet, _ in truth.positions] + list(self.income))
        snapshots = {"lifetime": Snapshot(-1, {}, {}), **self.snapshots}
        for window, snapshot in snapshots.items():
            for (wallet, category), totals in totals_of(truth.positions, truth.units, snapshot).items():
                if category == OVERALL:
                    totals.income = self.income.get(wallet, 0) - snapshot.income.get(wallet, 0)
                if window != "lifetime":
                    truth.windows[wallet, category, window] = totals
                elif category == OVERALL:
                    truth.wallets[wallet] = self._wallet(wallet, totals)
                else:
                    truth.categories[wallet, category] = totals
        for wallet in wallets:
            if wallet not in truth.wallets:
                truth.wallets[wallet] = self._wallet(wallet, Totals(income=self.income[wallet]))
                for window, snapshot in self.snapshots.items():
                    income = self.income[wallet] - snapshot.income.get(wallet, 0)
                    truth.windows[wallet, OVERALL, window] = Totals(income=income)

    def _wallet(self, wallet: str, totals: Totals) -> WalletTruth:
        reasons = tuple(sorted(self.reasons.get(wallet, ())))
        return WalletTruth(totals, rest_exact=not reasons, rest_reasons=reasons)
