"""What commands do with the stores besides syncing: recompute touched wallets."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from polyhouse.wiring import Stores

if TYPE_CHECKING:
    from polyhouse.models.build import BuildReport
    from polyhouse.sync.progress import Reporter

MOST_TOUCHED = 100_000
"""Above so many wallets a full build is cheaper than naming them."""


def rebuild_touched(stores: Stores, wallets: Collection[bytes] | None, reporter: Reporter) -> BuildReport:
    """Recompute these wallets, those that a re-organisation took rows from, and the holders of tokens whose resolution
    changed; None = everything.
    """
    from polyhouse.models.runner import build
    from polyhouse.sync.reorg import rebuilt, wallets_to_rebuild
    from polyhouse.sync.turns import building

    with building(stores.state):
        noted = wallets_to_rebuild(stores.state)
        wallets = None if wallets is None or noted is None else {*wallets, *noted}
        total = None if wallets is None or len(wallets) > MOST_TOUCHED else len(wallets)
        reporter.phase("metrics", total, "wallets")
        report = build(stores.warehouse, None if total is None else sorted(wallets or ()))
        rebuilt(stores.state, noted)
    reporter.advance(total or 0)
    reporter.finish()
    return report
