"""The same inputs read slowly and independently: ``json`` of the standard library, fractions, no code of the product.

Each function takes a body and returns what every readable row must become: (what identifies the row, its amounts). It
does not say which rows must be refused; it says what a row is if it is accepted.
"""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
import zlib
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

NUMBER = re.compile(r"[+-]?[0-9][0-9_]*(\.[0-9]*)?([eE][+-]?[0-9]+)?\Z|[+-]?\.[0-9]+\Z")
HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_KINDS = {"SPLIT": "SPLIT", "MERGE": "MERGE", "REDEEM": "REDEEM", "CONVERSION": "CONVERT", "DEPOSIT": "DEPOSIT",
          "WITHDRAWAL": "WITHDRAWAL", "TIP": "TIP"}  # fmt: skip
_INCOME = {"REWARD", "YIELD", "MAKER_REBATE", "TAKER_REBATE", "REFERRAL_REWARD"}
V2_START = 1_777_374_000


class Number(str):
    """A JSON number as printed."""

    __slots__ = ()


def load(body: bytes) -> Any:
    """The document; None if it is none. Numbers keep their text."""
    try:
        if body.startswith(b"\x1f\x8b"):
            body = gzip.decompress(body)
        text = body.decode("utf-8", "replace").removeprefix("\ufeff").strip(" \t\r\n")
        found, at = [], 0
        while at < len(text):
            one, at = _DECODER.raw_decode(text, at)
            found.append(one)
            at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n"))
        return found[0] if len(found) == 1 else found
    except (ValueError, RecursionError, OSError, EOFError, zlib.error):
        return None


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number, strict=False)


def find(document: Any, *keys: str) -> list[Any]:
    """The list of rows under one of these keys; without keys every object anywhere, as a file may have pages in it."""
    if not keys:
        inside = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
        return [*([document] if isinstance(document, dict) else []), *(row for one in inside for row in find(one))]
    if isinstance(document, list):
        return document
    for key in keys:
        if isinstance(document, dict) and isinstance(document.get(key), list):
            return document[key]
    return []


def fraction(value: Any) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, str) or len(value) > 400:
        return None
    value = value.strip()
    value = "".join(str(unicodedata.digit(one, one)) for one in value)  # digits of other scripts are digits
    if not NUMBER.match(value):
        return None
    exponent = re.search(r"[eE]([+-]?[0-9]+)", value)
    if exponent and abs(int(exponent[1])) > 400:
        return None
    return Fraction(Decimal(value))


def half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def micros(value: Any) -> int | None:
    """The nearest millionth, if the value is within the print noise of a double of it."""
    found = fraction(value)
    if found is None or found < 0:
        return None
    near = half_up(found * 10**6)
    return near if abs(found * 10**6 - near) * 2**50 <= found * 10**6 else None


def whole(value: Any) -> int | None:
    found = fraction(value)
    return int(found) if found is not None and found.denominator == 1 else None


def raw(value: Any) -> bytes | None:
    if not isinstance(value, str) or not HEX.match(value) or len(value) % 2:
        return None
    return bytes.fromhex(value[2:])


def token(value: Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    if isinstance(value, Number) and (number := whole(value)) is not None:
        # With a point or an exponent it went through a double.
        limit = 2**256 if re.match(r"-?[0-9]+\Z", value) else 2**53
        return number.to_bytes(32, "big") if 0 <= number < limit else None
    if HEX.match(value):
        number = int(value, 16)
    elif re.match(r"(0|[1-9][0-9]{0,80})\Z", value):
        number = int(value)
    else:
        return None
    return number.to_bytes(32, "big") if number < 2**256 else None


def _trade(row: dict[str, Any], names: dict[str, str], ts: int) -> tuple[Any, ...] | None:
    size, price = micros(row.get(names["size"])), fraction(row.get(names["price"]) or "0")
    if size is None or price is None:
        return None
    # A file whose rows have no cash is read as one of the other feed.
    if "usdc" not in names or row.get(names["usdc"]) in (None, ""):
        cash = half_up(size * price)
        return size, cash, 0, half_up(price * 10**12)
    cash_or_none = micros(row.get(names["usdc"]))
    if cash_or_none is None:
        return None
    cash = cash_or_none
    fee = half_up(size * price) - cash if row.get("side") == "SELL" else cash - half_up(size * price)
    tolerance = 1 + -(-size // (2 * 10**10))
    fee = fee if size and price and fee > tolerance else 0
    return size, cash, fee, half_up(price * 10**12)


def rest_rows(names: dict[str, str], *lists: str, kind: str = "", wallet: str = "") -> Any:
    """A reader of rows of a REST feed.

    Args:
        names: our field → theirs; with ``usdc`` rows carry their cash.
        lists: keys under which the rows stand.
        kind: of all rows, "" = the row says it.
        wallet: of all rows, "" = the row says it.
    """

    def read(body: bytes) -> Counter[tuple[Any, ...]]:
        return Counter(found for row in find(load(body), *lists) if (found := one(row)))

    def one(row: Any) -> tuple[Any, ...] | None:
        if not isinstance(row, dict):
            return None
        ts, word = moment(row.get(names["ts"])), kind or row.get("type")
        who, tx = raw(wallet or row.get(names["wallet"])), raw(row.get(names["tx"]))
        if ts is None or who is None or tx is None or not isinstance(word, str):
            return None
        condition, mine = raw(row.get(names["condition"])) or b"", token(row.get(names["token"])) or bytes(32)
        if word == "TRADE":
            amounts = _trade(row, names, ts)
            return amounts and (who, mine, condition, tx, str(row.get("side")), ts, *amounts)
        usdc = row.get(names["usdc"])
        if word in _INCOME or word in {"DEPOSIT", "WITHDRAWAL", "TIP"}:
            cash = micros(row.get(names["size"]) if usdc in (None, "") else usdc)
            return None if cash is None else (
                who, mine, condition, tx, "INCOME" if word in _INCOME else word, ts, 0, cash, 0, 0,
            )  # fmt: skip
        shares = micros(row.get(names["size"]))
        cash = micros(usdc) if usdc not in (None, "") else shares if word in {"SPLIT", "MERGE"} else 0
        if word not in _KINDS or shares is None or cash is None:
            return None
        return who, mine, condition, tx, _KINDS[word], ts, shares, cash, 0, 0

    return read


def moment(value: Any) -> int | None:
    """Unix seconds of a number, or of ISO text with a zone."""
    seconds = whole(value)
    if seconds is not None or not isinstance(value, str) or isinstance(value, Number):
        return seconds
    found = re.match(
        r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d(?::?\d\d)?))?\Z", value, re.ASCII
    )
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    zone = found[7] or "Z"
    shift = 0 if zone == "Z" else int(zone[1:3]) * 3_600 + int(zone[3:].strip(":") or 0) * 60
    days = (
        sum(366 if _leap(one) else 365 for one in range(1970, year))
        + sum((31, 29 if _leap(year) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[: month - 1])
        + day - 1
    )  # fmt: skip
    return days * 86_400 + hour * 3_600 + minute * 60 + second - (shift if zone[0] != "-" else -shift)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def dome_rows(body: bytes) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for row in find(load(body)):
        ts, shares, price = moment(row.get("timestamp")), whole(row.get("shares")), fraction(row.get("price"))
        who, tx = raw(row.get("user")), raw(row.get("tx_hash"))
        if None in (ts, shares, price, who, tx):
            continue
        cash = half_up(shares * price)
        ids = who, token(row.get("token_id")), raw(row.get("condition_id")), tx
        found[(*ids, str(row.get("side")), ts, shares, cash, 0, half_up(price * 10**12))] += 1
    return found


def order_rows(body: bytes, *, v2_fees: bool) -> Counter[tuple[Any, ...]]:
    """orderFilled rows of the subgraph; ``v2_fees``: since CLOB V2 fees are collateral on both sides."""
    found: Counter[tuple[Any, ...]] = Counter()
    for row in find(load(body)):
        row = {key: value for key, value in row.items() if isinstance(value, str)}
        made, taken, fee = (
            whole(row.get("makerAmountFilled")),
            whole(row.get("takerAmountFilled")),
            whole(row.get("fee") or "0"),
        )
        ts, who, tx = whole(row.get("timestamp")), raw(row.get("maker")), raw(row.get("transactionHash"))
        if None in (made, taken, fee, ts, who, tx):
            continue
        buys = whole(row.get("makerAssetId")) == 0
        mine = token(row.get("takerAssetId" if buys else "makerAssetId"))
        shares, usdc = (taken, made) if buys else (made, taken)
        in_cash = v2_fees and ts >= V2_START
        net = shares - fee if buys and not in_cash else shares
        cash = usdc - fee if not buys else usdc + fee if in_cash else usdc
        found[who, mine, tx, "BUY" if buys else "SELL", ts, net, cash] += 1
    return found


def log_rows(body: bytes) -> Counter[tuple[Any, ...]]:
    """OrderFilled of CLOB V2 and single transfers among raw logs, word by word."""
    document = load(body)
    logs = document.get("result") if isinstance(document, dict) else None
    found: Counter[tuple[Any, ...]] = Counter()
    for log in logs if isinstance(logs, list) else []:
        if not isinstance(log, dict) or not isinstance(log.get("topics"), list) or not isinstance(log.get("data"), str):
            continue
        topics, data = [raw(topic) for topic in log["topics"]], raw(log["data"])
        where = raw(log.get("transactionHash")), _quantity(log.get("logIndex")), _quantity(log.get("blockNumber"))
        if None in topics or data is None or None in where:
            continue
        words = [data[at : at + 32] for at in range(0, len(data), 32)]
        numbers = [int.from_bytes(word, "big") for word in words]
        if len(topics) == 4 and len(words) == 7:
            found[
                "order_filled_v2",
                *where,
                topics[1],
                topics[2][12:],
                topics[3][12:],
                words[1],
                numbers[0],
                *numbers[2:5],
            ] += 1
        elif len(topics) == 4 and len(words) == 2:
            found["transfer_single", *where, topics[2][12:], topics[3][12:], words[0], numbers[1]] += 1
    return found


def _quantity(value: Any) -> int | None:
    return int(value, 16) if isinstance(value, str) and HEX.match(value) else None
