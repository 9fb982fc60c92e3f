"""A copy between two installations: state store first, then the warehouse, which so is never behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from polyhouse.errors import ConfigError
from polyhouse.move.copy import Copy, TableCopy
from polyhouse.move.state_rows import copy_state, newest_work
from polyhouse.settings import mask_url
from polyhouse.warehouse import open_warehouse


def copy_stores(
    source: str, target: str, state_from: str, state_to: str, tell: Callable[[str], None], only: tuple[str, ...] = ()
) -> Mapping[str, TableCopy]:
    """Copy a warehouse, and a state store if ``state_to`` names one.

    Raises:
        ConfigError: both are the same, both are embedded, or the target's state store is the newer one.
        PolyhouseError: as ``Copy.run``.
    """
    if source == target:
        raise ConfigError("Source and target are one warehouse.")
    if source.startswith("chdb:") and target.startswith("chdb:"):
        raise ConfigError(
            "One process opens one embedded store at a time, so they cannot be copied like this.",
            hint="polyhouse backup DEST, then: polyhouse --home OTHER restore DEST",
        )
    with open_warehouse(source, readonly_ok=True) as reading, open_warehouse(target) as writing:
        if state_to:
            if newest_work(state_to) > newest_work(state_from):
                raise ConfigError("The state store to copy to was worked with later than the one to copy from.")
            rows = copy_state(state_from, state_to)
            tell(f"state: {sum(rows.values()):,} rows")
        return Copy(reading, writing, mask_url(source), tell).run(only)
