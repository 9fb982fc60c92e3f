"""The pairs of one wallet slice: its ledger rows read, and folded to the state of every (wallet, token).

Large slices are folded as compiled columns, small ones by the objects that define the rules (compiling takes longer
than they do), and so are wallets whose basis moves between tokens. All say the same; tests hold them equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polyhouse.ledger.columns import Bytes, Ints, LedgerColumns, differs, gather, in_chain_order
from polyhouse.ledger.compiled import pays
from polyhouse.ledger.fold import Holding, Kind, Settlement, fold_pair
from polyhouse.ledger.states import Folded, Steps, folded_from
from polyhouse.ledger.valuation import Flags
from polyhouse.models.build import Build
from polyhouse.models.joined import fold_joined_wallets
from polyhouse.models.token_facts import KnownTokens
from polyhouse.warehouse.streaming import BULK

COMPILED_FROM = 50_000
"""Rows of a slice from which on compiling pays."""

FOLD_ROWS = 500_000
"""Rows of a slice that is folded: arrays below 32 MB are used again, larger ones asked for anew each time."""

_ROWS = "toUnixTimestamp(ts) AS at, block, tx_index, pos, toInt8(kind) AS number, ds, du, fee, amount"
_EXTRA = "volume, kind IN ('BUY', 'SELL') AND label = '' AS is_fill, usdc_gross, shares_gross, toInt8(source)"
_MOMENT = "wallet, token, ts, block, tx_index, pos"
_ORDER = f"{_MOMENT}, cls, sub, tx, row_key"


@dataclass(frozen=True, slots=True)
class SlicePairs:
    """The n pairs of one wallet slice, in order of wallet and token.

    Attributes:
        columns: their ledger rows; the zero token stands for what belongs to no token.
        tokens: what is known of tokens.
        places: of each pair's token among them; −1 = none.
        wallet: place of each pair's wallet among those of the slice, ascending.
        folded: their states; zeros where there is no token.
    """

    columns: LedgerColumns
    tokens: KnownTokens
    places: Ints
    wallet: Ints
    folded: Folded

    @property
    def mapped(self) -> Ints:
        """The pairs whose token is known."""
        return np.flatnonzero(self.places >= 0)

    @property
    def wallets(self) -> Bytes:
        """The wallets of the slice, by their place."""
        first = np.ones(len(self.wallet), dtype=bool)
        first[1:] = self.wallet[1:] != self.wallet[:-1]
        return self.columns.wallets[first]

    @property
    def steps(self) -> Steps:
        """The steps that folding took; their places are places of pairs."""
        return self.folded.steps


def fold_slice(run: Build, wallets: str, tokens: KnownTokens) -> SlicePairs:
    """Read and fold the ledger rows of one wallet slice.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
        tokens: at least those of the slice.
    """
    columns = in_chain_order(_ledger_rows(run, wallets))
    places, wallet = tokens.places(columns.tokens), _wallet_places(columns)
    is_joined = np.isin(wallet, wallet[columns.pairs_with(Kind.CONVERT, Kind.MIGRATE)])
    alone = columns.tokens.any(axis=1) & ~is_joined
    folded = _fold(columns, alone, places, tokens.facts.settlement, run.boundaries[::-1])
    folded = folded.replaced(_joined(run, wallets, columns, np.flatnonzero(is_joined)))
    return SlicePairs(columns, tokens, places, wallet, folded)


def _ledger_rows(run: Build, wallets: str) -> LedgerColumns:
    """The rows of a slice in the order of the ledger.

    Time and place tell nearly all of them apart; then the 40 bytes of hashes behind these need not be read. Dumps name
    no places: once rows are met that only the hashes order, all are read with them.
    """
    # One thread: what it reads goes through one pair of hands, and more threads have to put their parts in order.
    rows = f"SELECT wallet, token, {_ROWS}, {_EXTRA} FROM {run.rows_of('ledger')} WHERE {wallets}"
    for order in (_ORDER,) if run.has_ties else (_MOMENT, _ORDER):
        columns = gather(run.warehouse.query_columns(f"{rows} ORDER BY {order} {BULK}, max_threads = 1"))
        if order == _ORDER or not columns.has_ties:
            break
        run.has_ties = True
    return columns


def _wallet_places(columns: LedgerColumns) -> Ints:
    is_first = differs(columns.wallets, np.uint32)
    return np.concatenate([np.zeros(min(len(columns.wallets), 1), np.int64), np.cumsum(is_first)])


def _fold(columns: LedgerColumns, alone: Flags, places: Ints, settlements: Ints, boundaries: Sequence[int]) -> Folded:
    """States of the pairs that stand alone: tokens whose basis nothing moved to or from another token."""
    unresolved = np.zeros((1, 6), np.int64)
    resolved = np.vstack([settlements, unresolved])[places]
    starts, ends = columns.starts[:-1], columns.starts[1:]
    ends = np.where(alone, ends, starts)

    def reference(pair: int) -> Holding:
        values = resolved[pair].tolist()
        rows = columns.pair(pair) if ends[pair] > starts[pair] else ()
        return fold_pair(rows, Settlement(*values) if values[1] else None, boundaries)

    if not pays("polyhouse.ledger.fold_columns", len(columns.rows), COMPILED_FROM):
        return folded_from([reference(pair) for pair in range(len(places))], len(boundaries))
    from polyhouse.ledger.fold_columns import fold_columns

    states = fold_columns(columns.rows, starts, ends, resolved, boundaries)
    return states.replaced({pair: reference(pair) for pair in states.too_large.tolist()})


def _joined(run: Build, wallets: str, columns: LedgerColumns, joined: Ints) -> dict[int, Holding]:
    """These pairs, of wallets that converted or migrated: there basis moves between tokens."""
    if not len(joined):
        return {}
    run.stage_wallets("joined_wallets", np.unique(columns.wallets[joined], axis=0))
    keys = {columns.wallets[pair].tobytes() + columns.tokens[pair].tobytes(): pair for pair in joined.tolist()}
    ledger, tokens = run.place_of("ledger"), run.place_of("token_map")
    folded = fold_joined_wallets(run.warehouse, ledger, tokens, wallets, run.boundaries[::-1])
    return {keys[wallet + token]: holding for wallet, holdings in folded for token, holding in holdings.items()}
