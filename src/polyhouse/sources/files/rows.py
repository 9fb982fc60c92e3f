"""One row of a file → one observation, or the reason why it cannot be one.

The meaning is that of the live feeds (accounting §1.10): a row of a saved activity answer and the same row from the
feed have the same natural key, so that they are one row however often both are read. Since nobody answers for a file,
a row must also agree with itself: ids of the right length, a token that belongs to the condition, amounts that fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from polyhouse.domain import contracts, ids
from polyhouse.domain.amounts import MICRO, parse_price, price_e12, printed_micros
from polyhouse.domain.rest import activity_amounts, fee_tolerance, trade_amounts
from polyhouse.domain.times import parse_time
from polyhouse.errors import RowRejectedError
from polyhouse.sources.files.formats import REQUIRED, Format

UNKNOWN_OUTCOME = 999
FUTURE_SLACK_SECONDS = 3_600
_SCALARS = frozenset({str, int, bool})
_NO_TOKEN = bytes(32)
_NO_ADDRESS = bytes(20)
_V2_CONDITION_LENGTH = 64
_DUST = 10_000
_INCOME_TYPES = frozenset({"REWARD", "YIELD", "MAKER_REBATE", "TAKER_REBATE", "REFERRAL_REWARD"})
_SHARE_TYPES = {"SPLIT": "SPLIT", "MERGE": "MERGE", "REDEEM": "REDEEM", "CONVERSION": "CONVERT"}
_CASH_TYPES = frozenset({"DEPOSIT", "WITHDRAWAL", "TIP"})

_address_of = lru_cache(maxsize=50_000, typed=True)(ids.parse_address)
_token_of = lru_cache(maxsize=100_000, typed=True)(ids.parse_token)
_condition_of = lru_cache(maxsize=50_000, typed=True)(ids.parse_condition)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Both tokens of a condition, derived offline, and the collateral that backs them."""

    tokens: tuple[bytes, bytes]
    neg_risk: bool


class Observation(NamedTuple):
    """The columns of ``observations`` that a file can fill.

    ``pos`` is the log index where a dump has it, else 0: a file does not prove an order. The last four columns are
    those of orderFilled dumps; in other files gross and net shares are one, and a fee is cash.
    """

    wallet: bytes
    token: bytes
    condition: bytes
    tx: bytes
    kind: str
    ts: int
    shares: int
    cash: int
    usdc_gross: int
    fee_usdc: int
    price_e12: int
    outcome: int
    label: str = ""
    flags: str = ""
    role: str = ""
    counterparty: bytes = _NO_ADDRESS
    order_hash: bytes = _NO_TOKEN
    shares_gross: int = 0
    fee_net: int = 0
    fee_asset: str = ""
    pos: int = 0

    def identity(self) -> tuple[Any, ...]:
        """What makes two rows the same row, but for the ordinal: the natural key of the table."""
        place = b"" if any(self.token) else self.condition
        return (
            self.wallet, self.token, self.ts, self.tx, self.kind, place, self.shares, self.cash, self.price_e12,
            self.label,
        )  # fmt: skip


Fields = dict[str, Any]


@lru_cache(maxsize=50_000)
def mapping_of(condition: bytes, token: bytes) -> Mapping | None:
    """The tokens of a condition in the collateral that makes ``token`` one of them; None if neither does (§5.3)."""
    for collateral in (contracts.USDC_E, contracts.WCOL):
        tokens = _tokens(condition, collateral)
        if token in tokens:
            return Mapping(tokens, collateral == contracts.WCOL)
    return None


@lru_cache(maxsize=50_000)
def _tokens(condition: bytes, collateral: bytes) -> tuple[bytes, bytes]:
    return ids.token_ids(condition, collateral)


def observation(format_: Format, row: Fields, now: int) -> Observation | None:
    """The observation of a row (canonical field names), None for a fill of nothing for nothing.

    Raises:
        RowRejectedError: the row contradicts itself, is of a kind without rules, or lies in the future.
        BadInputError: a field cannot be read.
    """
    missing = sorted(REQUIRED[format_] - row.keys() - _MAY_BE_EMPTY[format_])
    if missing:
        raise RowRejectedError("shape", f"the row has no {', '.join(missing)}")
    if not _SCALARS.issuperset(map(type, row.values())):
        raise RowRejectedError("shape", "a field holds a list or an object")
    ts = parse_time(row["ts"], "timestamp")
    if ts > now + FUTURE_SLACK_SECONDS:
        raise RowRejectedError("future_time", f"timestamp {ts} lies in the future")
    if format_ is Format.COMBOS or _is_protocol_v2(row):
        raise RowRejectedError("protocol_v2", "a row of Protocol V2")
    wallet = _address_of(row["wallet"], "wallet")
    if wallet in contracts.INFRA:
        raise RowRejectedError("infrastructure", f"{row['wallet']} is a contract of Polymarket, not a wallet")
    return _READERS[format_](row, ts, wallet)


def _is_protocol_v2(row: Fields) -> bool:
    condition = row.get("condition")
    return (
        row.get("is_combo") in {True, "true", "True", "1"}
        or row.get("type") == "MIGRATION"
        or (isinstance(condition, str) and len(condition) == _V2_CONDITION_LENGTH and condition.startswith("0x"))
    )


def _activity(row: Fields, ts: int, wallet: bytes) -> Observation | None:
    kind = row["type"]
    tx = ids.parse_hash(row["tx"], "transaction hash")
    if kind == "TRADE":
        return _activity_trade(row, ts, wallet, tx)
    if kind in _SHARE_TYPES:
        condition, token, outcome = _identified(row)
        shares = printed_micros(_given(row, "size"), "size")
        # What a split or merge moves is its size; what a redemption paid is known only if the row says it.
        cash = printed_micros(_given(row, "usdc_size") if kind == "REDEEM" else row.get("usdc_size", 0), "usdc_size")
        flags = "leg" if kind == "CONVERSION" else ""
        word = _SHARE_TYPES[kind]
        return Observation(wallet, token, condition, tx, word, ts, shares, cash, 0, 0, 0, outcome, flags=flags)
    if kind in _INCOME_TYPES or kind in _CASH_TYPES:
        cash = printed_micros(row["usdc_size"] if "usdc_size" in row else _given(row, "size"), "usdc_size")
        condition = _condition_of(row["condition"], "condition id") if "condition" in row else b""
        word, label = ("INCOME", kind) if kind in _INCOME_TYPES else (kind, "")
        flags = str(row.get("side", "")).lower() if kind == "TIP" else ""
        token = _token_of(row["token"], "token id") if "token" in row else _NO_TOKEN
        outcome = _outcome(row)
        return Observation(wallet, token, condition, tx, word, ts, 0, cash, 0, 0, 0, outcome, label, flags)
    raise RowRejectedError("unknown_type", f"type {ids.shown(kind)}")


def _activity_trade(row: Fields, ts: int, wallet: bytes, tx: bytes) -> Observation | None:
    side = _side(row)
    price = row.get("price", 0)
    amounts = activity_amounts(side, _given(row, "size"), price, _given(row, "usdc_size"), ts)
    if amounts.shares == 0 and amounts.cash == 0:
        return None
    condition, token, outcome = _traded(row)
    _check_price(amounts.shares, price)
    _check_cash(side, amounts.shares, amounts.cash, price)
    return Observation(
        wallet, token, condition, tx, side, ts, amounts.shares, amounts.cash, amounts.usdc_gross, amounts.fee_usdc,
        price_e12(price), outcome,
    )  # fmt: skip


def _trade(row: Fields, ts: int, wallet: bytes) -> Observation | None:
    if row.get("type", "TRADE") != "TRADE" or "usdc_size" in row:
        raise RowRejectedError("mixed_formats", "a row of an activity feed in a file of trades")
    side = _side(row)
    shares, usdc = trade_amounts(row["size"], row["price"])
    if shares == 0 and usdc == 0:
        return None
    condition, token, outcome = _traded(row)
    _check_price(shares, row["price"])
    tx = ids.parse_hash(row["tx"], "transaction hash")
    return Observation(
        wallet, token, condition, tx, side, ts, shares, usdc, usdc, 0, price_e12(row["price"]), outcome
    )  # fmt: skip


def _dome(row: Fields, ts: int, wallet: bytes) -> Observation | None:
    side = _side(row)
    shares = _micro_shares(row)
    _, usdc = trade_amounts(f"{shares // MICRO}.{shares % MICRO:06d}", row["price"])
    if shares == 0 and usdc == 0:
        return None
    condition, token, outcome = _traded(row)
    _check_price(shares, row["price"])
    role, counterparty = "", _NO_ADDRESS
    if "taker" in row:
        taker = _address_of(row["taker"], "taker")
        role, counterparty = ("TAKER", _NO_ADDRESS) if taker in contracts.EXCHANGES else ("MAKER", taker)
    return Observation(
        wallet, token, condition, ids.parse_hash(row["tx"], "transaction hash"), side, ts, shares, usdc, usdc, 0,
        price_e12(row["price"]), outcome, role=role, counterparty=counterparty,
        order_hash=ids.parse_hash(row["order_hash"], "order hash"),
    )  # fmt: skip


_READERS: dict[Format, Callable[[Fields, int, bytes], Observation | None]] = {
    Format.ACTIVITY: _activity,
    Format.TRADES: _trade,
    Format.DOME: _dome,
}
_MAY_BE_EMPTY: dict[Format, frozenset[str]] = {
    Format.ACTIVITY: frozenset({"condition", "size", "usdc_size"}),
    Format.TRADES: frozenset(),
    Format.COMBOS: frozenset(),
    Format.DOME: frozenset(),
}


def _given(row: Fields, name: str) -> Any:
    if name not in row:
        raise RowRejectedError("shape", f"the row has no {name}")
    return row[name]


def _side(row: Fields) -> str:
    side = row.get("side")
    if side == "BUY" or side == "SELL":
        return str(side)
    raise RowRejectedError("bad_side", f"a trade with side {ids.shown(side)}")


def _outcome(row: Fields) -> int:
    index = row.get("outcome", UNKNOWN_OUTCOME)
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) <= 3:
        index = int(index)
    if type(index) is not int or not (0 <= index < 256 or index == UNKNOWN_OUTCOME):
        raise RowRejectedError("bad_outcome", f"outcome index {ids.shown(index)}")
    return index


def _traded(row: Fields) -> tuple[bytes, bytes, int]:
    if "token" not in row or "condition" not in row:
        raise RowRejectedError("shape", "a trade without token or condition")
    return _identified(row)


def _identified(row: Fields) -> tuple[bytes, bytes, int]:
    """(condition, token, outcome index) of a row, checked against each other offline (accounting §5.3)."""
    condition = _condition_of(row.get("condition"), "condition id")
    outcome = _outcome(row)
    if "token" not in row:
        return condition, _NO_TOKEN, outcome
    token = _token_of(row["token"], "token id")
    mapping = mapping_of(condition, token)
    if mapping is None:
        raise RowRejectedError("token_mismatch", f"token {ids.shown(row['token'])} is no token of its condition")
    derived = mapping.tokens.index(token)
    if outcome not in {derived, UNKNOWN_OUTCOME}:
        raise RowRejectedError("outcome_mismatch", f"outcome index {outcome}, but the token is that of {derived}")
    return condition, token, derived


def _micro_shares(row: Fields) -> int:
    """Dome prints shares as integers of 6 decimals, and again in whole shares where the file is recent."""
    value = row["shares"]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        value = int(value)
    if type(value) is not int or not 0 <= value < 10**18:
        raise RowRejectedError("mixed_units", f"shares {ids.shown(row['shares'])} is no whole number of micro-shares")
    if "shares_normalized" in row and printed_micros(row["shares_normalized"], "shares_normalized") != value:
        raise RowRejectedError("mixed_units", "shares and shares_normalized disagree")
    return value


def _check_price(shares: int, price: Any) -> None:
    """A little above 1 happens on chain (accounting §1.6); much above it the columns are swapped, dust excepted."""
    digits, decimals = parse_price(price)
    if digits * 10 > 11 * 10**decimals and shares * digits > _DUST * 10**decimals:
        raise RowRejectedError("bad_price", f"price {ids.shown(price)} of a share that pays at most 1")


def _check_cash(side: str, shares: int, cash: int, price: Any) -> None:
    """Cash must be size · price up to the largest fee any exchange may charge (accounting §1.8), else units are mixed.

    The bound: 10 % of min(p, 1−p)/p for V1 share fees, 5 % of cash for V2, each with some room for rounded rows.
    """
    digits, decimals = parse_price(price)
    if digits == 0:
        return
    one = 10**decimals
    notional = shares * digits // one
    fee = cash - notional if side == "BUY" else notional - cash
    lowest = -(notional // 100 + fee_tolerance(shares) + _DUST // 10)
    share_fee = notional * 12 * min(digits, max(one - digits, 0)) // (digits * 100)
    highest = max(share_fee, notional * 55 // 1000) + fee_tolerance(shares) + _DUST // 10
    if not lowest <= fee <= highest:
        raise RowRejectedError("amounts_disagree", "cash, size and price of the row do not fit each other")
