"""Compares the model tables with what was published.

Kinds of comparison (``kind``), ours − theirs, all before fees:

``gross_of_fees``        lifetime PnL of the wallet against ``/v2/user-stats``; open positions without a mark count 0.
``gross_of_fees_series`` the same against the newest point of ``/v2/user-pnl`` that has an unrealised part.
``position_shares``      shares held of a token (external ones too) against ``/v2/positions``.
``position_pnl``         realised + unrealised of a token against ``/v2/positions``.
``subgraph_realized``    realised PnL of the wallet against imported ``userPositions`` of the pnl-subgraph (§2.9).
``benchmark``            one figure of a benchmark file (``detail`` = its metric).

Those of closed positions and of the first Data API: ``reconcile.pairs``; of the pnl-subgraph position by position:
``reconcile.parity``. Positions are compared where they were published, or where we hold at least a tenth of a share:
below that the publisher hides them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polyhouse.ports import Warehouse
from polyhouse.reconcile.causes import CENT, Facts, Published, likely_cause
from polyhouse.reconcile.comparison import Comparison, Reconciliation
from polyhouse.reconcile.facts import HIDDEN_SHARES, PairFacts, position_facts, scope_of, wallet_facts
from polyhouse.reconcile.pairs import compare_pairs, shares_cause


def compare(warehouse: Warehouse, wallets: Sequence[bytes] | None = None) -> Reconciliation:
    """Every comparison that the stored published numbers allow, by wallet.

    Args:
        warehouse: with built models.
        wallets: only these; None = every wallet with published numbers.
    """
    scope = scope_of(wallets)
    facts, pairs = wallet_facts(warehouse, scope), position_facts(warehouse, scope)
    result = Reconciliation()
    for found in (
        _points(warehouse, scope, facts),
        _positions(warehouse, scope, pairs),
        compare_pairs(warehouse, scope, facts, pairs),
        _subgraph(warehouse, scope, facts),
    ):
        for comparison in found:
            result.add(comparison)
    return result.finished()


def _points(warehouse: Warehouse, scope: str, facts: dict[bytes, tuple[int, Facts]]) -> Iterator[Comparison]:
    rows = warehouse.query(
        "SELECT wallet, series, argMax((gross_pnl, fees_paid, unrealized, fills, toUnixTimestamp(ts)), ts)"
        f" FROM reported_pnl FINAL WHERE has_unrealized AND {scope} GROUP BY wallet, series"
    ).rows
    for wallet, series, (theirs, fees, unrealized, fills, ts) in rows:
        ours, known = facts.get(bytes(wallet), (0, Facts()))
        kind = "gross_of_fees" if series == "user-stats" else "gross_of_fees_series"
        cause = likely_cause(ours - theirs, known, Published(fees, unrealized, fills))
        yield Comparison(bytes(wallet), kind, "", ours, theirs, cause, ts)


def _positions(warehouse: Warehouse, scope: str, ours: PairFacts) -> Iterator[Comparison]:
    asked = set[bytes]()
    seen = set[tuple[bytes, bytes]]()
    rows = warehouse.query(
        "SELECT wallet, token, if(status = 'GONE', 0, shares), if(status = 'GONE', NULL, realized + unrealized),"
        " unrealized, toUnixTimestamp(seen_at) FROM reported_positions FINAL WHERE (wallet, run) IN"
        f" (SELECT wallet, max(run) FROM reported_positions FINAL WHERE {scope} GROUP BY wallet) AND {scope}"
    ).rows
    for wallet, token, shares, theirs, unrealized, ts in rows:
        key = bytes(wallet), bytes(token)
        asked.add(key[0])
        seen.add(key)
        held, pnl, known = ours.get(key, (0, 0, Facts()))
        name = str(int.from_bytes(key[1], "big"))
        missing = key not in ours
        yield Comparison(
            key[0], "position_shares", name, held, shares, shares_cause(held - shares, known, missing=missing), ts
        )
        if theirs is not None:
            cause = likely_cause(pnl - theirs, known, Published(unrealized=unrealized))
            if missing and abs(pnl - theirs) >= CENT:
                cause = "missing_history"
            yield Comparison(key[0], "position_pnl", name, pnl, theirs, cause, ts)
    for key, (held, _, known) in ours.items():
        if key[0] in asked and key not in seen and held >= HIDDEN_SHARES:
            name = str(int.from_bytes(key[1], "big"))
            yield Comparison(key[0], "position_shares", name, held, 0, shares_cause(held, known, missing=False))


def _subgraph(warehouse: Warehouse, scope: str, facts: dict[bytes, tuple[int, Facts]]) -> Iterator[Comparison]:
    rows = warehouse.query(f"SELECT wallet, sum(realized) FROM published_positions FINAL WHERE {scope} GROUP BY wallet")
    for wallet, theirs in rows.rows:
        total, known = facts.get(bytes(wallet), (0, Facts()))
        ours = total - (known.unrealized or 0)
        yield Comparison(
            bytes(wallet), "subgraph_realized", "", ours, theirs, likely_cause(ours - theirs, known, Published())
        )
