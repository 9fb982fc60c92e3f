"""Fills and liquidity of the AMM era (FPMM pools, accounting §2.7).

An LP position is a token of its own: its id is the pool's address read as an integer.
"""

from __future__ import annotations

from polyhouse.ledger.logs import DecodedLog, FpmmBuy, FpmmFundingAdded, FpmmFundingRemoved, FpmmSell
from polyhouse.ledger.registry import Registry
from polyhouse.ledger.rows import ChainRows, Observation

LP_LABEL = "LP"
"""Label of rows that liquidity caused: they are neither trades nor volume."""


def lp_token(pool: bytes) -> bytes:
    """Token id of a pool's LP shares: the pool address as a 32-byte big-endian integer."""
    return bytes(12) + pool


def pool_rows(log: DecodedLog, registry: Registry, out: ChainRows) -> bool:
    """Append the rows of one pool log to ``out``; False if ``log`` is no pool log."""
    if isinstance(log, FpmmBuy | FpmmSell):
        _trade(log, registry, out)
    elif isinstance(log, FpmmFundingAdded):
        _added(log, registry, out)
    elif isinstance(log, FpmmFundingRemoved):
        _removed(log, registry, out)
    else:
        return False
    return True


def _tokens(
    log: FpmmBuy | FpmmSell | FpmmFundingAdded | FpmmFundingRemoved, wallet: bytes, registry: Registry, out: ChainRows
) -> tuple[bytes, bytes] | None:
    """The pool's outcome tokens; None, flagged, for foreign pools and for machinery as the wallet."""
    tokens = registry.tokens_of.get(registry.pools.get(log.pool, b""))
    if tokens is None:
        out.flag("foreign_condition", log)
        return None
    if registry.is_infra(wallet):
        out.flag("infra_wallet", log)
        return None
    return tokens


def _trade(log: FpmmBuy | FpmmSell, registry: Registry, out: ChainRows) -> None:
    buys = isinstance(log, FpmmBuy)
    wallet, cash = (log.buyer, log.investment) if isinstance(log, FpmmBuy) else (log.seller, log.returned)
    tokens = _tokens(log, wallet, registry, out)
    if tokens is None:
        return
    if log.outcome not in (0, 1):
        out.flag("fill_rejected", log)
    elif log.tokens == 0 and (cash == 0 or not buys):
        out.flag("zero_fill", log)
    else:
        row = _row(log, wallet, "BUY" if buys else "SELL", tokens[log.outcome], registry)
        # The log's own figure is the gross one: the fee is inside an investment and outside a return, and price and
        # volume are quoted on what the trader paid or got.
        out.observations.append(
            row._replace(
                shares=log.tokens,
                cash=cash,
                shares_gross=log.tokens,
                usdc_gross=cash,
                fee_net=log.fee,
                fee_asset="usdc",
                fee_usdc=log.fee,
                role="DIRECT",
            )
        )


def _added(log: FpmmFundingAdded, registry: Registry, out: ChainRows) -> None:
    """Cash in is the larger amount; the surplus shares of the smaller side go back at their cost, LP gets the rest."""
    tokens = _tokens(log, log.funder, registry, out)
    if tokens is None:
        return
    first, second = log.amounts
    returned = 0 if first <= second else 1
    back = abs(first - second)
    cost = back * log.amounts[1 - returned] // (first + second) if back else 0
    if back:
        row = _row(log, log.funder, "BUY", tokens[returned], registry)
        out.observations.append(row._replace(shares=back, cash=cost, label=LP_LABEL, sub=returned))
    _lp_row(log, "BUY", max(first, second) - cost, registry, out)


def _removed(log: FpmmFundingRemoved, registry: Registry, out: ChainRows) -> None:
    """Both outcomes come back at their share of the pool's value; LP proceeds are the fees and those costs."""
    tokens = _tokens(log, log.funder, registry, out)
    if tokens is None:
        return
    total = sum(log.amounts)
    proceeds = log.fees
    for outcome, amount in enumerate(log.amounts):
        if amount == 0:
            continue
        cost = amount * log.amounts[1 - outcome] // total
        proceeds += cost
        row = _row(log, log.funder, "BUY", tokens[outcome], registry)
        out.observations.append(row._replace(shares=amount, cash=cost, label=LP_LABEL, sub=outcome))
    _lp_row(log, "SELL", proceeds, registry, out)


def _lp_row(
    log: FpmmFundingAdded | FpmmFundingRemoved, kind: str, cash: int, registry: Registry, out: ChainRows
) -> None:
    row = _row(log, log.funder, kind, lp_token(log.pool), registry)
    out.observations.append(row._replace(shares=log.shares, cash=cash, label=LP_LABEL, sub=2))


def _row(log: DecodedLog, wallet: bytes, kind: str, token: bytes, registry: Registry) -> Observation:
    condition, outcome = registry.place(token)
    return Observation(
        wallet,
        kind,
        log.tx,
        log.block,
        log.tx_index,
        log.log_index,
        log.ts,
        token=token,
        condition=condition,
        outcome=outcome,
        exchange="FPMM",
    )
