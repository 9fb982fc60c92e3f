"""What our models know about wallets and positions that may explain a difference."""

from __future__ import annotations

from collections.abc import Sequence

from polyhouse.ports import Warehouse
from polyhouse.reconcile.causes import Facts

HIDDEN_SHARES = 100_000
"""Positions below 0.1 share are not published."""
PairFacts = dict[tuple[bytes, bytes], tuple[int, int, Facts]]
"""(wallet, token) → (shares held, PnL gross of fees, facts)."""
_LATE = {"unmapped", "resolution"}
_SETTLED_LOSER = "status = 'SETTLED' AND settled_value = 0 AND shares > 0 AND realized < 0"


def scope_of(wallets: Sequence[bytes] | None) -> str:
    """SQL condition on ``wallet``: these, or all of them."""
    if wallets is None:
        return "1"
    ids = ", ".join(f"unhex('{wallet.hex()}')" for wallet in wallets)
    return f"wallet IN ({ids})" if ids else "0"


def wallet_facts(warehouse: Warehouse, scope: str) -> dict[bytes, tuple[int, Facts]]:
    """Wallet → (PnL gross of fees with the marks there are, facts)."""
    moved = {
        bytes(wallet): (transfers > 0, conversions > 0)
        for wallet, transfers, conversions in warehouse.query(
            "SELECT wallet, countIf(kind IN ('TRANSFER_IN', 'TRANSFER_OUT')), countIf(kind = 'CONVERT')"
            f" FROM ledger FINAL WHERE {scope} GROUP BY wallet"
        ).rows
    }
    reasons = {
        bytes(wallet): set(words)
        for wallet, words in warehouse.query(
            f"SELECT wallet, provisional FROM wallet_coverage FINAL WHERE {scope}"
        ).rows
    }
    sums = {
        bytes(wallet): values
        for wallet, *values in warehouse.query(
            f"SELECT wallet, sum(bought), -sumIf(realized, {_SETTLED_LOSER}),"
            " max(untracked_shares > 0), max(external_shares > 0 OR basis_out != 0)"
            f" FROM positions FINAL WHERE {scope} GROUP BY wallet"
        ).rows
    }
    found = {}
    for wallet, realized, unrealized, marked, fees, fills in warehouse.query(
        "SELECT wallet, realized, unrealized, unrealized_marked, fees, trades FROM wallet_totals FINAL"
        f" WHERE category = 'overall' AND `window` = 'lifetime' AND {scope}"
    ).rows:
        key = bytes(wallet)
        bought, lost, is_short, has_external = sums.get(key, (0, 0, False, False))
        transfers, conversions = moved.get(key, (False, False))
        why = reasons.get(key, set())
        found[key] = realized + marked + fees, Facts(
            fees=fees, unrealized=unrealized, fills=fills, bought=bought, unredeemed_losses=lost,
            is_late=bool(why & _LATE), is_short=bool(is_short),
            has_transfers=transfers or bool(has_external) or "shares_differ" in why, has_conversions=conversions,
        )  # fmt: skip
    return found


def position_facts(warehouse: Warehouse, scope: str) -> PairFacts:
    """Every pair that a wallet whose positions were published ever had."""
    rows = warehouse.query(
        "SELECT p.wallet, p.token, p.shares + p.external_shares, p.realized + ifNull(p.unrealized, 0) + p.fees, p.fees,"
        " p.unrealized, p.bought, if(p.status = 'SETTLED' AND p.settled_value = 0 AND p.shares > 0 AND p.realized < 0,"
        " -p.realized, 0), p.untracked_shares > 0, p.external_shares > 0 OR p.basis_out != 0 OR t.transfers > 0,"
        " t.conversions > 0, t.fills"
        f" FROM (SELECT * FROM positions FINAL WHERE {scope}) AS p LEFT JOIN (SELECT wallet, token,"
        " countIf(kind IN ('TRANSFER_IN', 'TRANSFER_OUT')) AS transfers, countIf(kind = 'CONVERT') AS conversions,"
        f" countIf(kind IN ('BUY', 'SELL')) AS fills FROM ledger FINAL WHERE {scope} GROUP BY wallet, token) AS t"
        " ON t.wallet = p.wallet AND t.token = p.token"
        f" WHERE p.wallet IN (SELECT wallet FROM reported_positions WHERE {scope} UNION DISTINCT"
        f" SELECT wallet FROM reported_pairs WHERE {scope})"
    ).rows
    return {
        (bytes(wallet), bytes(token)): (
            held, pnl,
            Facts(
                fees=fees, unrealized=unrealized, fills=fills, bought=bought, unredeemed_losses=lost,
                is_short=bool(is_short), has_transfers=bool(transfers), has_conversions=bool(conversions),
            ),
        )
        for wallet, token, held, pnl, fees, unrealized, bought, lost, is_short, transfers, conversions, fills in rows
    }  # fmt: skip
