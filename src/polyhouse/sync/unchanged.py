"""Whether anything that models are made of arrived or went since they were built: if not, a build of nobody changes
nothing.

Windows end at the newest row, so they move with rows, not with the clock. The engine numbers inserts and deletions of a
table in one row of numbers, so the largest number of each source, with its rows, says whether it is what it was. A
merge of repeated rows looks like a change: then a build too many is made, never one too few.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from polyhouse.models.metric_tables import rules
from polyhouse.models.publication import finish_publication
from polyhouse.ports import Warehouse
from polyhouse.sync.reorg import PENDING_NOTE, wallets_to_rebuild
from polyhouse.sync.store import RunState

NOTE = "models.made_of"
"""Note: the newest build, and what it was made of."""
_SOURCES = (
    "observations", "tokens", "markets", "events", "resolutions", "neg_risk_markets", "given_marks", "price_points",
    "schema_migrations",
)  # fmt: skip
"""What the numbers of a wallet that nobody names depend on, and the version of the tables themselves."""


def made_of(warehouse: Warehouse) -> str:
    """Names all that models are made of now: the sources, and the rules of this version. '' = nobody can tell, as on
    shards, whose inserts are numbered by each of them.
    """
    if warehouse.shards():
        return ""
    rows = warehouse.query(
        "SELECT table, max(greatest(max_block_number, data_version)), sum(rows) FROM system.parts WHERE active"
        f" AND database = currentDatabase() AND table IN {_SOURCES} GROUP BY table ORDER BY table"
    ).rows
    return hashlib.sha256(repr((rows, _rules(), rules())).encode()).hexdigest()


def is_unchanged(warehouse: Warehouse, state: RunState) -> bool:
    """Whether readers see models of all that is stored now, and the feed told what they changed."""
    noted = state.get_note(NOTE)
    if not noted or state.get_note(PENDING_NOTE) or wallets_to_rebuild(state) != []:
        return False
    if finish_publication(warehouse):  # a build was killed: nobody knows of what it was made
        return False
    if warehouse.query("SELECT count() FROM price_changes").rows[0][0]:
        return False
    return bool(noted == _noted(warehouse, made_of(warehouse)))


def note_made_of(warehouse: Warehouse, state: RunState, sources: str) -> None:
    """Note what the newest build was made of.

    Args:
        warehouse: where it is published.
        state: where the note is.
        sources: what ``made_of`` said before it began; '' = do not rely on it.
    """
    state.set_note(NOTE, _noted(warehouse, sources) if sources else None)


def _noted(warehouse: Warehouse, sources: str) -> list[str]:
    return [str(warehouse.query("SELECT max(build) FROM builds").rows[0][0]), sources]


@cache
def _rules() -> str:
    """Names the statements of all models."""
    files = sorted(resources.files("polyhouse.models").iterdir(), key=lambda file: file.name)
    texts = [file.read_text(encoding="utf-8") for file in files if file.name.endswith(".sql")]
    return hashlib.sha256("".join(texts).encode()).hexdigest()
