"""Compares the model tables with what was published, and keeps the history of the differences.

Kinds of comparison (``kind``), ours − theirs, all before fees:

``gross_of_fees``        lifetime PnL of the wallet against ``/v2/user-stats``; open positions without a mark count 0.
``gross_of_fees_series`` the same against the newest point of ``/v2/user-pnl`` that has an unrealised part.
``position_shares``      shares held of a token (external ones too) against ``/v2/positions``, where they differ.
``position_pnl``         realised + unrealised of a token against ``/v2/positions``, where they differ.
``subgraph_realized``    realised PnL of the wallet against imported ``userPositions`` of the pnl-subgraph (§2.9).
``benchmark``            one figure of a benchmark file (``detail`` = its metric).

Positions are compared where they were published, or where we hold at least a tenth of a share: below that the
publisher hides them. Wallet-level rows are always kept, position-level rows where they differ.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from polyhouse.ports import Warehouse
from polyhouse.reconcile.causes import CENT, Facts, Published, likely_cause
from polyhouse.reconcile.facts import position_facts, scope_of, wallet_facts
from polyhouse.tables import Columns

HIDDEN_SHARES = 100_000
"""Positions below 0.1 share are not published."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of our numbers beside a published one; micro-USDC, for ``position_shares`` micro-shares."""

    wallet: bytes
    kind: str
    detail: str
    ours: int
    theirs: int
    cause: str
    theirs_ts: int = 0

    @property
    def difference(self) -> int:
        """Ours − theirs."""
        return self.ours - self.theirs


def compare(warehouse: Warehouse, wallets: Sequence[bytes] | None = None) -> list[Comparison]:
    """Every comparison that the stored published numbers allow, by wallet.

    Args:
        warehouse: with built models.
        wallets: only these; None = every wallet with published numbers.
    """
    scope = scope_of(wallets)
    facts = wallet_facts(warehouse, scope)
    found = [*_points(warehouse, scope, facts), *_positions(warehouse, scope), *_subgraph(warehouse, scope, facts)]
    return sorted(found, key=lambda row: (row.wallet, row.kind, row.detail))


def store(warehouse: Warehouse, rows: Sequence[Comparison], *, run: int, as_of: int | None = None) -> int:
    """Keep comparisons in table ``reconciliation`` and return their number.

    Args:
        run: id of this run; the history is one set of rows a run.
        as_of: time of our numbers, Unix seconds; now by default.
    """
    if not rows:
        return 0
    columns: Columns = {
        "as_of": [int(time.time()) if as_of is None else as_of] * len(rows),
        "theirs_ts": [row.theirs_ts for row in rows],
        "difference": [row.difference for row in rows],
    }
    for name in ("wallet", "kind", "detail", "ours", "theirs", "cause"):
        columns[name] = [getattr(row, name) for row in rows]
    return warehouse.write("reconciliation", columns, run=run, token=f"reconcile:{run}")


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


def _positions(warehouse: Warehouse, scope: str) -> Iterator[Comparison]:
    ours = position_facts(warehouse, scope)
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
        if abs(held - shares) >= HIDDEN_SHARES:
            yield Comparison(key[0], "position_shares", name, held, shares, _shares_cause(known, missing=missing), ts)
        if theirs is not None and abs(pnl - theirs) >= CENT:
            cause = likely_cause(pnl - theirs, known, Published(unrealized=unrealized))
            yield Comparison(key[0], "position_pnl", name, pnl, theirs, "missing_history" if missing else cause, ts)
    for key, (held, _, known) in ours.items():
        if key[0] in asked and key not in seen and held >= HIDDEN_SHARES:
            name = str(int.from_bytes(key[1], "big"))
            yield Comparison(key[0], "position_shares", name, held, 0, _shares_cause(known, missing=False))


def _shares_cause(known: Facts, *, missing: bool) -> str:
    """Why a balance differs: what we never saw, what moved without a trade, or what an unnamed token hides."""
    if known.has_transfers:
        return "transfer"
    if known.is_late:
        return "late_label"
    if missing or known.is_short:
        return "missing_history"
    if known.has_conversions:
        return "conversion"
    return "unredeemed_loser" if known.unredeemed_losses else "unknown"


def _subgraph(warehouse: Warehouse, scope: str, facts: dict[bytes, tuple[int, Facts]]) -> Iterator[Comparison]:
    rows = warehouse.query(f"SELECT wallet, sum(realized) FROM published_positions FINAL WHERE {scope} GROUP BY wallet")
    for wallet, theirs in rows.rows:
        total, known = facts.get(bytes(wallet), (0, Facts()))
        ours = total - (known.unrealized or 0)
        yield Comparison(
            bytes(wallet), "subgraph_realized", "", ours, theirs, likely_cause(ours - theirs, known, Published())
        )
