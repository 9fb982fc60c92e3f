"""``positions``, ``units`` and ``wallet_totals`` of one wallet slice, from its folded pairs.

The rules are functions of columns (``ledger.valuation``, ``ledger.units``, ``ledger.totals``); this module writes what
they return. Rows are unique and stand in the order of the tables, so that the engine has nothing to do but store them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from polyhouse.ledger import valuation
from polyhouse.ledger.columns import Ints
from polyhouse.ledger.day_series import NO_MARK
from polyhouse.ledger.fold import Kind
from polyhouse.ledger.totals import OVERALL, Totals, sum_totals
from polyhouse.ledger.units import Units, sum_units
from polyhouse.ledger.valuation import TokenFacts, Valued, value_pairs
from polyhouse.models.arrow_columns import binary, lists, names, numbers
from polyhouse.models.build import WINDOWS, Build
from polyhouse.models.pairs import SlicePairs
from polyhouse.models.wallet_documents import write_packed

_OVERALL_NAME = "overall"
_STATE = {
    "external_shares": valuation.EXTERNAL, "cost": valuation.COST, "bought": valuation.BOUGHT,
    "bought_cost": valuation.BOUGHT_COST, "fees": valuation.FEES, "realized": valuation.REALIZED,
    "untracked_shares": valuation.UNTRACKED_SHARES, "untracked_cash": valuation.UNTRACKED_CASH,
    "basis_out": valuation.BASIS_OUT, "settled_value": valuation.SETTLED_VALUE,
    "redeemed_cash": valuation.REDEEMED_CASH,
}  # fmt: skip
"""Columns of ``positions`` that are numbers of the folded state."""
_TIMES = {"first_ts": valuation.FIRST_TS, "last_ts": valuation.LAST_TS, "realized_ts": valuation.REALIZED_TS}


def build_positions(run: Build, wallets: str, pairs: SlicePairs) -> Valued:
    """Value the folded pairs of a slice, and sum them up; return the values of those whose token is known.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
        pairs: of the slice.
    """
    boundaries = np.array(run.boundaries, dtype=np.int64)
    mapped = pairs.mapped
    facts = pairs.tokens.facts.of(pairs.places[mapped])
    valued = value_pairs(pairs.folded.of(mapped), facts, boundaries)
    unit = np.where(_converted(pairs)[mapped], facts.market, facts.condition)
    units = sum_units(pairs.wallet[mapped], unit, facts.condition, facts.category, valued)
    condition, category = np.full((2, len(pairs.places)), OVERALL, dtype=np.int64)
    condition[mapped], category[mapped] = facts.condition, facts.category
    totals = sum_totals(pairs.columns, pairs.wallet, condition, category, units, boundaries)
    columns = {
        "positions": _positions(pairs, mapped, facts, unit, valued),
        "units": _units(pairs, units),
        "wallet_totals": _totals(pairs, totals),
    }
    for table, found in columns.items():
        run.store(table, wallets, found)
    write_packed(run, columns)
    return valued


def _converted(pairs: SlicePairs) -> Any:
    """Which pairs belong to a neg-risk market in which their wallet converted."""
    market = np.append(pairs.tokens.facts.market, -1)[pairs.places]
    key = pairs.wallet * (int(market.max(initial=0)) + 1) + market
    return (market >= 0) & np.isin(key, key[pairs.columns.pairs_with(Kind.CONVERT)])


def _positions(pairs: SlicePairs, mapped: Ints, facts: TokenFacts, unit: Ints, valued: Valued) -> dict[str, Any]:
    tokens, state = pairs.tokens, valued.state
    mark = facts.marks[:, 0]
    columns = {
        "wallet": binary(pairs.columns.wallets[mapped]),
        "token": binary(pairs.columns.tokens[mapped]),
        "condition": tokens.names.take(numbers(facts.condition)),
        "outcome": numbers(facts.outcome, "uint8"),
        "unit": tokens.names.take(numbers(unit)),
        "category": names(facts.category, tokens.categories),
        "shares": numbers(valued.shares),
        "unrealized": numbers(valued.unrealized[:, 0], unknown=valued.is_unmarked[:, 0]),
        "settled_shares": numbers(np.where(valued.is_resolved, state[:, valuation.HELD], 0)),
        "mark_e6": numbers(mark, unknown=np.equal(mark, NO_MARK)),
        "mark_source": names(tokens.mark_source[pairs.places[mapped]], tokens.mark_sources),
        "status": numbers(valued.status, "int8"),
    }
    columns |= {name: numbers(state[:, place]) for name, place in _STATE.items()}
    return columns | {name: numbers(state[:, place], "uint32") for name, place in _TIMES.items()}


def _units(pairs: SlicePairs, units: Units) -> dict[str, Any]:
    tokens = pairs.tokens
    return {
        "wallet": binary(pairs.wallets[units.wallet]),
        "unit": tokens.names.take(numbers(units.name)),
        "conditions": lists(units.condition_starts, tokens.names.take(numbers(units.conditions))),
        "category": names(units.category, tokens.categories),
        "realized": numbers(units.realized[:, 0]),
        "unrealized": numbers(units.unrealized[:, 0], unknown=units.unmarked[:, 0] > 0),
        "unmarked": numbers(units.unmarked[:, 0], "uint32"),
        "cost": numbers(units.cost),
        "bought_cost": numbers(units.bought_cost[:, 0]),
        "fees": numbers(units.fees),
        "untracked_cash": numbers(units.untracked_cash),
        "redeemed_cash": numbers(units.redeemed_cash),
        "is_open": numbers(units.is_open, "bool"),
        "result": numbers(units.result, "int8"),
        "closed_ts": numbers(units.closed_ts, "uint32"),
        "first_ts": numbers(units.first_ts, "uint32"),
        "last_ts": numbers(units.last_ts, "uint32"),
    }


def _totals(pairs: SlicePairs, totals: Totals) -> dict[str, Any]:
    import pyarrow as pa

    windows = ["lifetime", *WINDOWS]
    scopes, count = len(totals.wallet), len(windows)
    categories = pa.concat_arrays([pa.array([_OVERALL_NAME.encode()]), pairs.tokens.categories.cast(pa.binary())])
    by_window = {name: values.reshape(-1) for name, values in totals.by_window.items()}
    sums = {name: numbers(values, _KINDS.get(name, "int64")) for name, values in by_window.items()}
    return sums | {
        "wallet": binary(np.repeat(pairs.wallets[totals.wallet], count, axis=0)),
        "category": names(np.repeat(totals.category + 1, count), categories),
        "window": names(np.tile(np.arange(count), scopes), pa.array(windows)),
        "unrealized": numbers(by_window["unrealized_marked"], unknown=by_window["unmarked"] > 0),
        "untracked_cash": numbers(np.repeat(totals.untracked_cash, count)),
        "open_units": numbers(np.repeat(totals.open_units, count), "uint32"),
        "first_trade_ts": numbers(np.repeat(totals.first_trade, count), "uint32"),
        "last_trade_ts": numbers(np.repeat(totals.last_trade, count), "uint32"),
    }


_KINDS = {"trades": "uint64"} | dict.fromkeys(("unmarked", "markets", "wins", "losses", "flats"), "uint32")
"""Types of the columns of ``wallet_totals`` that count."""
