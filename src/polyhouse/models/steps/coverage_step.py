"""``wallet_coverage`` of one wallet slice: where the numbers come from, and why they may still move."""

from __future__ import annotations

import numpy as np

from polyhouse.ledger import valuation
from polyhouse.ledger.columns import Bytes, Ints, binary_cells
from polyhouse.ledger.coverage import COVERAGES, MIXED, REASONS, Balances, covered, differing
from polyhouse.ledger.valuation import Valued
from polyhouse.models.arrow_columns import binary, lists, names, numbers
from polyhouse.models.build import Build
from polyhouse.models.pairs import SlicePairs
from polyhouse.models.token_facts import places_of
from polyhouse.warehouse.streaming import BULK

_NOTED = (
    "SELECT wallet, toUInt32(0) AS seen_at FROM {unmapped} WHERE {wallets} GROUP BY wallet"
    " UNION ALL SELECT wallet, toUnixTimestamp(max(seen_at)) FROM reported_values WHERE {wallets} GROUP BY wallet"
    " {bulk}"
)
"""Wallets of which rows are unmapped (0), or that Polymarket was asked about: Unix seconds."""
_REPORTED = (
    "SELECT wallet, token, sum(shares) FROM reported_positions FINAL WHERE {wallets} AND (wallet, run) IN"
    " (SELECT wallet, max(run) FROM reported_positions WHERE {wallets} GROUP BY wallet) GROUP BY wallet, token {bulk}"
)
_BYTES = 20


def build_coverage(run: Build, wallets: str, pairs: SlicePairs, valued: Valued) -> None:
    """Write the coverage of a slice's wallets.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
        pairs: of the slice, folded.
        valued: those whose token is known.
    """
    import pyarrow as pa

    noted, seen_at = _rows(run, _NOTED.format(unmapped=run.rows_of("unmapped"), wallets=wallets, bulk=BULK))
    known = pairs.wallets
    others = noted[places_of(noted, known) < 0]
    everybody = np.concatenate([known, np.unique(others, axis=0)])
    place = places_of(noted, everybody)
    facts = pairs.tokens.facts.of(pairs.places[pairs.mapped])
    provisional = pairs.tokens.provisional[pairs.places[pairs.mapped]]
    told = covered(pairs.columns, pairs.wallet, pairs.mapped, facts, provisional, valued)
    # Of a wallet without rows in the ledger nothing says where it comes from.
    where = np.concatenate([told.covered, np.full(len(everybody) - len(known), MIXED)])
    reasons = np.concatenate([told.reasons, np.zeros((len(everybody) - len(known), len(REASONS)), dtype=bool)])
    reasons[place[seen_at == 0], REASONS.index("unmapped")] = True
    asked = np.full(len(everybody), -1, dtype=np.int64)
    asked[place[seen_at > 0]] = seen_at[seen_at > 0]
    if (asked >= 0).any():
        reasons[:, REASONS.index("shares_differ")] |= _differing(run, wallets, pairs, valued, everybody, asked)
    # Who was only asked about has no coverage.
    kept = (np.arange(len(everybody)) < len(known)) | reasons.any(axis=1)
    row, reason = np.nonzero(reasons[kept])
    starts = np.searchsorted(row, np.arange(int(kept.sum()) + 1))
    columns = dict(  # noqa: C408 - one of these words in quotes is the name of a source
        wallet=binary(everybody[kept]),
        coverage=names(where[kept], pa.array(COVERAGES)),
        provisional=lists(starts, pa.array(REASONS).take(numbers(reason))),
    )
    run.store("wallet_coverage", wallets, columns)


def _differing(
    run: Build, wallets: str, pairs: SlicePairs, valued: Valued, everybody: Bytes, asked: Ints
) -> valuation.Flags:
    """Of which wallets Polymarket reports other balances than ours; ``asked``: when (−1 = never)."""
    cells, tokens, shares = _reported(run, wallets)
    owner = places_of(cells, everybody)
    is_asked = (owner >= 0) & (np.append(asked, -1)[owner] >= 0)
    theirs = Balances(owner[is_asked], tokens[is_asked], shares[is_asked])
    own = pairs.wallet[pairs.mapped]
    chosen = np.flatnonzero(valued.state[:, valuation.LAST_TS] <= asked[own])
    held = valued.shares[chosen] + valued.state[chosen, valuation.EXTERNAL]
    ours = Balances(own[chosen], pairs.columns.tokens[pairs.mapped[chosen]], held)
    return differing(ours, theirs, len(everybody))


def _rows(run: Build, sql: str) -> tuple[Bytes, Ints]:
    """Wallets and a number of each."""
    batches = list(run.warehouse.query_columns(sql))
    cells = np.concatenate([np.zeros((0, _BYTES), np.uint8), *(binary_cells(batch.column(0)) for batch in batches)])
    return cells, np.concatenate([np.zeros(0, np.int64), *(batch.column(1).to_numpy() for batch in batches)])


def _reported(run: Build, wallets: str) -> tuple[Bytes, Bytes, Ints]:
    """Wallets, tokens and shares of the newest positions that Polymarket reported."""
    batches = list(run.warehouse.query_columns(_REPORTED.format(wallets=wallets, bulk=BULK)))
    none = np.zeros((0, _BYTES), np.uint8), np.zeros((0, 32), np.uint8)
    cells, tokens = (
        np.concatenate([none[place], *(binary_cells(batch.column(place)) for batch in batches)]) for place in range(2)
    )
    return cells, tokens, np.concatenate([np.zeros(0, np.int64), *(batch.column(2).to_numpy() for batch in batches)])
