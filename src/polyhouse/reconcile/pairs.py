"""Our positions, one by one, against the list of closed ones and the two lists of the first Data API.

Kinds of comparison, ours − theirs, all before fees:

``closed_pnl``    PnL of a token against ``/v2/positions?status=CLOSED``, where they list it or ours is closed.
``closed_shares`` shares we still hold of a token that they call closed.
``v1_pnl``        PnL of a token against ``/positions`` (cashPnl + realizedPnl) and ``/closed-positions``.
``v1_shares``     shares held of a token against the same.
``v1_pnl_total``  the sum of both lists against the wallet's lifetime PnL.

A list counts only where it was read to its end; then what is missing in it is a difference, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from polyhouse.ports import Warehouse
from polyhouse.reconcile.causes import CENT, Facts, Published, likely_cause
from polyhouse.reconcile.comparison import Comparison
from polyhouse.reconcile.facts import HIDDEN_SHARES, PairFacts

_NO_TOKEN = bytes(32)
_NOBODY = Facts()


@dataclass(slots=True)
class _List:
    """One list of a wallet, read to its end: token → (shares, PnL, time of the answer)."""

    seen_at: int
    pairs: dict[bytes, tuple[int, int, int]] = field(default_factory=dict)


def compare_pairs(
    warehouse: Warehouse, scope: str, wallets: Mapping[bytes, tuple[int, Facts]], ours: PairFacts
) -> Iterator[Comparison]:
    """Compare every list that was read to its end.

    Args:
        warehouse: with ``reported_pairs``.
        scope: SQL condition on ``wallet``.
        wallets: wallet → (PnL gross of fees, facts).
        ours: pair → (shares held, PnL gross of fees, facts).
    """
    by_wallet: defaultdict[bytes, dict[bytes, tuple[int, int, Facts]]] = defaultdict(dict)
    for (wallet, token), values in ours.items():
        by_wallet[wallet][token] = values
    held_by_them = _open_tokens(warehouse, scope)
    for wallet, lists in _lists(warehouse, scope).items():
        mine = by_wallet.get(wallet, {})
        if closed := lists.get("v2-closed"):
            listed = held_by_them.get(wallet, set())
            hidden = {token for token, (held, _, _) in mine.items() if held >= HIDDEN_SHARES or token in listed}
            yield from _against(wallet, "closed", closed, mine, hidden)
        first, second = lists.get("v1-closed"), lists.get("v1-open")
        if first and second:
            both = _List(min(first.seen_at, second.seen_at), first.pairs | second.pairs)
            yield from _against(wallet, "v1", both, mine, set())
            total, known = wallets.get(wallet, (0, _NOBODY))
            theirs = sum(pnl for _, pnl, _ in both.pairs.values())
            cause = likely_cause(total - theirs, known, Published())
            yield Comparison(wallet, "v1_pnl_total", "", total, theirs, cause, both.seen_at)


def shares_cause(difference: int, known: Facts, *, missing: bool) -> str:
    """Why a balance differs: what we never saw, what moved without a trade, or what an unnamed token hides."""
    if abs(difference) < HIDDEN_SHARES:
        return "equal"
    if known.has_transfers:
        return "transfer"
    if known.is_late:
        return "late_label"
    if missing or known.is_short:
        return "missing_history"
    if known.has_conversions:
        return "conversion"
    return "unredeemed_loser" if known.unredeemed_losses else "unknown"


def _against(
    wallet: bytes,
    prefix: str,
    theirs: _List,
    mine: Mapping[bytes, tuple[int, int, Facts]],
    left_out: set[bytes],
) -> Iterator[Comparison]:
    """Every pair of a list, and every pair of ours that is not in it and should be.

    Args:
        wallet: whose.
        prefix: of the kinds.
        theirs: the list.
        mine: token → (shares held, PnL, facts).
        left_out: tokens of ours that do not belong into such a list.
    """
    for token, (shares, pnl, ts) in theirs.pairs.items():
        held, gross, known = mine.get(token, (0, 0, _NOBODY))
        missing, name = token not in mine, str(int.from_bytes(token, "big"))
        cause = shares_cause(held - shares, known, missing=missing)
        yield Comparison(wallet, f"{prefix}_shares", name, held, shares, cause, ts)
        cause = likely_cause(gross - pnl, known, Published())
        if missing and cause != "equal":
            cause = "missing_history"
        yield Comparison(wallet, f"{prefix}_pnl", name, gross, pnl, cause, ts)
    for token, (held, gross, known) in mine.items():
        if token in theirs.pairs or token in left_out:
            continue
        name = str(int.from_bytes(token, "big"))
        if held >= HIDDEN_SHARES:
            cause = shares_cause(held, known, missing=False)
            yield Comparison(wallet, f"{prefix}_shares", name, held, 0, cause, theirs.seen_at)
        if abs(gross) >= CENT:
            yield Comparison(wallet, f"{prefix}_pnl", name, gross, 0, _unlisted(gross, known), theirs.seen_at)


def _unlisted(gross: int, known: Facts) -> str:
    """Why a pair of ours with a result is in none of their lists."""
    if known.has_transfers:
        return "transfer"
    if known.has_conversions:
        return "conversion"
    return likely_cause(gross, known, Published())


def _lists(warehouse: Warehouse, scope: str) -> dict[bytes, dict[str, _List]]:
    """Wallet → list → its rows, of the newest run that read it to its end."""
    rows = warehouse.query(
        "SELECT wallet, toString(series), run, token, shares, realized + unrealized, toUnixTimestamp(seen_at)"
        f" FROM reported_pairs FINAL WHERE {scope}"
    ).rows
    ends = {
        (bytes(wallet), str(series)): (run, int(ts))
        for wallet, series, run, token, _, _, ts in rows
        if bytes(token) == _NO_TOKEN
    }
    found: defaultdict[bytes, dict[str, _List]] = defaultdict(dict)
    for (wallet, series), (_, ts) in ends.items():
        found[wallet][series] = _List(ts)
    for wallet, series, run, token, shares, pnl, ts in rows:
        key, name = bytes(wallet), bytes(token)
        if name != _NO_TOKEN and ends.get((key, str(series)), (None, 0))[0] == run:
            found[key][str(series)].pairs[name] = int(shares), int(pnl), int(ts)
    return found


def _open_tokens(warehouse: Warehouse, scope: str) -> dict[bytes, set[bytes]]:
    """Wallet → tokens that they list as open."""
    found: defaultdict[bytes, set[bytes]] = defaultdict(set)
    for wallet, token in warehouse.query(
        "SELECT wallet, token FROM reported_positions FINAL WHERE status != 'GONE' AND (wallet, run) IN"
        f" (SELECT wallet, max(run) FROM reported_positions FINAL WHERE {scope} GROUP BY wallet) AND {scope}"
    ).rows:
        found[bytes(wallet)].add(bytes(token))
    return found
