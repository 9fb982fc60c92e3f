"""How the one schema of the migrations lies on a cluster: rendered statements, and where the rows of a table belong.

Every node has two databases. The rows lie in ``NAME_shard``: the tables of the migrations under their own names, each
replicated inside its shard, so that a build runs there as on a single engine. ``NAME`` has the same names again for
readers: tables that look through all shards, and the views. Nothing of the schema is written a second time: this module
changes the engine clause and adds ``ON CLUSTER`` to the statements that migrations and builds run anyway.

Rows belong to shards by their wallet; tables without a wallet in their key are the same on every shard.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from polyhouse.warehouse.lexer import Token, tokens

if TYPE_CHECKING:
    import pyarrow as pa

REPLICA = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'"
"""Where replicas of a table meet. ``{uuid}`` keeps the table that a build writes beside another one apart from it."""

Ints = npt.NDArray[np.int64]

_FAMILY = "MergeTree"
_DEDUPLICATION = "deduplication_window"
_UNPLACED = ("__next", "__previous")
_SPLIT = {"chain_logs": "block", "priced_fills": "", "price_changes": ""}
"""Tables without a wallet that are too large to lie on every shard, and the number by which their rows are spread; ''
= builds put them where they are worked on."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the rows of a table belong.

    Attributes:
        everywhere: every shard has all rows.
        column: the column that decides for each row; '' = builds do.
    """

    everywhere: bool = False
    column: str = ""

    @property
    def key(self) -> str:
        """SQL of the number whose remainder by the number of shards is the shard."""
        return f"CRC32({self.column})" if self.column == "wallet" else self.column


def placement(table: str, sorting_key: str) -> Placement:
    """Where the rows of a table belong, by its name and its ``ORDER BY`` as ``system.tables`` shows it."""
    if table in _SPLIT:
        return Placement(column=_SPLIT[table])
    is_of_wallets = "wallet" in {name.strip() for name in sorting_key.split(",")}
    return Placement(column="wallet") if is_of_wallets else Placement(everywhere=True)


def shard_places(column: pa.Array, shards: int) -> Ints:
    """Of each row the shard, counted from 0, by the column that its table's placement names."""
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        return np.asarray(column).astype(np.int64) % shards
    return np.array([zlib.crc32(value) % shards for value in column.to_pylist()], dtype=np.int64)


def on_cluster(statement: str, cluster: str) -> str | None:
    """A statement that defines something, for all nodes of a cluster; None for every other one.

    Tables of the MergeTree family become replicated ones.
    """
    words = list(tokens(statement))
    place = _end_of_target(words)
    if place is None:
        return None
    edits = [(place, place, f" ON CLUSTER '{cluster}'")]
    if words[0].text.upper() == "CREATE":
        edits += _engine_edits(words)
    text = statement
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _end_of_target(words: list[Token]) -> int | None:
    """Where the name of what a statement defines ends; where it names several, the last one."""
    texts = [word.text.upper() for word in words]
    match texts:
        case ["CREATE", "OR", "REPLACE", "TABLE" | "VIEW", *_]:
            at = 4
        case ["CREATE" | "DROP" | "ALTER" | "TRUNCATE", "TABLE" | "VIEW" | "DATABASE", *_]:
            at = 2
        case ["EXCHANGE", "TABLES", *_] | ["RENAME", "TABLE", *_]:
            at = 2
        case _:
            return None
    while texts[at] in {"IF", "NOT", "EXISTS"}:
        at += 1
    # Names, qualified ones too, with what stands between them.
    while at + 2 < len(texts) and texts[at + 1] in {".", ",", "AND", "TO"}:
        at += 2
    return words[at].end


def _engine_edits(words: list[Token]) -> Iterator[tuple[int, int, str]]:
    for place, word in enumerate(words):
        if word.kind == "word" and word.text.endswith(_FAMILY) and words[place - 2].text.upper() == "ENGINE":
            yield word.start, word.start, "Replicated"
            has_arguments = place + 1 < len(words) and words[place + 1].text == "("
            at = words[place + 1].end if has_arguments else word.end
            yield at, at, f"{REPLICA}, " if has_arguments else f"({REPLICA})"
        elif word.kind == "word" and word.text == f"non_replicated_{_DEDUPLICATION}":
            yield word.start, word.end, f"replicated_{_DEDUPLICATION}"


def router_table(name: str, shard_database: str, cluster: str, placed: Placement) -> str:
    """The table through which readers see all shards; one that is the same everywhere is read where the reader is."""
    if placed.everywhere:
        engine = f"Merge('{shard_database}', '^{name}$')"
    else:
        key = f", {placed.key}" if placed.key else ""
        engine = f"Distributed('{cluster}', '{shard_database}', '{name}'{key})"
    return f"CREATE OR REPLACE TABLE {name} ON CLUSTER '{cluster}' AS {shard_database}.{name} ENGINE = {engine}"


def router_views(views: dict[str, str], shard_database: str, database: str) -> dict[str, str]:
    """The views of a shard, for readers of all shards: name → CREATE statement, each behind those that it reads.

    Args:
        views: name → its CREATE statement as ``system.tables`` shows it, with qualified names.
        shard_database: where they are.
        database: where the others shall be; ``system.tables`` will show these statements there.
    """
    qualified = re.compile(rf"\b{re.escape(shard_database)}\.(\w+)")
    reads = {name: {one for one in qualified.findall(text) if one in views} - {name} for name, text in views.items()}
    return {name: qualified.sub(rf"{database}.\1", views[name]) for name in TopologicalSorter(reads).static_order()}


def is_placed(name: str, engine: str) -> bool:
    """Whether a stored table is one that readers know: of the family that keeps rows, and of the published build."""
    return engine.endswith(_FAMILY) and not name.endswith(_UNPLACED)
