"""``ledger`` and ``unmapped``: which source tells what happened, one row per change of a (wallet, token)."""

from __future__ import annotations

from polyhouse.models.build import Build


def build_ledger(run: Build, wallets: str) -> None:
    """Write the ledger rows of one wallet slice, and what could not be mapped.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
    """
    # The transactions of which several sources tell, and who wins there.
    for table in ("contested", "best_claims", "chain_conditions"):
        run.stage(table, wallets)
    for table in ("unmapped", "ledger"):
        run.insert(table, wallets)
        run.bury(table, wallets)
