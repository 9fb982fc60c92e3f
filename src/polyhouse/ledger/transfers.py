"""Plain transfers: what ERC-1155 movements leave unexplained after all other events of a transaction (§2.5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from polyhouse.ledger.movements import Movement
from polyhouse.ledger.registry import Registry
from polyhouse.ledger.rows import Observation

FIRST_SUB = 60_000
"""Transfer rows stand at the last log of their transaction with ``sub`` from here on: after everything else."""
_LAST_SUB = 65_535

Holding = tuple[bytes, bytes]
"""(wallet, token)."""


def share_changes(rows: Iterable[Observation], registry: Registry) -> dict[Holding, int]:
    """Signed micro-shares that the canonical rows of a transaction explain, per (wallet, token).

    A conversion of an unknown market and a redemption without amounts explain nothing.
    """
    changes: defaultdict[Holding, int] = defaultdict(int)
    for row in rows:
        if row.kind in ("BUY", "SELL", "MIGRATE"):
            arrives = row.kind == "BUY" or row.label == "to"
            changes[row.wallet, row.token] += row.shares if arrives else -row.shares
        elif row.kind in ("SPLIT", "MERGE"):
            for token in registry.tokens_of.get(row.condition, ()):
                changes[row.wallet, token] += row.shares if row.kind == "SPLIT" else -row.shares
        elif row.kind == "REDEEM":
            tokens = registry.tokens_of.get(row.condition, ())
            for token, amount in zip(tokens, row.amounts, strict=False):
                changes[row.wallet, token] -= amount
        elif row.kind == "CONVERT":
            index_set = int.from_bytes(row.index_set, "big")
            legs = registry.conversion_changes(row.condition, index_set, row.shares)
            for token, amount in (legs or {}).items():
                changes[row.wallet, token] += amount
    return changes


def transfer_rows(
    rows: Sequence[Observation], movements: Sequence[Movement], last: Observation, registry: Registry
) -> list[Observation]:
    """One TRANSFER_IN or TRANSFER_OUT row per (wallet, token) whose movements differ from its canonical changes.

    Args:
        rows: canonical rows of the transaction.
        movements: all ERC-1155 movements of the transaction. A holding that no movement touches has no residual.
        last: a row with the transaction, block and last log index of the transaction, as the template.
        registry: token → condition, and who is machinery.
    """
    moved: defaultdict[Holding, int] = defaultdict(int)
    for movement in movements:
        moved[movement.sender, movement.token] -= movement.amount
        moved[movement.to, movement.token] += movement.amount
    explained = share_changes(rows, registry)
    result: list[Observation] = []
    for holding in sorted(moved):
        wallet, token = holding
        residual = moved[holding] - explained.get(holding, 0)
        if residual == 0 or registry.is_infra(wallet):
            continue
        condition, outcome = registry.place(token)
        result.append(
            last._replace(
                wallet=wallet,
                kind="TRANSFER_IN" if residual > 0 else "TRANSFER_OUT",
                token=token,
                condition=condition,
                outcome=outcome,
                shares=abs(residual),
                # Rows of different holdings do not depend on each other's order, so a crowd may share the last number.
                sub=min(FIRST_SUB + len(result), _LAST_SUB),
            )
        )
    return result
