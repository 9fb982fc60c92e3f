"""Wallets whose models lag behind their rows, because the run that wrote the rows did not live to see them rebuilt.

The next build takes them along (``reorg.wallets_to_rebuild``). Naming one too many costs a little time; one too few
would leave a wrong number standing until somebody trades again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from polyhouse.ports import Warehouse
from polyhouse.sync.reorg import REBUILD_NOTE
from polyhouse.sync.store import RunState

IMPORT = "import"
"""The command whose runs read files."""

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


def close_killed(warehouse: Warehouse, state: RunState, *, command: str | None = None) -> None:
    """Give runs that were killed an end. What they wrote and did not live to build is built by the next build.

    A reader registers wallets before its checkpoint moves, so whoever reads the page again does it. A file that is
    imported again has no new rows; whose they are is known from the killed run alone.

    Args:
        warehouse: with the rows.
        state: with the runs.
        command: only runs of this command.
    """
    for record in state.unfinished_runs():
        if command is not None and record.command != command:
            continue
        if record.command == IMPORT:
            register_imported(warehouse, state, record.id)
        remember_unbuilt(state, wallets_of_run(warehouse, record.id))
        state.finish_run(record.id, "interrupted", error="the process was killed")


def register_imported(warehouse: Warehouse, state: RunState, run: int) -> None:
    """Make the wallets of all rows known that an import wrote."""
    for wallets in _all_wallets_of_run(warehouse, run):
        state.register_wallets(wallets, "file")


def _all_wallets_of_run(warehouse: Warehouse, run: int) -> Iterator[list[bytes]]:
    after = ""
    while rows := warehouse.query(
        """
        SELECT DISTINCT wallet FROM observations
        WHERE run = {run:UInt64} AND (wallet > unhex({after:String}) OR {after:String} = '')
        ORDER BY wallet LIMIT {most:UInt32}
        """,
        {"run": run, "after": after, "most": _MOST_NAMED},
    ).rows:
        yield [bytes(row[0]) for row in rows]
        after = bytes(rows[-1][0]).hex()


def wallets_of_run(warehouse: Warehouse, run: int) -> set[bytes] | None:
    """Wallets of which a run wrote rows; None = too many to name."""
    rows = warehouse.query(
        "SELECT DISTINCT wallet FROM observations WHERE run = {run:UInt64} LIMIT {most:UInt32}",
        {"run": run, "most": _MOST_NAMED + 1},
    ).rows
    return None if len(rows) > _MOST_NAMED else {bytes(row[0]) for row in rows}
