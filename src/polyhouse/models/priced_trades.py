"""``priced_trades``: trades with the prices around them, of the markets of one cut (docs/entries.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from polyhouse.ledger.columns import Ints, binary_cells
from polyhouse.ledger.compiled import pays
from polyhouse.models.build import Build
from polyhouse.models.price_columns import COMPILED_FROM, PriceColumns, second_prices
from polyhouse.models.token_facts import places_of
from polyhouse.models.trade_columns import load_facts, pair_blocks, trades_of
from polyhouse.warehouse.streaming import BULK

LAGS = {"30s": 30, "2m": 120, "5m": 300, "1h": 3_600, "6h": 21_600, "1d": 86_400}
"""Later moments whose prices are noted, in seconds after the trade."""
FRESH_SECONDS = 3_600
"""A price before the trade counts for so long."""
BLOCK_ROWS = 500_000
"""Trades that are written at once."""
DAY_SECONDS = 86_400
MICRO = 1_000_000

_KEY_BITS = 32


@dataclass(frozen=True, slots=True)
class Prices:
    """What markets traded at: ``keys`` (market << 32 | Unix seconds), ascending, and the price of the first outcome."""

    keys: Ints
    first_e6: Ints

    def at(self, markets: Ints, moments: Ints) -> tuple[Ints, Ints]:
        """The last price of the first outcome at or before each moment, and its age in seconds (−1 = there is none)."""
        places = np.searchsorted(self.keys, (markets << _KEY_BITS) | np.maximum(moments, 0), side="right") - 1
        if not len(self.keys):
            return np.zeros_like(moments), np.full_like(moments, -1)
        found = self.keys[np.maximum(places, 0)]
        is_known = (places >= 0) & (found >> _KEY_BITS == markets) & (moments >= 0)
        age = np.where(is_known, moments - (found & (2**_KEY_BITS - 1)), -1)
        return self.first_e6[np.maximum(places, 0)], age


def store_priced_trades(run: Build, wallets: str, history: PriceColumns) -> None:
    """Write the trades of some wallets in the markets of ``scored_tokens``, priced by ``token_prices``.

    Args:
        run: the build; ``scored_tokens`` is filled for one cut of the markets.
        wallets: SQL condition on ``wallet``.
        history: at least of these markets' tokens.
    """
    prices, facts = _prices(run, history), load_facts(run)
    for fills in pair_blocks(run.query_columns(run.sql("priced_trades", wallets)), BLOCK_ROWS):
        trades = trades_of(fills, facts)
        if len(trades["at"]):
            write_trades(run, trades, looked_up(prices, numbers_of(trades), run.as_of))


def _prices(run: Build, history: PriceColumns) -> Prices:
    """What the markets of ``scored_tokens`` traded at."""
    batches = list(run.warehouse.query_columns(f"SELECT token, market, outcome FROM scored_tokens {BULK}"))
    none = np.zeros(0, np.int64)
    cells = np.concatenate([np.zeros((0, 32), np.uint8), *(binary_cells(batch.column(0)) for batch in batches)])
    market, outcome = (np.concatenate([none, *(_ints(batch.column(place)) for batch in batches)]) for place in (1, 2))
    place = places_of(history.tokens, cells)
    return Prices(*second_prices(history, market[place], outcome[place]))


def numbers_of(trades: dict[str, Any]) -> dict[str, Ints]:
    """What the prices around trades depend on (``trade_columns.trades_of``), as numbers; 0 where there is none."""
    return {name: _ints(trades[name]) for name in _NUMBERS}


def looked_up(prices: Prices, numbers: dict[str, Ints], as_of: int) -> dict[str, tuple[Ints, Any]]:
    """``prices_around`` of trades in any order."""
    # In the order of (market, time) neighbours look at the same prices.
    order = np.argsort((numbers["market"] << _KEY_BITS) | numbers["at"])
    around = prices_around(prices, {name: values[order] for name, values in numbers.items()}, as_of)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return {name: (values[back], is_known[back]) for name, (values, is_known) in around.items()}


def write_trades(run: Build, trades: dict[str, Any], around: dict[str, tuple[Ints, Any]]) -> None:
    """Write trades with the prices around them."""
    import pyarrow as pa

    count = len(trades["at"])
    written = {name: column for name, column in trades.items() if name != "market"}
    written |= {name: pa.array(values, mask=~is_known) for name, (values, is_known) in around.items()}
    written["version"] = pa.array(np.full(count, run.version, dtype=np.uint64))
    written["is_deleted"] = pa.array(np.zeros(count, dtype=np.uint8))
    run.write("priced_trades", pa.table(written))


_NUMBERS = ("market", "outcome", "at", "resolved_at", "payout_e6", "closes_at")


def prices_around(prices: Prices, trades: dict[str, Ints], as_of: int) -> dict[str, tuple[Ints, Any]]:
    """Column of ``priced_trades`` → (micro-USDC a share of the token, whether it is known), per trade.

    Prices before a trade are those that stood before its second; only ``after_…``, ``day_end_e6`` and ``close_e6``
    look ahead.

    Args:
        prices: of the markets.
        trades: ``market``, ``outcome``, ``at``, ``resolved_at`` (0 = unresolved), ``payout_e6``, ``closes_at``
            (0 = unknown).
        as_of: nothing later is known.
    """
    at, market = trades["at"], trades["market"]
    walk = _compiled(len(at))

    def price_at(moments: Ints, longest: int = 2**62) -> tuple[Ints, Any]:
        if walk is not None:
            return cast(
                "tuple[Ints, Any]", walk(prices.keys, prices.first_e6, market, trades["outcome"], moments, longest)
            )
        first, age = prices.at(market, moments)
        return np.where(trades["outcome"] == 0, first, MICRO - first), (age >= 0) & (age <= longest)

    found = {
        "before_e6": price_at(at - 1, FRESH_SECONDS - 1),
        "day_before_e6": price_at(at - DAY_SECONDS),
        "day_open_e6": price_at(at - at % DAY_SECONDS - 1),
    }
    last_second = at - at % DAY_SECONDS + DAY_SECONDS - 1
    moments = {f"after_{name}_e6": at + seconds for name, seconds in LAGS.items()} | {"day_end_e6": last_second}
    for name, then in moments.items():
        level, is_known = price_at(then)
        is_settled = (trades["resolved_at"] > 0) & (trades["resolved_at"] <= then)
        value = np.where(is_settled, trades["payout_e6"], level)
        found[name] = value, is_settled | (is_known & (then <= as_of))
    level, is_known = price_at(trades["closes_at"])
    found["close_e6"] = level, is_known & (at < trades["closes_at"]) & (trades["closes_at"] <= as_of)
    return found


def _compiled(trades: int) -> Callable[..., Any] | None:
    """What looks prices of so many trades up as machine code; None where that does not pay."""
    if not pays("polyhouse.models.price_walk", trades, COMPILED_FROM):
        return None
    from polyhouse.models.price_walk import last_prices

    return last_prices


def _ints(column: Any) -> Ints:
    """The numbers of a column as Int64; 0 where there is none."""
    filled = column.fill_null(0) if column.null_count else column
    return cast("Ints", filled.to_numpy(zero_copy_only=False).astype(np.int64))
