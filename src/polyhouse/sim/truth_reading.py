"""What the logs of one transaction mean for wallets: the first half of the truth (accounting §§1–2).

Written plainly from the accounting rules and from nothing else: it shares no code with the product's ledger, so that
both can be compared. Input are complete transactions in block order; every log of a transaction is there exactly once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polyhouse.domain import contracts, ids
from polyhouse.sim.model import Log, Transaction
from polyhouse.sim.truth_pools import Liquidity, liquidity

EXCHANGES = frozenset({"EX1", "NEX1", "EX2", "NEX2", "EX3"})
RELAYS = frozenset({"ADP", "NADP", "AR"})
MACHINERY = EXCHANGES | RELAYS | {"NRA", "ZERO", "OPR"} | {ids.format_address(address) for address in contracts.INFRA}
"""Contracts by symbol or address: never the owner of anything."""
WHOLE = -1
"""Shares of a redemption that burns whatever the wallet holds."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One ``OrderFilled`` row: net shares and net cash of its owner, fee and volume in micro-USDC.

    ``price_e6`` is None where the fill gives no mark: self trades, and fills without shares. ``pooled``: a trade with
    an AMM pool, which the feeds do not show.
    """

    wallet: str
    token: str
    buy: bool
    shares: int
    cash: int
    fee: int
    volume: int
    price_e6: int | None
    pooled: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    """A split (``sign`` 1) or a merge (-1) of ``amount`` pairs."""

    wallet: str
    condition: str
    sign: int
    amount: int


@dataclass(frozen=True, slots=True)
class Redemption:
    """A redemption: shares burned per outcome (``WHOLE``: all of them), and the payout."""

    wallet: str
    condition: str
    shares: tuple[int, int]
    payout: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """A neg-risk conversion: ``amount`` NO of every question in ``index_set``."""

    wallet: str
    market: str
    index_set: int
    amount: int


@dataclass(frozen=True, slots=True)
class Resolution:
    """A payout vector."""

    condition: str
    numerators: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Moved:
    """Shares that came (positive) or went without any other event."""

    wallet: str
    token: str
    amount: int


@dataclass(frozen=True, slots=True)
class Migration:
    """Shares that changed their token one to one."""

    wallet: str
    source: str
    target: str
    amount: int


@dataclass(frozen=True, slots=True)
class Earned:
    """Income."""

    wallet: str
    kind: str
    amount: int


Event = Fill | Pairs | Redemption | Conversion | Resolution | Moved | Migration | Earned | Liquidity


class Reader:
    """Reads transactions.

    Args:
        tokens: condition → its two tokens.
        questions: neg-risk market → (token pairs by question index, fee in basis points).
        pools: AMM pool → the tokens it trades; pools own nothing.
    """

    def __init__(
        self,
        tokens: Mapping[str, tuple[str, str]],
        questions: Mapping[str, tuple[Sequence[tuple[str, str]], int]],
        pools: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self._tokens = tokens
        self._questions = questions
        self._pools = pools or {}

    def read(self, transaction: Transaction) -> list[Event]:
        """The events of one transaction, in log order; unexplained transfers come last (§2.5)."""
        logs = transaction.logs
        fills = _fills(logs)
        events: list[Event] = []
        for place, log in enumerate(logs):
            if log.t == "OrderFilled":
                if place in fills:
                    events.append(fills[place])
            elif log.t.startswith("FPMM"):
                events.extend(_of_pool(log, self._pools[log.fields["fpmm"]]))
            else:
                events.extend(self._other(logs, place, log))
        if any(log.t == "Transfer" for log in logs):
            events.extend(self._residuals(logs, events))
        return events

    def _other(self, logs: Sequence[Log], place: int, log: Log) -> Iterator[Event]:
        f = log.fields
        if log.t == "Income":
            yield Earned(f["wallet"], f["kind"], f["amount"])
        elif log.t == "ConditionResolution":
            yield Resolution(f["condition"], tuple(f["numerators"]))
        elif log.t == "Migrated":
            yield Migration(f["wallet"], f["from_token"], f["to_token"], f["amount"])
        elif log.t == "PositionSplit" and not self._plumbing(f["stakeholder"]):
            owner = self._receiver(logs, place, f["stakeholder"], self._tokens[f["condition"]][0])
            if owner:
                yield Pairs(owner, f["condition"], 1, f["amount"])
        elif log.t == "PositionsMerge" and not self._plumbing(f["stakeholder"]):
            owner, _ = _sender(logs, place, f["stakeholder"], self._tokens[f["condition"]][0])
            if owner:
                yield Pairs(owner, f["condition"], -1, f["amount"])
        elif log.t == "PositionsConverted" and not self._plumbing(f["stakeholder"]):
            pairs, _ = self._questions[f["market"]]
            lowest = min(i for i in range(len(pairs)) if f["index_set"] >> i & 1)
            owner, _ = _sender(logs, place, f["stakeholder"], pairs[lowest][1])
            if owner:
                yield Conversion(owner, f["market"], f["index_set"], f["amount"])
        elif log.t == "PayoutRedemption" and not self._plumbing(f["redeemer"]):
            yield from self._redemption(logs, place, f)

    def _plumbing(self, address: str) -> bool:
        """Stakeholders whose split, merge or redemption belongs to nobody (§2.1); relays are asked for their wallet."""
        return address in self._pools or (address in MACHINERY and address not in RELAYS)

    def _redemption(self, logs: Sequence[Log], place: int, f: dict[str, Any]) -> Iterator[Event]:
        tokens = self._tokens[f["condition"]]
        owners, burned = [], []
        for outcome, token in enumerate(tokens):
            owner, amount = _sender(logs, place, f["redeemer"], token)
            owners.append(owner)
            if "amounts" in f:
                burned.append(f["amounts"][outcome])
            elif f["redeemer"] in RELAYS:
                burned.append(amount)
            else:
                burned.append(WHOLE if 1 << outcome in f["index_sets"] else 0)
        owner = owners[0] or owners[1]
        if owner:
            yield Redemption(owner, f["condition"], (burned[0], burned[1]), f["payout"])

    def _receiver(self, logs: Sequence[Log], place: int, stakeholder: str, token: str) -> str:
        """The wallet behind a split: where an adapter sends the first outcome next (§2.6)."""
        while stakeholder in RELAYS:
            for later in range(place + 1, len(logs)):
                f = logs[later].fields
                if logs[later].t == "Transfer" and f["from"] == stakeholder and f["token"] == token:
                    place, stakeholder = later, f["to"]
                    break
            else:
                return ""
        return "" if stakeholder in MACHINERY else stakeholder

    def _residuals(self, logs: Sequence[Log], events: Sequence[Event]) -> list[Event]:
        """What the transfers moved beyond what the events explain."""
        moved: defaultdict[tuple[str, str], int] = defaultdict(int)
        for log in logs:
            if log.t == "Transfer":
                token, amount = log.fields["token"], log.fields["amount"]
                moved[log.fields["to"], token] += amount
                moved[log.fields["from"], token] -= amount
        for event in events:
            for token, shares in self._explained(event, logs):
                assert not isinstance(event, Resolution)
                moved[event.wallet, token] -= shares
        return [
            Moved(wallet, token, amount)
            for (wallet, token), amount in moved.items()
            if amount and wallet not in MACHINERY and wallet not in self._pools
        ]

    def _explained(self, event: Event, logs: Sequence[Log]) -> Iterator[tuple[str, int]]:
        """Share changes of an event's wallet, per token."""
        if isinstance(event, Fill):
            yield event.token, event.shares if event.buy else -event.shares
        elif isinstance(event, Liquidity):
            for token, shares, _ in event.returned:
                yield token, shares
        elif isinstance(event, Pairs):
            for token in self._tokens[event.condition]:
                yield token, event.sign * event.amount
        elif isinstance(event, Redemption):
            for token, shares in zip(self._tokens[event.condition], event.shares, strict=True):
                yield token, -_burned(logs, event.wallet, token) if shares == WHOLE else -shares
        elif isinstance(event, Conversion):
            pairs, bips = self._questions[event.market]
            for index, (yes, no) in enumerate(pairs):
                if event.index_set >> index & 1:
                    yield no, -event.amount
                else:
                    yield yes, event.amount - event.amount * bips // 10_000


def _of_pool(log: Log, tokens: tuple[str, str]) -> Iterator[Fill | Liquidity]:
    """What a pool did for a wallet. The fee is inside what was invested, and outside what was returned (§2.7)."""
    f = log.fields
    if log.t in ("FPMMFundingAdded", "FPMMFundingRemoved"):
        yield liquidity(log, tokens)
        return
    buy, shares = log.t == "FPMMBuy", f["tokens"]
    wallet, usdc = (f["buyer"], f["investment"]) if buy else (f["seller"], f["return"])
    if shares:
        price = (2 * usdc * 10**6 + shares) // (2 * shares)
        yield Fill(wallet, tokens[f["outcome_index"]], buy, shares, usdc, f["fee"], usdc, price, pooled=True)


def _sender(logs: Sequence[Log], place: int, holder: str, token: str) -> tuple[str, int]:
    """The wallet behind a merge, redemption or conversion, and the shares it sent: the last transfer of the token to
    the relay before the event, followed back through further relays (§2.6).
    """
    amount = 0
    while holder in RELAYS:
        for earlier in range(place - 1, -1, -1):
            f = logs[earlier].fields
            if logs[earlier].t == "Transfer" and f["to"] == holder and f["token"] == token:
                place, holder, amount = earlier, f["from"], f["amount"]
                break
        else:
            return "", 0
    return ("", 0) if holder in MACHINERY else (holder, amount)


def _burned(logs: Sequence[Log], wallet: str, token: str) -> int:
    return sum(
        log.fields["amount"]
        for log in logs
        if log.t == "Transfer"
        and log.fields["from"] == wallet
        and log.fields["to"] == "ZERO"
        and log.fields["token"] == token
    )


@dataclass(slots=True)
class _Row:
    """One ``OrderFilled`` log, decoded (§1.3)."""

    place: int
    ex: str
    order: str
    wallet: str
    other: str
    token: str
    buy: bool
    gave: int
    got: int
    fee: int
    v1: bool
    self_trade: bool = False
    refund: int = 0  # of what was given: USDC of a BUY, shares of a SELL

    @property
    def shares(self) -> int:
        return self.got if self.buy else self.gave

    @property
    def usdc(self) -> int:
        return self.gave if self.buy else self.got


def _row(place: int, log: Log) -> _Row:
    f = log.fields
    if f["v"] == 1:
        buy = f["maker_asset"] == "0"
        token = f["taker_asset"] if buy else f["maker_asset"]
    else:
        buy, token = f["side"] == "BUY", f["token"]
    return _Row(
        place, f["ex"], f["order"], f["maker"], f["taker"], token, buy, f["maker_amount"], f["taker_amount"], f["fee"],
        f["v"] == 1,
    )  # fmt: skip


def _fills(logs: Sequence[Log]) -> dict[int, Fill]:
    """Place of each ``OrderFilled`` log → the fill of its maker; rows without shares and cash are left out (§1.6)."""
    rows: list[_Row] = []
    open_rows: defaultdict[str, list[_Row]] = defaultdict(list)
    returned: defaultdict[str, list[int]] = defaultdict(list)
    for place, log in enumerate(logs):
        if log.t == "OrderFilled":
            row = _row(place, log)
            rows.append(row)
            open_rows[row.ex].append(row)
        elif log.t == "OrdersMatched":
            _match(open_rows.pop(log.fields["ex"], []), log.fields["order"])
        elif log.t == "FeeRefunded":
            returned[log.fields["order"]].append(log.fields["refund"])
    for row in rows:
        if row.fee and returned[row.order]:
            row.fee -= returned[row.order].pop(0)
    return {row.place: _fill(row) for row in rows if (row.shares or row.usdc) and row.wallet not in MACHINERY}


def _match(rows: list[_Row], order: str) -> None:
    """Note self trades and the taker's refund of one match (§§1.4, 1.9)."""
    takers = [row for row in rows if row.order == order and row.other in EXCHANGES]
    if not takers:
        return
    taker = takers[-1]
    makers = [row for row in rows if row is not taker]
    for row in makers:
        row.self_trade = row.wallet == taker.wallet
    taker.self_trade = bool(makers) and all(row.self_trade for row in makers)
    need = 0
    for row in makers:
        if taker.buy:
            need += row.got - row.gave if row.buy else row.got
        else:
            need += row.got if row.buy else row.gave
    taker.refund = max(0, taker.gave - need)


def _fill(row: _Row) -> Fill:
    """Net amounts of one row (§§1.3, 1.8)."""
    share_fee = row.fee if row.v1 and row.buy else 0
    cash_fee = 0 if row.v1 and row.buy else row.fee
    fee_usdc = share_fee * row.usdc // row.shares if share_fee else cash_fee
    given, traded = row.gave - row.refund, row.got
    shares, usdc = (traded, given) if row.buy else (given, traded)
    price = None if row.self_trade or shares == 0 else (2 * usdc * 10**6 + shares) // (2 * shares)
    return Fill(
        wallet=row.wallet,
        token=row.token,
        buy=row.buy,
        shares=shares - share_fee,
        cash=usdc + cash_fee if row.buy else usdc - cash_fee,
        fee=fee_usdc,
        volume=usdc,
        price_e6=price,
    )
