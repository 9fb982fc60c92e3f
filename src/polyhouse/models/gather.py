"""Rows of all shards in one place: the narrow tables that builds hand each other (``models.peers``).

On one engine each function does what its name says with the rows that are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from polyhouse.models.build import Build
from polyhouse.warehouse.streaming import BULK

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_ROWS = 500_000


def stage_of_all(run: Build, table: str, sql: str) -> None:
    """Keep what a SELECT returns on every shard, together, under a name. Each shard must come to it.

    Args:
        run: the build.
        table: the name.
        sql: on the tables of the build; no column wider than 128 bits, and no two of one name.
    """
    if run.peers.is_alone:
        run.stage_rows(table, sql)
        return
    own = f"{table}_here"
    run.stage_rows(own, sql)
    run.stage_rows(table, f"SELECT * FROM {own}")
    run.peers.share(f"staged {table}")
    for _, other in run.peers.others():
        _copy(run, other.query_columns(f"SELECT * FROM {own}"), table)
    run.peers.share(f"have {table}")  # a build that is faster forgets its own, which others still copy


def rows_of_all(run: Build, table: str, selects: Sequence[str]) -> str:
    """What to name behind FROM for the rows that one SELECT on each shard returns.

    Args:
        run: the build.
        table: name under which they are kept where there are several shards.
        selects: the SELECT of each shard, by rank; on tables that builds do not change meanwhile.
    """
    own = selects[run.peers.rank]
    if run.peers.is_alone:
        return f"({own})"
    run.stage_rows(table, own)
    for rank, other in run.peers.others():
        _copy(run, other.query_columns(f"{selects[rank]} {BULK}"), table)
    return table


def insert_of_all(run: Build, table: str, selects: Sequence[str]) -> None:
    """Store the rows that one SELECT on each shard returns, with the versions that they have.

    Args:
        run: the build.
        table: where.
        selects: see ``rows_of_all``.
    """
    run.copy_rows(selects[run.peers.rank], table)
    for rank, other in run.peers.others():
        _copy(run, other.query_columns(f"{selects[rank]} {BULK}"), table)


def copy_of_others(run: Build, table: str, since: str) -> None:
    """Bring the rows that the other shards' builds wrote for the tokens they own into our copy of a table.

    Each shard must come to it when it has written its own; when it ends, nobody reads our copy any more.

    Args:
        run: the build.
        table: in which each shard has a copy of everything.
        since: SQL of the version behind which rows may be missing here: a build that was killed wrote some, too.
    """
    if run.peers.is_alone:
        return
    place = run.place_of(table)
    run.peers.share(f"wrote {table}")
    for rank, other in run.peers.others():
        written = f"version > {since} AND {run.peers.owned(rank)}"
        _copy(
            run, other.query_columns(f"SELECT * FROM {place} WHERE {written} {BULK}"), place, is_unique=place != table
        )
    run.peers.share(f"copied {table}")


def stage_answers(run: Build, table: str, sql: str, about: str) -> None:
    """Keep what every shard answers to one SELECT about a list of wallets. The others need not come to it.

    Args:
        run: the build; the tables that the SELECT reads are complete on every shard.
        table: name under which the answers are kept.
        sql: names the list behind FROM or JOIN.
        about: the staged list: a table with one column ``wallet``.
    """
    run.stage_rows(table, sql)
    if run.peers.is_alone:
        return
    import pyarrow as pa

    wallets = list(run.warehouse.query_columns(f"SELECT wallet FROM {about}"))
    if not wallets:
        return
    asked = f"{about}_of_{run.peers.rank}"
    for _, other in run.peers.others():
        other.command(f"DROP TABLE IF EXISTS {asked}")
        other.command(f"CREATE TABLE {asked} (wallet FixedString(20)) ENGINE = Memory")
        other.insert_arrow(asked, pa.Table.from_batches(wallets))
        _copy(run, other.query_columns(sql.replace(f" {about}", f" {asked}")), table)
        other.command(f"DROP TABLE {asked}")


def _copy(run: Build, batches: Iterator[pa.RecordBatch], table: str, *, is_unique: bool = False) -> None:
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= _BLOCK_ROWS:
            run.warehouse.insert_arrow(table, pa.Table.from_batches(waiting), is_unique=is_unique)
            waiting.clear()
    if waiting:
        run.warehouse.insert_arrow(table, pa.Table.from_batches(waiting), is_unique=is_unique)
