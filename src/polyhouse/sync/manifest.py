"""Identity of a page and its row in ``sync_pages``, from which lost checkpoints can be rebuilt."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from polyhouse.ports import Page, Position
from polyhouse.tables import ALL, Columns

_encode_rows = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder(order="deterministic").encode


def position_text(position: Position) -> str:
    """The one spelling of a position, so that positions compare as text."""
    return _encode_json(dict(position)).decode()


def parse_position(text: str) -> dict[str, Any]:
    """Read a position back from its text."""
    return msgspec.json.decode(text, type=dict[str, Any])


def row_count(columns: Columns) -> int:
    """Rows of one table's columns."""
    return len(next(iter(columns.values()), ()))


def accepted_rows(page: Page) -> int:
    """Rows of the answer that were accepted (fetched − rejected − ignored)."""
    return page.fetched - len(page.rejected) - page.ignored


@dataclass(frozen=True, slots=True)
class Delivery:
    """One page on its way: where it comes from and its number in the partition over all runs.

    ``is_first_read``: nobody has read the partition before this walk. ``writes_over``: it is the first page of a walk
    over a partition that was read before.
    """

    stream: str
    partition: str
    position_from: Position
    page: Page
    seq: int
    is_first_read: bool = False
    writes_over: bool = False

    @property
    def weight(self) -> int:
        """Table rows this page adds to a batch."""
        return sum(row_count(columns) for columns in self.page.tables.values())

    def digest(self) -> bytes:
        """SHA-256 of the page's identity and content: the same page read twice has the same digest."""
        tables = [[name, columns] for name, columns in sorted(self.page.tables.items())]
        head = [self.stream, self.partition, position_text(self.position_from), position_text(self.page.position)]
        return hashlib.sha256(_encode_rows([head, tables])).digest()


def merge_tables(deliveries: Sequence[Delivery], *, without: Collection[str] = ()) -> dict[str, Columns]:
    """Join the pages' columns per table, in page order, tables in their declared order; ``without`` these.

    A column that one page leaves out is filled with its declared default, as the warehouse would do.
    """
    parts: dict[str, list[Columns]] = {}
    for delivery in deliveries:
        for name, columns in delivery.page.tables.items():
            if name not in without and row_count(columns):
                parts.setdefault(name, []).append(columns)
    return {table.name: _concat(parts[table.name], table.defaults) for table in ALL if table.name in parts}


def _concat(parts: Sequence[Columns], defaults: Mapping[str, Any]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    names = {name: None for columns in parts for name in columns}
    merged: Columns = {name: [] for name in names}
    for columns in parts:
        rows = row_count(columns)
        for name, values in merged.items():
            values.extend(columns[name] if name in columns else [defaults[name]] * rows)
    return merged


def manifest_columns(deliveries: Sequence[Delivery], digests: Sequence[bytes], written_at: int) -> Columns:
    """The ``sync_pages`` rows of one batch."""
    return {
        "stream": [d.stream for d in deliveries],
        "partition": [d.partition for d in deliveries],
        "position_from": [position_text(d.position_from) for d in deliveries],
        "position_to": [position_text(d.page.position) for d in deliveries],
        "rows": [accepted_rows(d.page) for d in deliveries],
        "rejected": [len(d.page.rejected) for d in deliveries],
        "ignored": [d.page.ignored for d in deliveries],
        "seq": [d.seq for d in deliveries],
        "is_last": [d.page.is_last for d in deliveries],
        "digest": list(digests),
        "written_at": [written_at] * len(deliveries),
    }


def batch_token(table: str, digests: Sequence[bytes]) -> str:
    """Name of one table's share of a batch: the same batch has the same token when it is retried."""
    return hashlib.sha256(table.encode() + b"".join(digests)).hexdigest()
