"""The pnl-subgraph's ``userPositions``, one by one, against what its rules make of our stored logs (accounting §2.9).

Kinds of comparison: ``parity_amount`` and ``parity_bought`` in micro-shares, ``parity_avg_price`` in 10^-6 USDC a
share, ``parity_realized`` in micro-USDC; ``detail`` is the token id as the subgraph prints it. Both sides follow the
same integer rules, so that a difference always has a reason outside of them:

``stale``           the figure was written down before the newest log of this position.
``late_label``      a log of the wallet names a market that nobody knows yet, or the id means no token.
``missing_history`` the stored logs do not reach back to the first contract, or the figures come from a part of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from polyhouse.ledger.parity import SubgraphPosition
from polyhouse.ports import Warehouse
from polyhouse.reconcile.comparison import Comparison, Reconciliation
from polyhouse.reconcile.facts import scope_of

KINDS = ("parity_amount", "parity_avg_price", "parity_realized", "parity_bought")
_NO_TOKEN = bytes(32)
_NOTHING = SubgraphPosition()
Pair = tuple[bytes, bytes]


def published_users(warehouse: Warehouse) -> list[bytes]:
    """Every user of whom ``userPositions`` are stored."""
    rows = warehouse.query("SELECT DISTINCT wallet FROM published_positions ORDER BY wallet").rows
    return [bytes(wallet) for (wallet,) in rows]


def compare_parity(
    warehouse: Warehouse,
    users: list[bytes],
    positions: Mapping[Pair, SubgraphPosition],
    last_ts: Mapping[Pair, int],
    *,
    unlabelled: Set[bytes],
    is_whole: bool,
) -> Reconciliation:
    """Compare the stored ``userPositions`` of these users with ours.

    Positions that hold nothing, never bought and realised nothing are no positions on either side.

    Args:
        warehouse: with ``published_positions``.
        users: whose; users without a stored figure are passed over.
        positions: (user, token) → what the rules make of the stored logs.
        last_ts: (user, token) → time of the last log that touched it.
        unlabelled: users with logs of unknown markets.
        is_whole: the stored logs reach back to the first contract without a hole.
    """
    result = Reconciliation()
    asked: set[bytes] = set()
    seen: set[Pair] = set()

    def cause(pair: Pair, theirs_ts: int) -> str:
        if theirs_ts and theirs_ts < last_ts.get(pair, 0):
            return "stale"
        if pair[0] in unlabelled or pair[1] == _NO_TOKEN:
            return "late_label"
        return "missing_history" if not theirs_ts or not is_whole or pair not in positions else "unknown"

    def add(pair: Pair, name: str, theirs: SubgraphPosition, ts: int) -> None:
        ours = positions.get(pair, _NOTHING)
        for kind, mine, other in zip(KINDS, _figures(ours), _figures(theirs), strict=True):
            # Where nothing is held the average says nothing: it is what happened to be left.
            equal = mine == other or (kind == "parity_avg_price" and not ours.amount and not theirs.amount)
            why = "equal" if equal else cause(pair, ts)
            result.add(Comparison(pair[0], kind, name, mine, other, why, ts))

    for user, name, token, *figures, ts in _published(warehouse, users):
        pair = bytes(user), bytes(token)
        asked.add(pair[0])
        seen.add(pair)
        add(pair, str(name), SubgraphPosition(*figures), int(ts))
    for pair, ours in positions.items():
        if pair[0] in asked and pair not in seen and (ours.amount or ours.total_bought or ours.realized_pnl):
            add(pair, str(int.from_bytes(pair[1], "big")), _NOTHING, 0)
    return result.finished()


def _figures(position: SubgraphPosition) -> tuple[int, int, int, int]:
    return position.amount, position.avg_price, position.realized_pnl, position.total_bought


def _published(warehouse: Warehouse, users: list[bytes]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(users), 1_000):
        yield from warehouse.query(
            "SELECT wallet, token_id, token, amount, avg_price_e6, realized, bought, toUnixTimestamp(seen_at)"
            f" FROM published_positions FINAL WHERE {scope_of(users[start : start + 1_000])} ORDER BY wallet, token_id"
        ).rows
