"""Fills: decoding, match grouping, roles, taker refunds and net amounts of ``OrderFilled`` logs (accounting §§1.3–1.9).

One log is one row and one wallet, the log's ``maker``; the log's ``taker`` never gets a row from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polyhouse.ledger.logs import DecodedLog, FeeRefunded, OrderFilledV1, OrderFilledV2, OrdersMatched
from polyhouse.ledger.registry import Registry
from polyhouse.ledger.rows import ChainRows, Observation

_COLLATERAL = bytes(32)
_NOBODY = bytes(20)


class Fill:
    """One decoded ``OrderFilled`` while its transaction is worked on. ``shares`` and ``usdc`` are gross."""

    __slots__ = (
        "buy", "counterparty", "fee", "flags", "log", "match_pos", "match_type", "refund_shares", "refund_usdc",
        "role", "shares", "token", "usdc", "v1",
    )  # fmt: skip

    def __init__(self, log: OrderFilledV1 | OrderFilledV2, *, v1: bool, buy: bool, token: bytes) -> None:
        self.log = log
        self.v1 = v1
        self.buy = buy
        self.token = token
        if buy:
            self.usdc, self.shares = log.maker_amount, log.taker_amount
        else:
            self.shares, self.usdc = log.maker_amount, log.taker_amount
        self.fee = log.fee
        self.role = "DIRECT"
        self.match_type = ""
        self.match_pos = 0
        self.counterparty = _NOBODY
        self.refund_usdc = 0
        self.refund_shares = 0
        self.flags = ""


def decode(log: OrderFilledV1 | OrderFilledV2) -> Fill | None:
    """The fill of one log (accounting §1.3), None unless exactly one V1 asset is collateral and a V2 side is 0 or 1."""
    if type(log) is OrderFilledV2:
        if log.side not in (0, 1) or log.token == _COLLATERAL:
            return None
        return Fill(log, v1=False, buy=log.side == 0, token=log.token)
    assert isinstance(log, OrderFilledV1)
    buy = log.maker_asset == _COLLATERAL
    if buy == (log.taker_asset == _COLLATERAL):
        return None
    return Fill(log, v1=True, buy=buy, token=log.taker_asset if buy else log.maker_asset)


def fill_rows(logs: Sequence[DecodedLog], registry: Registry, out: ChainRows) -> None:
    """Append the rows of all fills of one transaction to ``out``.

    Args:
        logs: ``OrderFilled``, ``OrdersMatched`` and ``FeeRefunded`` logs of one transaction in log order, each once.
        registry: token → condition, exchange addresses, machinery.
        out: receives rows and flags.
    """
    fills: list[Fill] = []
    refunds: list[FeeRefunded] = []
    open_groups: dict[bytes, list[Fill]] = {}
    for log in logs:
        kind = type(log)
        if kind is OrderFilledV2 or kind is OrderFilledV1:
            assert isinstance(log, OrderFilledV1 | OrderFilledV2)
            fill = decode(log)
            if fill is None or not registry.exchange_symbol(log.exchange):
                out.flag("fill_rejected", log)
                continue
            fills.append(fill)
            open_groups.setdefault(log.exchange, []).append(fill)
        elif isinstance(log, OrdersMatched):
            settle_match(open_groups.pop(log.exchange, []), log, registry, out)
        elif isinstance(log, FeeRefunded):
            refunds.append(log)
    if refunds:
        _apply_fee_refunds(fills, refunds, out)
    for fill in fills:
        if fill.shares == 0 and fill.usdc == 0:
            out.flag("zero_fill", fill.log)
        elif registry.is_infra(fill.log.maker):
            out.flag("infra_wallet", fill.log)
        else:
            out.observations.append(_row(fill, registry))


def settle_match(group: Sequence[Fill], matched: OrdersMatched, registry: Registry, out: ChainRows) -> None:
    """Give roles, match types, counterparties and the taker's refund to the fills of one match (§§1.4, 1.5, 1.9)."""
    taker: Fill | None = None
    for fill in group:
        fill.role = "MAKER"
        fill.match_pos = matched.log_index
        if fill.log.order == matched.order and registry.exchange_symbol(fill.log.taker):
            taker = fill
    if taker is None:
        out.flag("taker_row_missing", matched)
        return
    taker.role = "TAKER"
    wallet = taker.log.maker
    makers = [fill for fill in group if fill is not taker]
    own = 0
    for fill in makers:
        fill.counterparty = wallet
        fill.match_type = "COMPLEMENTARY" if fill.buy != taker.buy else "MINT" if taker.buy else "MERGE"
        if fill.log.maker == wallet:
            own += 1
            fill.flags = "self_trade"
            out.flag("self_trade", fill.log)
    if not makers:
        return
    if own == len(makers):
        taker.flags = "self_trade"
    _refund_taker(taker, makers, out)


def _refund_taker(taker: Fill, makers: Iterable[Fill], out: ChainRows) -> None:
    """What the exchange handed back to the taker, and whether the match adds up (accounting §1.9)."""
    need = got = 0
    for fill in makers:
        gave, took = fill.log.maker_amount, fill.log.taker_amount
        if fill.buy != taker.buy:
            need += took
            got += gave
        elif taker.buy:
            need += took - gave
            got += took
        else:
            need += gave
            got += gave - took
    refund = taker.log.maker_amount - need
    if refund < 0 or got != taker.log.taker_amount:
        taker.flags = f"match_not_balanced {taker.flags}".strip()
        out.flag("match_not_balanced", taker.log)
        refund = max(0, refund)
    if taker.buy:
        taker.refund_usdc = refund
    else:
        taker.refund_shares = refund


def _apply_fee_refunds(fills: Iterable[Fill], refunds: Sequence[FeeRefunded], out: ChainRows) -> None:
    """Subtract refunds from fees, joined on (transaction, order) (accounting §1.8).

    An order that filled twice has several of both: first the pairs whose fee − refund is exactly what was charged,
    the rest in log order.
    """
    waiting: dict[bytes, list[Fill]] = {}
    for fill in fills:
        if fill.fee > 0:
            waiting.setdefault(fill.log.order, []).append(fill)
    later: list[FeeRefunded] = []
    for refund in refunds:
        candidates = waiting.get(refund.order, ())
        exact = next((f for f in candidates if f.fee - refund.refund == refund.charged), None)
        if exact is None:
            later.append(refund)
        else:
            waiting[refund.order].remove(exact)
            exact.fee -= refund.refund
    for refund in later:
        rest = waiting.get(refund.order)
        fill_or_none = next((f for f in rest or () if f.fee >= refund.refund), None)
        if rest is None or fill_or_none is None:
            out.flag("fee_refund_unpaired", refund)
            continue
        rest.remove(fill_or_none)
        fill_or_none.fee -= refund.refund


def _row(fill: Fill, registry: Registry) -> Observation:
    """Net amounts of a fill (tables of accounting §§1.3 and 1.8) as an observation."""
    log, shares, usdc, fee = fill.log, fill.shares, fill.usdc, fill.fee
    net_shares = shares - fill.refund_shares
    net_usdc = usdc - fill.refund_usdc
    fee_asset, fee_usdc = "usdc", fee
    if not fill.buy:
        net_usdc -= fee
    elif fill.v1:
        net_shares -= fee
        fee_asset = "shares"
        fee_usdc = fee * usdc // shares if shares else 0
    else:
        net_usdc += fee
    condition, outcome = registry.place(fill.token)
    return Observation(
        log.maker,
        "BUY" if fill.buy else "SELL",
        log.tx,
        log.block,
        log.tx_index,
        log.log_index,
        log.ts,
        fill.token,
        condition,
        outcome,
        net_shares,
        net_usdc,
        shares,
        usdc,
        fee,
        fee_asset,
        fee_usdc,
        fill.refund_usdc,
        fill.refund_shares,
        fill.role,
        fill.match_type,
        fill.match_pos,
        fill.counterparty,
        log.order,
        registry.exchange_symbol(log.exchange),
        fill.flags,
    )
