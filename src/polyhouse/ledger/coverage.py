"""Where the history of wallets came from, and why their numbers may still move, on columns.

Reasons:
    conversion: its legs were read from REST.
    fills_only: some fills are known only from a source that tells neither refunds nor position changes (an old
        subgraph, a dump of orders).
    unseen_shares: sold, redeemed or converted more than ever arrived.
    resolution: the payout is not proven.
    redemption: worthless shares were burned, and the source does not say how many. Before 2026-08-10 a REST redemption
        names no amounts (accounting §1.10); cash proves those of a winner, but nothing proves how many were left.
    shares_differ: Polymarket reports another balance, or paid for one: a transfer, which REST does not show.
    unmapped: rows of tokens nobody could name yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polyhouse.ledger import valuation
from polyhouse.ledger.columns import EXTRA, ROW, Bytes, Ints, LedgerColumns
from polyhouse.ledger.fold import WHOLE_BALANCE, Kind
from polyhouse.ledger.valuation import Flags, TokenFacts, Valued

REASONS = (
    "conversion", "fills_only", "redemption", "resolution", "shares_differ", "unmapped", "unseen_shares",
)  # fmt: skip
"""In the order in which a wallet's reasons are told."""
COVERAGES = ("rest", "chain", "mixed")

_CHAIN_SOURCE, _SUBGRAPH, _DUMP = 1, 4, 5
"""Numbers of ``ledger.source``."""
REST, CHAIN, MIXED = range(3)
"""Places in ``COVERAGES``."""
_ROUNDING = 100
"""Micro-USDC by which a redemption of everything may differ from what was settled: one a call and outcome."""
_LEAST_DIFFERENCE = 100_000
"""Polymarket hides positions below 0.1 share (micro-shares), so smaller differences say nothing."""


@dataclass(frozen=True, slots=True)
class Balances:
    """What wallets hold: of each position the place of its wallet, its token (32 bytes) and its micro-shares."""

    owner: Ints
    tokens: Bytes
    shares: Ints


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of n wallets where they are covered from (places in ``COVERAGES``), and which ``REASONS`` hold (n × all)."""

    covered: Ints
    reasons: Flags


def covered(
    columns: LedgerColumns, wallet: Ints, mapped: Ints, facts: TokenFacts, provisional: Flags, valued: Valued
) -> Coverage:
    """What the rows and positions of wallets say.

    Args:
        columns: rows of pairs. wallet: place of each pair's wallet, ascending from 0.
        mapped: the pairs whose token is known; ``facts``, ``provisional`` (its resolution is not proven) and
            ``valued`` belong to them.
    """
    count = int(wallet[-1]) + 1 if len(wallet) else 0
    row_pair = np.repeat(np.arange(len(wallet)), np.diff(columns.starts))
    source, kind = columns.extra[:, EXTRA.index("source")], columns.rows[:, ROW.index("kind")]
    amount = columns.rows[:, ROW.index("amount")]
    is_rest = source != _CHAIN_SOURCE
    has_rest, has_chain = (_any(wallet[row_pair[chosen]], count) for chosen in (is_rest, ~is_rest))
    reasons = np.zeros((count, len(REASONS)), dtype=bool)
    state = valued.state
    settled = np.where(valued.is_resolved, state[:, valuation.HELD], 0)
    is_redeemed = (kind == int(Kind.REDEEM)) & is_rest
    told_nothing, redeemed = (
        np.isin(mapped, row_pair[chosen]) for chosen in (is_redeemed & (amount == WHOLE_BALANCE), is_redeemed)
    )
    is_fill_only = (source == _SUBGRAPH) | (source == _DUMP)
    by_rows = {
        "conversion": (kind == int(Kind.CONVERT)) & is_rest & ~is_fill_only,
        "fills_only": is_fill_only,
    }
    by_pairs = {
        "unseen_shares": state[:, valuation.UNTRACKED_SHARES] > 0,
        "resolution": (settled > 0) & valued.is_resolved & provisional,
        "redemption": told_nothing & valued.is_resolved & (facts.settlement[:, 0] == 0) & (settled > 0),
        "shares_differ": _paid_otherwise(wallet[mapped], facts.condition, redeemed, valued),
    }
    for name, chosen in by_rows.items():
        reasons[:, REASONS.index(name)] = _any(wallet[row_pair[chosen]], count)
    for name, chosen in by_pairs.items():
        reasons[:, REASONS.index(name)] = _any(wallet[mapped[chosen]], count)
    return Coverage(np.where(has_rest & has_chain, MIXED, np.where(has_rest, REST, CHAIN)), reasons)


def differing(ours: Balances, theirs: Balances, count: int) -> Flags:
    """Which of ``count`` wallets hold something else than Polymarket reports."""
    owner, tokens = np.concatenate([ours.owner, theirs.owner]), np.concatenate([ours.tokens, theirs.tokens])
    keys = np.column_stack([tokens, owner.astype(">u4").view(np.uint8).reshape(-1, 4)])
    _, group = np.unique(np.ascontiguousarray(keys).view(f"S{keys.shape[1]}").ravel(), return_inverse=True)
    difference = _sums(group, np.concatenate([ours.shares, -theirs.shares]))
    return _any(owner[np.abs(difference)[group] >= _LEAST_DIFFERENCE], count)


def _paid_otherwise(wallet: Ints, condition: Ints, redeemed: Flags, valued: Valued) -> Flags:
    """A redemption of everything pays what we settled: else the balance was another."""
    key = wallet * (int(condition.max(initial=0)) + 1) + condition
    _, group = np.unique(key, return_inverse=True)
    cash, shares, settled, hits = (
        _sums(group, values)
        for values in (
            valued.state[:, valuation.REDEEMED_CASH], valued.shares, valued.state[:, valuation.SETTLED_VALUE],
            redeemed.astype(np.int64),
        )
    )  # fmt: skip
    found: Flags = ((hits > 0) & (cash > 0) & (shares == 0) & (np.abs(cash - settled) > _ROUNDING))[group]
    return found


def _sums(group: Ints, values: Ints) -> Ints:
    sums = np.zeros(int(group.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(sums, group, values)
    return sums


def _any(places: Ints, count: int) -> Flags:
    """Which of the places 0 … count − 1 are named."""
    found = np.zeros(count, dtype=bool)
    found[places] = True
    return found
