"""``positions_polymarket``: the positions of one wallet slice by the cost method that Polymarket publishes.

The rules are ``ledger.polymarket``. Large slices are folded as compiled columns; wallets that converted or provided
liquidity, and small slices, by the objects that define the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from polyhouse.ledger import valuation
from polyhouse.ledger.columns import EXTRA, ROW, Ints
from polyhouse.ledger.compiled import pays
from polyhouse.ledger.day_series import NO_MARK
from polyhouse.ledger.fold import Kind
from polyhouse.ledger.polymarket import GrossRow, Outcome, polymarket_positions
from polyhouse.ledger.valuation import worth
from polyhouse.models.arrow_columns import binary, numbers
from polyhouse.models.build import Build
from polyhouse.models.joined import MOMENT
from polyhouse.models.pairs import SlicePairs
from polyhouse.ports import Warehouse

COMPILED_FROM = 50_000
"""Rows of a slice from which on compiling pays."""
_LARGEST = float(1 << 53)
_WHOLE = "whole_wallets"
_ROWS = (
    "wallet, token, toInt8(kind) AS number, ds, du, amount, usdc_gross, shares_gross, label = '' AS is_fill,"
    " concat(tx, toString(if(block > 0, pos, row_key))) AS event"
)
_ORDER = f"wallet, {MOMENT.format(who='wallet, token')}, block, tx_index, pos, cls, sub, tx, row_key"


def is_missing(warehouse: Warehouse) -> bool:
    """Whether a build of everybody is due, because a store of an older version has no such positions yet."""
    ours, theirs = (
        warehouse.query(f"SELECT count() FROM {table}").rows[0][0] for table in ("positions", "positions_polymarket")
    )
    return bool(ours) and not theirs


def build_polymarket(run: Build, wallets: str, pairs: SlicePairs) -> None:
    """Write the positions of a slice.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
        pairs: of the slice, folded.
    """
    mapped = pairs.mapped
    ids = {"wallet": binary(pairs.columns.wallets[mapped]), "token": binary(pairs.columns.tokens[mapped])}
    values = _values(pairs, mapped, _fold(run, wallets, pairs, mapped))
    run.store("positions_polymarket", wallets, ids | values)


def _fold(run: Build, wallets: str, pairs: SlicePairs, mapped: Ints) -> Ints:
    """The states of the mapped pairs: amount, average, realised, bought."""
    found = np.zeros((len(mapped), 4), dtype=np.int64)
    is_whole = np.ones(len(mapped), dtype=bool)
    if pays("polyhouse.ledger.polymarket_columns", len(pairs.columns.rows), COMPILED_FROM):
        is_whole = np.isin(pairs.wallet[mapped], pairs.wallet[np.append(_joint(pairs), _too_large(pairs))])
        alone = np.flatnonzero(~is_whole)
        found[alone] = _compiled(pairs, mapped[alone])
    whole = np.flatnonzero(is_whole)
    if len(whole):
        chosen = mapped[whole]
        ids = zip(pairs.columns.wallets[chosen], pairs.columns.tokens[chosen], strict=True)
        place_of = {
            wallet.tobytes() + token.tobytes(): place for place, (wallet, token) in zip(whole, ids, strict=True)
        }
        outcomes = _outcomes(pairs, chosen)
        run.stage_wallets(_WHOLE, np.unique(pairs.columns.wallets[chosen], axis=0))
        for wallet, rows in _wallets(run, wallets):
            known = (row for row in rows if row.token in outcomes)
            for token, one in polymarket_positions(known, outcomes).items():
                found[place_of[wallet + token]] = one.amount, one.avg_price, one.realized_pnl, one.total_bought
    return found


def _joint(pairs: SlicePairs) -> Ints:
    """Pairs with rows that mean nothing without those of other tokens: conversions and liquidity."""
    kind = pairs.columns.rows[:, ROW.index("kind")]
    is_trade = np.isin(kind, [int(Kind.BUY), int(Kind.SELL)])
    is_joint = np.equal(kind, int(Kind.CONVERT)) | (is_trade & (pairs.columns.extra[:, EXTRA.index("is_fill")] == 0))
    return np.searchsorted(pairs.columns.starts, np.flatnonzero(is_joint), side="right") - 1


def _too_large(pairs: SlicePairs) -> Ints:
    """Pairs whose amounts may leave the range in which compiled code is exact."""
    amounts = np.abs(pairs.columns.rows[:, ROW.index("ds")]).astype(np.float64)
    for name in ("usdc_gross", "shares_gross"):
        amounts += np.abs(pairs.columns.extra[:, EXTRA.index(name)])
    starts = pairs.columns.starts[:-1]
    return np.flatnonzero(np.add.reduceat(amounts, starts) >= _LARGEST) if len(starts) else starts


def _compiled(pairs: SlicePairs, alone: Ints) -> Ints:
    from polyhouse.ledger.polymarket_columns import polymarket_columns

    facts = pairs.tokens.facts.of(pairs.places[alone])
    is_neg_risk = (facts.market >= 0).astype(np.int64)
    return polymarket_columns(pairs.columns, alone, _others(pairs)[alone], facts.settlement, is_neg_risk)


def _others(pairs: SlicePairs) -> Ints:
    """Of every pair the pair of the same wallet with the other outcome; −1 = none."""
    condition = np.append(pairs.tokens.facts.condition, -1)[pairs.places]
    key = pairs.wallet * (int(condition.max(initial=0)) + 2) + condition
    order = np.argsort(key, kind="stable")
    others = np.full(len(key), -1, dtype=np.int64)
    same = np.flatnonzero((key[order[1:]] == key[order[:-1]]) & (condition[order[1:]] >= 0))
    others[order[same]], others[order[same + 1]] = order[same + 1], order[same]
    return others


def _outcomes(pairs: SlicePairs, chosen: Ints) -> dict[bytes, Outcome]:
    """What the rules need to know of the tokens of some pairs."""
    tokens, facts = pairs.tokens, pairs.tokens.facts
    used = np.unique(pairs.places[chosen])
    ids = dict(zip(used.tolist(), (token.as_py() for token in tokens.ids.take(numbers(used))), strict=True))
    by_side = {(int(facts.condition[place]), int(facts.outcome[place])): token for place, token in ids.items()}
    found = {}
    for place, token in ids.items():
        condition, outcome = int(facts.condition[place]), int(facts.outcome[place])
        numerator, denominator = facts.settlement[place, :2].tolist()
        # Liquidity shares are their own condition; everything else has a complement, held or not.
        is_pool = tokens.names[condition].as_py() == token
        other = b"" if is_pool else by_side.get((condition, 1 - outcome), bytes(32))
        found[token] = Outcome(other, numerator, denominator, bool(facts.market[place] >= 0))
    return found


def _wallets(run: Build, wallets: str) -> Iterator[tuple[bytes, Iterator[GrossRow]]]:
    """All rows of each wallet that is folded as a whole."""
    sql = (
        f"SELECT {_ROWS} FROM {run.rows_of('ledger')} WHERE {wallets} AND token != toFixedString('', 32)"
        f" AND wallet IN (SELECT wallet FROM {_WHOLE}) ORDER BY {_ORDER}"
    )
    rows = (
        row
        for batch in run.warehouse.query_columns(sql)
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    for wallet, found in groupby(rows, key=itemgetter(0)):
        yield wallet, (GrossRow(*row[1:]) for row in found)


def _values(pairs: SlicePairs, mapped: Ints, found: Ints) -> dict[str, Any]:
    """The states with what the balance cost and is worth; one share is worth its payout or its mark."""
    facts, state = pairs.tokens.facts.of(pairs.places[mapped]), pairs.folded.state[mapped]
    balance = state[:, valuation.HELD] - state[:, valuation.BURNED] + state[:, valuation.EXTERNAL]
    average, mark = found[:, 1], facts.marks[:, 0]
    numerator, denominator = facts.settlement[:, 0], np.maximum(facts.settlement[:, 1], 1)
    is_resolved = facts.settlement[:, 1] > 0
    lots, rest = np.divmod(balance, denominator)
    value = np.where(is_resolved, lots * numerator + rest * numerator // denominator, worth(balance, mark))
    is_unmarked = ~is_resolved & np.equal(mark, NO_MARK) & (balance > 0)
    value[is_unmarked | (balance == 0)] = 0
    # Averages may be negative after conversions; the division truncates toward zero.
    entry_cost = np.sign(average) * worth(balance, np.abs(average))
    return {
        "avg_price_e6": numbers(average), "tracked": numbers(found[:, 0]), "balance": numbers(balance),
        "bought": numbers(found[:, 3]), "realized": numbers(found[:, 2]), "entry_cost": numbers(entry_cost),
        "value": numbers(value, unknown=is_unmarked),
        "unrealized": numbers(value - entry_cost, unknown=is_unmarked),
    }  # fmt: skip
