"""Wallets whose models lag behind their rows, because the run that wrote the rows did not live to see them rebuilt.

The next build takes them along (``reorg.wallets_to_rebuild``). Naming one too many costs a little time; one too few
would leave a wrong number standing until somebody trades again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polyhouse.ports import Warehouse
from polyhouse.sync.reorg import REBUILD_NOTE
from polyhouse.sync.store import RunState

_MOST_NAMED = 20_000


def remember_unbuilt(state: RunState, wallets: Iterable[bytes] | None) -> None:
    """The models of these wallets must be built again; None = of all."""
    more = None if wallets is None else {wallet.hex() for wallet in wallets}
    if more is not None and not more:
        return

    def joined(known: Any) -> Any:
        if known == "all" or more is None:
            return "all"
        names = {*(known or ()), *more}
        return "all" if len(names) > _MOST_NAMED else sorted(names)

    state.change_note(REBUILD_NOTE, joined)


def forget_unbuilt(state: RunState, wallets: Iterable[bytes]) -> None:
    """The models of these wallets were built; those of others that were named still wait."""
    built = {wallet.hex() for wallet in wallets}

    def rest(known: Any) -> Any:
        return known if known == "all" else [name for name in known or () if name not in built] or None

    if state.get_note(REBUILD_NOTE):
        state.change_note(REBUILD_NOTE, rest)


def wallets_of_run(warehouse: Warehouse, run: int) -> set[bytes] | None:
    """Wallets of which a run wrote rows; None = too many to name."""
    rows = warehouse.query(
        "SELECT DISTINCT wallet FROM observations WHERE run = {run:UInt64} LIMIT {most:UInt32}",
        {"run": run, "most": _MOST_NAMED + 1},
    ).rows
    return None if len(rows) > _MOST_NAMED else {bytes(row[0]) for row in rows}
