"""From the logs of one transaction to the rows Polymarket's indexer shows (accounting §§1.3–1.10, 2.1–2.6).

This is the upstream's reading of the chain, written independently of ``polyhouse.ledger``.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from polyhouse.errors import BadInputError
from polyhouse.sim.attribution import handed_over, is_wallet, owner
from polyhouse.sim.markets import PRICE_ONE, Catalog, MarketState, Resolution
from polyhouse.sim.model import Log, Transaction

TYPES = (
    "TRADE", "SPLIT", "MERGE", "REDEEM", "CONVERSION", "REWARD", "YIELD", "MAKER_REBATE", "TAKER_REBATE",
    "REFERRAL_REWARD", "DEPOSIT", "WITHDRAWAL", "TIP", "MIGRATION",
)  # fmt: skip
"""Activity types; the stored kind is the place in this tuple."""
KIND = {name: place for place, name in enumerate(TYPES)}
TRADE, SPLIT, MERGE, REDEEM, CONVERSION = range(5)
HIDDEN = 50
REDEEM_LEG, CONVERT_IN, TRANSFER = 50, 51, 52
"""Share movements that the upstream does not show as rows but that its balances know."""
NO_MARKET = -1
NO_OUTCOME = 999
BUY, SELL, NO_SIDE = 0, 1, 2

REDEEM_PER_OUTCOME_FROM = 1_786_320_000
"""2026-08-10 00:00 UTC: from here one REDEEM row per outcome (accounting §1.10)."""


Row = tuple[int, int, int, int, int, int, int, int, int, int, int, int, bytes]
"""seq, ts, wallet, market, outcome, kind, side, size, usdc, price (10^-10), taker, share change, tx."""


@dataclass(slots=True)
class _Fill:
    """One OrderFilled, decoded (accounting §1.3). ``give``/``get`` are the raw maker and taker amounts."""

    log_index: int
    order: str
    maker: str
    taker: str
    exchange: str
    version: int
    token: str
    side: int
    give: int
    get: int
    fee: int
    taker_row: bool = False
    direct: bool = False
    refund_usdc: int = 0
    refund_shares: int = 0

    @property
    def usdc(self) -> int:
        return self.give if self.side == BUY else self.get

    @property
    def shares(self) -> int:
        return self.get if self.side == BUY else self.give


def _decode(log: Log) -> _Fill:
    f = log.fields
    version, give, get = int(f["v"]), int(f["maker_amount"]), int(f["taker_amount"])
    if version == 1:
        side = BUY if str(f["maker_asset"]) == "0" else SELL
        token = str(f["taker_asset"] if side == BUY else f["maker_asset"])
    else:
        side = BUY if f["side"] in (0, "0", "BUY") else SELL
        token = str(f["token"])
    return _Fill(
        log.li, f["order"], f["maker"], f["taker"], f["ex"], version, token, side, give, get, int(f.get("fee", 0))
    )


def _refund(taker: _Fill, makers: list[_Fill]) -> None:
    """Set the taker's refund (accounting §1.9): what the makers did not need of what the taker gave."""
    need = 0
    for maker in makers:
        if maker.side != taker.side:
            need += maker.get
        elif taker.side == BUY:
            need += maker.get - maker.give
        else:
            need += maker.give
    back = max(0, taker.give - need) if makers else 0
    if taker.side == BUY:
        taker.refund_usdc = back
    else:
        taker.refund_shares = back


def price_of(usdc: int, shares: int) -> int:
    """USDC per share, rounded half up to 10 decimals, in units of 10^-10; 0 when there are no shares."""
    return (2 * usdc * PRICE_ONE + shares) // (2 * shares) if shares > 0 else 0


class _Rows:
    """Rows of one transaction, in the making."""

    def __init__(self, tx: Transaction, wallet_id: Callable[[str], int]) -> None:
        self.base = tx.block * 10**10
        self.ts = tx.ts
        self.hash = bytes.fromhex(tx.tx.removeprefix("0x"))
        self.wallet_id = wallet_id
        self.out: list[Row] = []
        self.moved: dict[tuple[str, int, int], int] = defaultdict(int)

    def add(
        self, log_index: int, sub: int, wallet: str, market: int, outcome: int, kind: int,
        *, size: int = 0, usdc: int = 0, delta: int = 0, side: int = NO_SIDE, price: int = 0, taker: bool = False,
    ) -> None:  # fmt: skip
        """Append one row; ``delta`` is the signed share change of its outcome (of both for 999)."""
        seq = self.base + log_index * 10_000 + sub
        who = self.wallet_id(wallet)
        row = (seq, self.ts, who, market, outcome, kind, side, size, usdc, price, int(taker), delta, self.hash)
        self.out.append(row)
        if delta:
            for leg in (0, 1) if outcome == NO_OUTCOME else (outcome,):
                self.moved[wallet, market, leg] += delta


class Indexer:
    """Turns transactions into rows, and keeps the catalog's prices, volumes and resolutions up to date.

    Args:
        catalog: metadata; updated as logs arrive.
        wallet_id: address → small integer.
        balance: (wallet id, market, outcome) → micro-shares held before this transaction, transfers included.
    """

    def __init__(
        self, catalog: Catalog, wallet_id: Callable[[str], int], balance: Callable[[int, int, int], int]
    ) -> None:
        self._catalog = catalog
        self._wallet_id = wallet_id
        self._balance = balance

    def rows(self, tx: Transaction) -> list[Row]:
        """Every row of one transaction, hidden movements included."""
        rows = _Rows(tx, self._wallet_id)
        refunds = self._fee_refunds(tx)
        open_matches: dict[str, list[_Fill]] = {}
        for log in tx.logs:
            if log.t == "OrderFilled":
                fill = _decode(log)
                open_matches.setdefault(fill.exchange, []).append(fill)
            elif log.t == "OrdersMatched":
                self._match(log, open_matches.pop(log.fields["ex"], []), refunds, rows)
            elif log.t == "ConditionResolution":
                self._resolve(tx, log)
            else:
                self._position_change(tx, log, rows)
        for leftover in open_matches.values():
            for fill in leftover:
                fill.direct = True
                self._trade(fill, refunds, rows)
        self._residuals(tx, rows)
        return rows.out

    @staticmethod
    def _fee_refunds(tx: Transaction) -> dict[str, deque[int]]:
        refunds: dict[str, deque[int]] = defaultdict(deque)
        for log in tx.logs:
            if log.t == "FeeRefunded":
                refunds[log.fields["order"]].append(int(log.fields["refund"]))
        return refunds

    def _match(self, log: Log, fills: list[_Fill], refunds: dict[str, deque[int]], rows: _Rows) -> None:
        for place in range(len(fills) - 1, -1, -1):
            taker = fills[place]
            if taker.order == log.fields["order"] and taker.taker == taker.exchange:
                taker.taker_row = True
                _refund(taker, fills[:place] + fills[place + 1 :])
                break
        for fill in fills:
            self._trade(fill, refunds, rows)

    def _trade(self, fill: _Fill, refunds: dict[str, deque[int]], rows: _Rows) -> None:
        if fill.token not in self._catalog.by_token:
            raise BadInputError(f"the log {fill.order} trades the token {fill.token}, which no market has")
        index, outcome = self._catalog.by_token[fill.token]
        fee = fill.fee
        if fee and refunds.get(fill.order):
            fee -= refunds[fill.order].popleft()
        usdc, shares = fill.usdc - fill.refund_usdc, fill.shares - fill.refund_shares
        if usdc == 0 and shares == 0:
            return
        price = price_of(usdc, shares)
        if fill.taker_row or fill.direct:
            self._catalog.markets[index].traded(rows.ts, outcome, price, usdc, shares)
        if fill.side == BUY:
            size = shares - fee if fill.version == 1 else shares
            paid = usdc if fill.version == 1 else usdc + fee
        else:
            size, paid = shares, usdc - fee
        rows.add(
            fill.log_index, 0, fill.maker, index, outcome, TRADE, size=size, usdc=paid, side=fill.side, price=price,
            delta=size if fill.side == BUY else -size, taker=fill.taker_row or fill.direct,
        )  # fmt: skip

    def _resolve(self, tx: Transaction, log: Log) -> None:
        index = self._catalog.by_condition.get(log.fields["condition"])
        if index is not None and self._catalog.markets[index].resolution is None:
            numerators = tuple(int(value) for value in log.fields["numerators"])
            self._catalog.markets[index].resolution = Resolution(numerators, tx.ts, tx.block, log.li, tx.tx)

    def _position_change(self, tx: Transaction, log: Log, rows: _Rows) -> None:
        if log.t in ("PositionSplit", "PositionsMerge"):
            self._split_or_merge(tx, log, rows)
        elif log.t == "PayoutRedemption":
            self._redeem(tx, log, rows)
        elif log.t == "PositionsConverted":
            self._convert(tx, log, rows)
        elif log.t == "Income" and is_wallet(log.fields["wallet"]):
            amount = int(log.fields["amount"])
            rows.add(
                log.li, 0, log.fields["wallet"], NO_MARKET, NO_OUTCOME, KIND[log.fields["kind"]],
                size=amount, usdc=amount,
            )  # fmt: skip

    def _split_or_merge(self, tx: Transaction, log: Log, rows: _Rows) -> None:
        index = self._catalog.by_condition.get(log.fields["condition"])
        if index is None:
            return
        market, amount = self._catalog.markets[index], int(log.fields["amount"])
        is_split = log.t == "PositionSplit"
        wallet = owner(tx, log.fields["stakeholder"], market.meta.token_ids[0], log.li, outgoing=is_split)
        if wallet is not None and amount:
            rows.add(
                log.li, 0, wallet, index, NO_OUTCOME, SPLIT if is_split else MERGE, size=amount, usdc=amount,
                delta=amount if is_split else -amount,
            )  # fmt: skip

    def _redeem(self, tx: Transaction, log: Log, rows: _Rows) -> None:
        index = self._catalog.by_condition.get(log.fields["condition"])
        if index is None:
            return
        market, payout = self._catalog.markets[index], int(log.fields["payout"])
        wallet = None
        for token in market.meta.token_ids:
            wallet = wallet or owner(tx, log.fields["redeemer"], token, log.li, outgoing=False)
        if wallet is None or market.resolution is None:
            return
        burned = self._burned(tx, log, market, wallet, rows)
        parts = {outcome: market.resolution.payout(shares, outcome) for outcome, shares in burned.items()}
        if parts and sum(parts.values()) != payout:
            best = max(parts, key=lambda outcome: (parts[outcome], -outcome))
            parts[best] += payout - sum(parts.values())
        per_outcome = tx.ts >= REDEEM_PER_OUTCOME_FROM and bool(parts)
        if not per_outcome:
            rows.add(log.li, 0, wallet, index, NO_OUTCOME, REDEEM, size=payout, usdc=payout)
        for outcome, shares in burned.items():
            kind = REDEEM if per_outcome else REDEEM_LEG
            rows.add(log.li, 1 + outcome, wallet, index, outcome, kind, size=shares, usdc=parts[outcome], delta=-shares)

    def _burned(self, tx: Transaction, log: Log, market: MarketState, wallet: str, rows: _Rows) -> dict[int, int]:
        """Outcome → shares this redemption burned: as the log says, as transfers say, or the whole balance."""
        amounts = log.fields.get("amounts")
        if amounts is not None:
            return {outcome: int(shares) for outcome, shares in enumerate(amounts) if int(shares)}
        burned = {}
        for index_set in log.fields["index_sets"]:
            outcome = int(index_set).bit_length() - 1
            shares = handed_over(tx, log.fields["redeemer"], market.meta.token_ids[outcome], log.li)
            if shares is None and is_wallet(log.fields["redeemer"]):
                held = self._balance(self._wallet_id(wallet), market.number, outcome)
                shares = held + rows.moved.get((wallet, market.number, outcome), 0)
            if shares:
                burned[outcome] = shares
        return burned

    def _convert(self, tx: Transaction, log: Log, rows: _Rows) -> None:
        questions = {
            place: index
            for place, index in self._catalog.neg_risk.get(log.fields["market"], {}).items()
            if self._catalog.markets[index].meta.created_ts <= tx.ts
        }
        index_set, amount = int(str(log.fields["index_set"]), 0), int(log.fields["amount"])
        burned = [place for place in sorted(questions) if index_set >> place & 1]
        if not burned or amount == 0:
            return
        lowest = self._catalog.markets[questions[burned[0]]]
        wallet = owner(tx, log.fields["stakeholder"], lowest.meta.token_ids[1], log.li, outgoing=False)
        if wallet is None:
            return
        out = amount - amount * lowest.event.neg_risk_fee_bips // 10_000
        for place in sorted(questions):
            if place in burned:
                rows.add(log.li, place, wallet, questions[place], 1, CONVERSION, size=amount, delta=-amount)
            else:
                rows.add(log.li, place, wallet, questions[place], 0, CONVERT_IN, size=out, delta=out)

    def _residuals(self, tx: Transaction, rows: _Rows) -> None:
        """Plain transfers: what the ERC-1155 logs moved beyond the rows of the same wallet and token (§2.5)."""
        net: dict[tuple[str, int, int], int] = defaultdict(int)
        for log in tx.logs:
            place = self._catalog.by_token.get(str(log.fields.get("token"))) if log.t == "Transfer" else None
            if place is None:
                continue
            net[(log.fields["from"], *place)] -= int(log.fields["amount"])
            net[(log.fields["to"], *place)] += int(log.fields["amount"])
        for number, (key, shares) in enumerate(net.items()):
            wallet, market, outcome = key
            residual = shares - rows.moved.get(key, 0) if is_wallet(wallet) else 0
            if residual:
                rows.add(
                    tx.logs[-1].li, 5000 + number, wallet, market, outcome, TRANSFER, size=abs(residual), delta=residual
                )
