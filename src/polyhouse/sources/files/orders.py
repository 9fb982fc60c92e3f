"""Rows of orderFilled dumps: one exchange log as a subgraph or an indexer wrote it to a file.

A row belongs to its ``maker`` alone (accounting §§1.3, 1.5): the taker of a match has a row of its own, whose ``taker``
is the exchange. Amounts are integers of six decimals. The rules stand here once more than in
``warehouse/bulk_sql.py``, which applies them to millions of rows inside the engine; a test holds both equal.

Identity. A dump may or may not have log indexes, so that the natural key of a row uses none: wallet, token, time,
transaction, side, net amounts, and an ordinal among rows that are equal in all of these. Rows with the same log index
(or the same ``id``) are the same log, delivered twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from polyhouse.domain import contracts, ids
from polyhouse.domain.times import MIN_TIME
from polyhouse.errors import BadInputError, RowRejectedError
from polyhouse.sources.files.order_columns import SPELLINGS
from polyhouse.sources.files.rows import FUTURE_SLACK_SECONDS, UNKNOWN_OUTCOME, Observation

MOST_LOG_INDEX = 2**32 - 1
DUST = 10_000
"""Micro-USDC below which a strange price is rounding, not a mistake."""

_DIGITS = re.compile(r"(?:0|[1-9][0-9]*)\Z", re.ASCII)
_SUBGRAPH_ID = re.compile(r"0x[0-9a-fA-F]{64}_0x[0-9a-fA-F]{64}\Z", re.ASCII)
_NO_TOKEN = bytes(32)
_NO_ADDRESS = bytes(20)


def source_of(row: Mapping[str, str]) -> str:
    """``subgraph`` if the row's id is that of the public subgraph (transaction_order), else ``dump``."""
    return "subgraph" if _SUBGRAPH_ID.match(row["id"]) else "dump"


def log_identity(row: Mapping[str, str]) -> str:
    """What tells one log from another, "" where the dump does not say."""
    return row["log_index"] or row["id"]


def order(row: Mapping[str, str], now: int) -> Observation | None:
    """The observation of one row (``order_fields``), None for a fill of nothing for nothing.

    Raises:
        RowRejectedError: the row cannot be true; the reasons are those of ``warehouse/bulk_sql.py``, in its order.
    """
    if row["maker"] in SPELLINGS["maker"] and row["taker"] in SPELLINGS["taker"]:
        raise RowRejectedError("header", "a line of column names in the middle of the file")
    maker = _bytes(row["maker"], 20, "bad_maker")
    taker = _bytes(row["taker"], 20, "bad_taker")
    tx = _bytes(row["tx"], 32, "bad_tx")
    buys, token = _assets(row["maker_asset"], row["taker_asset"])
    gave, got = _amount(row["maker_amount"]), _amount(row["taker_amount"])
    ts = _time(row["ts"], now)
    fee = _amount(row["fee"]) if row["fee"] else 0
    pos = _log_index(row["log_index"])
    order_hash = _order_hash(row)
    if maker in contracts.INFRA:
        raise RowRejectedError("infrastructure", f"{row['maker']} is a contract of Polymarket, not a wallet")
    shares, usdc = (got, gave) if buys else (gave, got)
    if shares > 0 and usdc > DUST and usdc * 10 > shares * 11:
        raise RowRejectedError("bad_price", f"{usdc} paid for {shares} shares that pay at most 1: columns swapped?")
    in_shares = buys and ts < contracts.CLOB_V2_CUTOVER_TS
    if fee > (shares if in_shares else usdc):
        raise RowRejectedError("bad_fee", f"a fee of {fee}, more than what was exchanged")
    if shares == 0 and usdc == 0:
        return None
    return Observation(
        maker, token, b"", tx, "BUY" if buys else "SELL", ts,
        shares - fee if in_shares else shares,
        usdc if in_shares else usdc + fee if buys else usdc - fee,
        usdc, fee if not in_shares else fee * usdc // shares if shares else 0, 0, UNKNOWN_OUTCOME,
        role="TAKER" if taker in contracts.EXCHANGES else "MAKER",
        counterparty=_NO_ADDRESS if taker in contracts.EXCHANGES else taker,
        order_hash=order_hash, shares_gross=shares, fee_net=fee,
        fee_asset="" if not fee else "shares" if in_shares else "usdc", pos=pos,
    )  # fmt: skip


def _bytes(text: str, size: int, reason: str) -> bytes:
    try:
        return ids.parse_address(text) if size == 20 else ids.parse_hash(text)
    except BadInputError as error:
        raise RowRejectedError(reason, str(error)) from None


def _assets(maker_asset: str, taker_asset: str) -> tuple[bool, bytes]:
    """(whether the maker buys, token): exactly one of the assets is collateral, written 0."""
    if (maker_asset == "0") == (taker_asset == "0"):
        raise RowRejectedError("no_collateral", "exactly one of the two assets must be 0 (collateral)")
    buys = maker_asset == "0"
    text = taker_asset if buys else maker_asset
    try:
        if _DIGITS.match(text):
            return buys, ids.parse_token(text)
    except BadInputError:
        pass
    raise RowRejectedError("bad_token", f"asset {ids.shown(text)} is no token id")


def _amount(text: str) -> int:
    if not _DIGITS.match(text):
        if text.startswith("-"):
            raise RowRejectedError("negative", f"amount {ids.shown(text)} is negative")
        if "." in text:
            raise RowRejectedError("mixed_units", f"amount {ids.shown(text)} is no whole number of millionths")
        raise RowRejectedError("bad_amount", f"amount {ids.shown(text)} is no whole number")
    if len(text) > 18:
        raise RowRejectedError("mixed_units", f"amount {ids.shown(text)} is too large for millionths")
    return int(text)


def _time(text: str, now: int) -> int:
    if not _DIGITS.match(text) or len(text) > 10 or int(text) < MIN_TIME:
        raise RowRejectedError("bad_time", f"timestamp {ids.shown(text)} is not in Unix seconds")
    if int(text) > now + FUTURE_SLACK_SECONDS:
        raise RowRejectedError("future_time", f"timestamp {text} lies in the future")
    return int(text)


def _log_index(text: str) -> int:
    if not text:
        return 0
    if not _DIGITS.match(text) or len(text) > 10 or int(text) > MOST_LOG_INDEX:
        raise RowRejectedError("bad_log_index", f"log index {ids.shown(text)}")
    return int(text)


def _order_hash(row: Mapping[str, str]) -> bytes:
    if row["order_hash"]:
        return _bytes(row["order_hash"], 32, "bad_order_hash")
    return bytes.fromhex(row["id"][69:]) if _SUBGRAPH_ID.match(row["id"]) else _NO_TOKEN
