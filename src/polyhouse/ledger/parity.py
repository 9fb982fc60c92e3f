"""What Polymarket's own pnl-subgraph holds after the same logs (accounting §2.9). A measurement, never an input.

The subgraph's rules differ from ours on purpose: gross amounts, a truncated average price instead of a basis, nothing
happens at resolution, the collateral of a conversion of all questions is dropped, and the sale of liquidity has the
wrong sign. Its numbers are shown beside ours to explain a difference; no number of the product is made from them.

It has no data sources for the exchanges and adapters of CLOB V2, so parity ends at the cut-over (§2.6).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from polyhouse.domain import contracts
from polyhouse.ledger.amm import lp_token
from polyhouse.ledger.fills import decode
from polyhouse.ledger.logs import (
    ConditionResolution,
    DecodedLog,
    FpmmBuy,
    FpmmFundingAdded,
    FpmmFundingRemoved,
    FpmmSell,
    OrderFilledV1,
    PayoutRedemption,
    PositionChange,
    PositionsConverted,
    PositionSplit,
)
from polyhouse.ledger.registry import Registry

_ONE = 1_000_000
_HALF = 500_000
_EXCHANGES = frozenset({contracts.EX1, contracts.NEX1})
_CTF_SKIPPED = frozenset({contracts.NEG_RISK_ADAPTER, contracts.EX1})
_NRA_SKIPPED = frozenset({contracts.NEX1})


@dataclass(slots=True)
class SubgraphPosition:
    """The subgraph's ``UserPosition``, in its own words and rounding.

    Attributes:
        amount: micro-shares it believes are held, never negative.
        avg_price: 10^-6 USDC per share; may be negative after a conversion, keeps its last value at amount 0.
        realized_pnl: micro-USDC, before fees.
        total_bought: micro-shares.
    """

    amount: int = 0
    avg_price: int = 0
    realized_pnl: int = 0
    total_bought: int = 0

    def buy(self, price: int, amount: int) -> None:
        """Add shares and move the average; nothing for amount 0."""
        if amount <= 0:
            return
        spent = self.avg_price * self.amount + price * amount
        self.avg_price = quotient(spent, self.amount + amount)
        self.amount += amount
        self.total_bought += amount

    def sell(self, price: int, amount: int) -> None:
        """Remove shares, at most those it knows of; the rest vanishes with its cash."""
        known = min(amount, self.amount)
        self.realized_pnl += quotient(known * (price - self.avg_price), _ONE)
        self.amount -= known


def subgraph_positions(logs: Iterable[DecodedLog], registry: Registry) -> dict[tuple[bytes, bytes], SubgraphPosition]:
    """Fold logs as the pnl-subgraph does.

    Args:
        logs: any order, repetitions allowed; they are applied once each in chain order.
        registry: known conditions, neg-risk markets and pools. Events of others are passed over.

    Returns:
        (user, token) → position. A user may be machinery (a pool, an adapter of CLOB V2): the subgraph does not
        tell it from a person, so whoever shows these numbers beside ours must.
    """
    each_once = {(log.block, log.tx_index, log.log_index, log.tx): log for log in logs}
    book = SubgraphBook()
    book.feed((each_once[key] for key in sorted(each_once)), registry)
    return book.positions


class SubgraphBook:
    """The subgraph's positions while logs are fed to it, so that a history need not be in memory at once.

    Args:
        users: keep the positions of these only; None = of everybody.

    Attributes:
        positions: (user, token) → position.
        last_ts: (user, token) → time of the last log that touched it, Unix seconds.
        passed_over: users with events of conditions, markets or pools that the registry did not know.
    """

    def __init__(self, users: Collection[bytes] | None = None) -> None:
        self.positions: dict[tuple[bytes, bytes], SubgraphPosition] = {}
        self.last_ts: dict[tuple[bytes, bytes], int] = {}
        self.passed_over: set[bytes] = set()
        self._users = users
        self._registry = Registry()
        self._payouts: dict[bytes, tuple[int, ...]] = {}
        self._ts = 0

    def feed(self, logs: Iterable[DecodedLog], registry: Registry) -> None:
        """Apply logs in chain order, each once, none older than those before.

        Args:
            logs: the next ones.
            registry: everything that they mention and that is known.
        """
        self._registry = registry
        for log in logs:
            if self._users is None or isinstance(log, ConditionResolution) or _user(log) in self._users:
                self._ts = log.ts
                self._apply(log)

    def _apply(self, log: DecodedLog) -> None:
        if isinstance(log, OrderFilledV1):
            self._fill(log)
        elif isinstance(log, PositionChange):
            self._change(log)
        elif isinstance(log, ConditionResolution):
            if len(log.numerators) == 2 and sum(log.numerators) > 0:
                self._payouts.setdefault(log.condition, log.numerators)
        elif isinstance(log, PayoutRedemption):
            self._redemption(log)
        elif isinstance(log, PositionsConverted):
            self._conversion(log)
        elif isinstance(log, FpmmBuy | FpmmSell):
            self._pool_trade(log)
        elif isinstance(log, FpmmFundingAdded):
            self._funding_added(log)
        elif isinstance(log, FpmmFundingRemoved):
            self._funding_removed(log)

    def _position(self, user: bytes, token: bytes) -> SubgraphPosition:
        self.last_ts[user, token] = self._ts
        return self.positions.setdefault((user, token), SubgraphPosition())

    def _tokens(self, user: bytes, condition: bytes) -> tuple[bytes, ...]:
        """The tokens of a condition; none, and a note on the user, if the registry does not know it."""
        tokens = self._registry.tokens_of.get(condition, ())
        if not tokens:
            self.passed_over.add(user)
        return tokens

    def _fill(self, log: OrderFilledV1) -> None:
        fill = decode(log)
        if fill is None or not fill.shares or log.exchange not in _EXCHANGES:
            return
        position = self._position(log.maker, fill.token)
        trade = position.buy if fill.buy else position.sell
        trade(quotient(fill.usdc * _ONE, fill.shares), fill.shares)

    def _change(self, log: PositionChange) -> None:
        skipped = _CTF_SKIPPED if log.emitter == "CTF" else _NRA_SKIPPED
        if log.stakeholder in skipped:
            return
        for token in self._tokens(log.stakeholder, log.condition):
            position = self._position(log.stakeholder, token)
            trade = position.buy if isinstance(log, PositionSplit) else position.sell
            trade(_HALF, log.amount)

    def _redemption(self, log: PayoutRedemption) -> None:
        numerators = self._payouts.get(log.condition)
        from_ctf = log.emitter == "CTF"
        if numerators is None or (from_ctf and log.redeemer == contracts.NEG_RISK_ADAPTER):
            return
        for outcome, token in enumerate(self._tokens(log.redeemer, log.condition)):
            position = self._position(log.redeemer, token)
            # Whatever the index sets say, a redemption at the CTF sells the tracked amount of both outcomes.
            amount = position.amount if from_ctf else log.amounts[outcome] if outcome < len(log.amounts) else 0
            position.sell(quotient(numerators[outcome] * _ONE, sum(numerators)), amount)

    def _conversion(self, log: PositionsConverted) -> None:
        info = self._registry.neg_risk_markets.get(log.market)
        tokens = self._registry.questions_of.get(log.market, {})
        if info is None or len(tokens) < info.question_count:
            self.passed_over.add(log.stakeholder)
        if info is None:
            return
        burned = [i for i in range(info.question_count) if log.index_set >> i & 1]
        credited = [i for i in range(info.question_count) if not log.index_set >> i & 1]
        if not burned:
            return
        averages = 0
        for index in burned:
            if index in tokens:
                position = self._position(log.stakeholder, tokens[index][1])
                averages += position.avg_price
                position.sell(position.avg_price, log.amount)
        if not credited:
            return
        no_price = quotient(averages, len(burned))
        yes_price = quotient(no_price * len(burned) - _ONE * (len(burned) - 1), len(credited))
        for index in credited:
            if index in tokens:
                self._position(log.stakeholder, tokens[index][0]).buy(yes_price, log.amount)

    def _pool_tokens(self, user: bytes, pool: bytes) -> tuple[bytes, ...]:
        return self._tokens(user, self._registry.pools.get(pool, b""))

    def _pool_trade(self, log: FpmmBuy | FpmmSell) -> None:
        tokens = self._pool_tokens(_user(log), log.pool)
        if not tokens or not log.tokens or log.outcome not in (0, 1):
            return
        if isinstance(log, FpmmBuy):
            price = quotient(log.investment * _ONE, log.tokens)
            self._position(log.buyer, tokens[log.outcome]).buy(price, log.tokens)
        else:
            price = quotient(log.returned * _ONE, log.tokens)
            self._position(log.seller, tokens[log.outcome]).sell(price, log.tokens)

    def _funding_added(self, log: FpmmFundingAdded) -> None:
        tokens = self._pool_tokens(log.funder, log.pool)
        if not tokens or not log.shares:
            return
        first, second = log.amounts
        returned = 0 if first <= second else 1
        back = abs(first - second)
        price = _pool_price(log.amounts, returned)
        if back:
            self._position(log.funder, tokens[returned]).buy(price, back)
        paid = max(first, second) - quotient(back * price, _ONE)
        self._position(log.funder, lp_token(log.pool)).buy(quotient(paid * _ONE, log.shares), log.shares)

    def _funding_removed(self, log: FpmmFundingRemoved) -> None:
        tokens = self._pool_tokens(log.funder, log.pool)
        if not tokens or not log.shares:
            return
        cost = 0
        for outcome, amount in enumerate(log.amounts):
            price = _pool_price(log.amounts, outcome)
            cost += quotient(price * amount, _ONE)
            self._position(log.funder, tokens[outcome]).buy(price, amount)
        # The subgraph's own sign error: what the tokens are worth should be added to the fees.
        proceeds = quotient((log.fees - cost) * _ONE, log.shares)
        self._position(log.funder, lp_token(log.pool)).sell(proceeds, log.shares)


def _user(log: DecodedLog) -> bytes:
    """Whose position a log moves, in the subgraph's eyes; b"" if nobody's."""
    for name in ("maker", "stakeholder", "redeemer", "buyer", "seller", "funder"):
        user = getattr(log, name, None)
        if user is not None:
            return bytes(user)
    return b""


def _pool_price(amounts: tuple[int, int], outcome: int) -> int:
    """Price of an outcome in a pool in 10^-6, from the amounts of both; 0 for an empty one."""
    total = sum(amounts)
    return quotient(amounts[1 - outcome] * _ONE, total) if total else 0


def quotient(numerator: int, denominator: int) -> int:
    """Integer division that truncates toward zero, as the subgraph's BigInt does."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient
