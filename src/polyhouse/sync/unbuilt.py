"""Wallets whose models lag behind their rows, because the run that wrote the rows did not live to see them rebuilt.

The next build takes them along (``reorg.wallets_to_rebuild``). Naming one too many costs a little time; one too few
would leave a wrong number standing until somebody trades again.
"""

from __future__ import annotations

from collections.abc import Iterable

from polyhouse.ports import Warehouse
from polyhouse.sync.reorg import REBUILD_NOTE
from polyhouse.sync.store import RunState

_MOST_NAMED = 20_000


def remember_unbuilt(state: RunState, wallets: Iterable[bytes] | None) -> None:
    """The models of these wallets must be built again; None = of all."""
    known = state.get_note(REBUILD_NOTE)
    if known == "all":
        return
    names = None if wallets is None else {*(known or ()), *(wallet.hex() for wallet in wallets)}
    if names is None or len(names) > _MOST_NAMED:
        state.set_note(REBUILD_NOTE, "all")
    elif len(names) > len(known or ()):
        state.set_note(REBUILD_NOTE, sorted(names))


def wallets_of_run(warehouse: Warehouse, run: int) -> set[bytes] | None:
    """Wallets of which a run wrote rows; None = too many to name."""
    rows = warehouse.query(
        "SELECT DISTINCT wallet FROM observations WHERE run = {run:UInt64} LIMIT {most:UInt32}",
        {"run": run, "most": _MOST_NAMED + 1},
    ).rows
    return None if len(rows) > _MOST_NAMED else {bytes(row[0]) for row in rows}
