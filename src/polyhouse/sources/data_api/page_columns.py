"""The usual page of the activity feed as columns, computed for all of its rows at once.

``activity.PageReader`` says row by row what a page means; it alone knows why a row is refused. A page on which nothing
is out of the ordinary means the same here, at half the cost. Whatever is not ordinary makes the page None, and its rows
are read one by one: nothing is decided here that is not decided there.
"""

from __future__ import annotations

from binascii import Error as HexError
from binascii import unhexlify
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from polyhouse.domain.amounts import PRICE_SCALE
from polyhouse.domain.rest import fee_and_gross
from polyhouse.domain.times import MAX_TIME, MIN_TIME
from polyhouse.errors import BadInputError
from polyhouse.sources.columns import NO_TOKEN, condition_of, token_of
from polyhouse.sources.data_api.activity_rows import KINDS, TRADE, ActivityRow
from polyhouse.sources.data_api.rows import (
    OBSERVATION_NAMES,
    PROTOCOL_V2_DIGITS,
    Printed,
    micros_of,
    outcome_of,
    price_of,
)
from polyhouse.sources.walk import SecondCounter
from polyhouse.tables import Columns

_Integers = NDArray[np.int64]
_CHARACTERS = 20
_POINT = (ord(".") | ord("0")) - ord("0")


class _Places:
    """What digits count in numbers of up to so many whole digits and decimals, in units of the last decimal.

    Attributes:
        counts: ``[p, j]``: what a digit at place ``j`` counts where the point stands at place ``p``.
    """

    def __init__(self, *, decimals: int, whole: int) -> None:
        self.decimals, self.whole = decimals, whole
        self.counts = np.zeros((whole + 1, _CHARACTERS), np.int64)
        for point in range(whole + 1):
            for place in range(min(_CHARACTERS, point + decimals + 1)):
                if place != point:
                    self.counts[point, place] = 10 ** (decimals + point - place - (place < point))


_SIDES = frozenset({"BUY", "SELL"})
_HASH_TEXT = 66
_MICRO = _Places(decimals=6, whole=11)
_PRICE = _Places(decimals=12, whole=5)
_MILLION = 10**6
_LARGEST_SHARES = 1 << 42
_LARGEST_PRICE = 2 * 10**12
"""Shares times the millions of such a price, or times their rest, fit into 64 bits."""
_NOT_EXACT = -1
"""Instead of a price with more digits than are kept."""


def usual_page(rows: Sequence[ActivityRow | None], wallet: bytes, counter: SecondCounter, start: int) -> Columns | None:
    """The columns of a page of one wallet, None if a row of it is out of the ordinary; then nothing was counted.

    Args:
        rows: as decoded; None for what could not be decoded.
        wallet: whose they ought to be.
        counter: of the second in which the walk stands.
        start: no row may be older.
    """
    found = [row for row in rows if row is not None]
    if not found or len(found) < len(rows):
        return None
    return _columns(found, wallet, counter, start)


def _columns(rows: Sequence[ActivityRow], wallet: bytes, counter: SecondCounter, start: int) -> Columns | None:
    times = [row.timestamp for row in rows]
    if not _are_in_order(times, max(counter.ts, start, MIN_TIME)) or not _are_of(rows, "0x" + wallet.hex()):
        return None
    try:
        columns = _amounts(rows)
        if columns is None:
            return None
        tokens, outcomes = [row.token_id for row in rows], [row.outcome_index for row in rows]
        token = {one: token_of(one) if one else NO_TOKEN for one in set(tokens)}
        outcome = {one: outcome_of(one) for one in set(outcomes)}
        hashes = _hashes([row.transaction_hash for row in rows])
    except (BadInputError, HexError):
        return None
    columns |= {
        "wallet": [wallet] * len(rows),
        "token": [token[one] for one in tokens],
        "tx": hashes,
        "ts": times,
        "role": [""] * len(rows),
        "outcome": [outcome[one] for one in outcomes],
    }
    identity = ("tx", "token", "condition", "kind", "shares", "cash", "price_e12", "label")
    same = list(zip(*(columns[name] for name in identity), strict=True))
    places, columns["ordinal"] = counter.follow(times, same, hashes)
    columns["pos"] = [place + 1 for place in places]
    return {name: columns[name] for name in OBSERVATION_NAMES}


def _are_in_order(times: list[int], earliest: int) -> bool:
    return times[0] >= earliest and times[-1] <= MAX_TIME and sorted(times) == times


def _are_of(rows: Sequence[ActivityRow], wallet: str) -> bool:
    """All of this wallet, and none of Protocol V2."""
    if any(text.lower() != wallet for text in {row.proxy_wallet for row in rows}):
        return False
    if not {row.is_combo for row in rows} <= {None, False}:
        return False
    return all(len(text or "") != PROTOCOL_V2_DIGITS for text in {row.condition_id for row in rows})


def _amounts(rows: Sequence[ActivityRow]) -> Columns | None:
    """What each row moved; None if a fill moved nothing or has no side, or a kind is unknown.

    Raises:
        BadInputError: a row cannot be read.
    """
    kinds, labels, flags = [row.side or "" for row in rows], [""] * len(rows), [""] * len(rows)
    sizes, sums = [row.size for row in rows], [row.usdc_size for row in rows]
    printed = [0 if row.price is None else row.price for row in rows]
    others = {place: row for place, row in enumerate(rows) if row.type != TRADE}
    for place, row in others.items():
        kind = KINDS.get(row.type)
        if kind is None:
            return None
        kinds[place], labels[place], flags[place] = "BUY", kind.label(row), kind.flags(row)
        sizes[place], sums[place], printed[place] = kind.size(row), kind.cash(row), 0
    is_fill = np.ones(len(rows), np.bool_)
    is_fill[list(others)] = False
    micros, _ = _read(sizes + sums, _MICRO, lambda number: micros_of(number, "amount"))
    shares, cash = micros[: len(rows)], micros[len(rows) :]
    if not _SIDES.issuperset(kinds) or not (shares | cash)[is_fill].all():
        return None
    prices, are_exact = _read(printed, _PRICE, lambda number: price_of(number)[2])
    fees, gross = _fees(rows, shares, cash, np.where(are_exact, prices, _NOT_EXACT), is_fill)
    texts = [row.condition_id for row in rows]
    if not all(texts) and not all(row.condition_id for row in rows if row.type == TRADE):
        return None
    condition = {one: condition_of(one) if one else b"" for one in set(texts)}
    conditions = [condition[one] for one in texts]
    for place, row in others.items():
        kinds[place], conditions[place] = KINDS[row.type].name, KINDS[row.type].condition(row)
    return {
        "kind": kinds,
        "condition": conditions,
        "shares": shares.tolist(),
        "cash": cash.tolist(),
        "usdc_gross": gross.tolist(),
        "fee_usdc": fees.tolist(),
        "price_e12": prices.tolist(),
        "label": labels,
        "flags": flags,
    }


def _fees(
    rows: Sequence[ActivityRow], shares: _Integers, cash: _Integers, prices: _Integers, is_fill: NDArray[np.bool_]
) -> tuple[_Integers, _Integers]:
    """Fee and gross cash of each fill: ``fee_and_gross``, asked only of fills that miss their price."""
    is_small = (shares <= _LARGEST_SHARES) & (prices <= _LARGEST_PRICE) & (prices != _NOT_EXACT)
    # Their product has more than 64 bits, so it is made in two parts: millions and the rest of each price.
    millions, rest = np.divmod(np.where(is_small, prices, 0), _MILLION)
    upper, lower = np.divmod(np.where(is_small, shares * millions + shares * rest // _MILLION, 0), _MILLION)
    notional = upper + (2 * lower >= _MILLION)
    is_buy = np.array([row.side == "BUY" for row in rows], np.bool_)
    missed = np.where(is_buy, cash - notional, notional - cash)
    fees, gross = np.zeros_like(cash), np.where(is_fill, cash, 0)
    for place in np.flatnonzero(is_fill & (~is_small | (missed > 1))).tolist():
        row = rows[place]
        digits, scale = int(prices[place]), PRICE_SCALE
        if digits == _NOT_EXACT:
            digits, scale, _ = price_of(row.price)
        fees[place], gross[place] = fee_and_gross(
            str(row.side), int(shares[place]), int(cash[place]), digits, scale, row.timestamp
        )
    return fees, gross


def _hashes(texts: Sequence[str | None]) -> list[bytes]:
    """The 32 bytes of each transaction hash.

    Raises:
        BadInputError: one of them is none.
        binascii.Error: one has other characters than hex digits.
    """
    joined = "".join([text or "" for text in texts])
    if {_HASH_TEXT} != {len(text or "") for text in texts} or not joined.isascii():
        raise BadInputError("a transaction hash has not 64 hex digits")
    characters = np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), _HASH_TEXT)
    if (characters[:, 0] != ord("0")).any() or (characters[:, 1] != ord("x")).any():
        raise BadInputError("a transaction hash does not start with 0x")
    raw = unhexlify(characters[:, 2:].tobytes())
    return [raw[at : at + 32] for at in range(0, len(raw), 32)]


def _read(
    numbers: Sequence[Printed], places: _Places, read: Callable[[Printed], int]
) -> tuple[_Integers, NDArray[np.bool_]]:
    """The numbers in units of the last decimal, and which are plain: those are read together, others by ``read``."""
    texts = [number if type(number) is bytes else _text(number) for number in numbers]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    # Longer texts than those of plain numbers are cut here, and found not to be plain below.
    width = max(1, min(int(lengths.max()), _CHARACTERS))
    digits = np.array(texts, f"S{width}").view(np.uint8).reshape(len(texts), width)
    # The zeros behind the end of a text become digits, and digits stay what they are. Of what else JSON prints in a
    # number, the point, signs and an exponent, nothing becomes one.
    digits |= ord("0")
    digits -= ord("0")
    is_other = digits > 9
    points = is_other.argmax(axis=1)
    is_plain = (is_other.sum(axis=1) == 1) & (digits[np.arange(len(texts)), points] == _POINT)
    is_plain &= (points <= places.whole) & (lengths - points - 1 <= places.decimals) & (lengths <= _CHARACTERS)
    counts = places.counts[:, :width][np.where(is_plain, points, 0)]
    found: _Integers = np.einsum("ij,ij->i", digits, counts)
    for row in np.flatnonzero(~is_plain).tolist():
        found[row] = read(numbers[row])
    return found, is_plain


def _text(number: Printed) -> bytes:
    return b"%d." % number if type(number) is int else b""
