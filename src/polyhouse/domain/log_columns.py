"""Many decoded logs of one kind as numpy columns: what bulk decoding yields and the ledger's fast paths read.

Ids are rows of raw bytes (``uint8`` matrices, 20 or 32 wide), amounts ``int64`` micro-units, lists ``Ragged``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
"""Fixed-width ids, one per row: shape (rows, 20) or (rows, 32)."""
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ragged:
    """A list per row: row i holds ``values[starts[i]:starts[i + 1]]``."""

    values: npt.NDArray[Any]
    starts: Ints

    def take(self, rows: npt.NDArray[Any]) -> Ragged:
        """The lists of the given row numbers, in that order."""
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
        inside = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
        return Ragged(self.values[np.repeat(self.starts[:-1][rows], lengths) + inside], starts)


Column = Bytes | Ints | Ragged


@dataclass(frozen=True, slots=True)
class LogColumns:
    """Logs of one kind.

    Attributes:
        kind: name of the layout, e.g. ``order_filled_v2`` (all of them: ``sources.chain.eras``).
        tx: transaction hashes.
        block: block numbers.
        tx_index: place of the transaction in its block.
        log_index: place of the log in its block.
        ts: block times, Unix seconds; 0 = unknown.
        emitter: the contract that emitted each log.
        fields: the event's own fields.
    """

    kind: str
    tx: Bytes
    block: Ints
    tx_index: Ints
    log_index: Ints
    ts: Ints
    emitter: Bytes
    fields: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.block)

    def ids(self, name: str) -> Bytes:
        """A field that is an id."""
        column = self.fields[name]
        assert not isinstance(column, Ragged)
        assert column.dtype == np.uint8
        return column  # type: ignore[return-value]

    def ints(self, name: str) -> Ints:
        """A field that is a number."""
        column = self.fields[name]
        assert not isinstance(column, Ragged)
        assert column.dtype == np.int64
        return column  # type: ignore[return-value]

    def take(self, rows: npt.NDArray[Any]) -> LogColumns:
        """The given rows (numbers or a mask), in that order."""
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        fields = {name: c.take(rows) if isinstance(c, Ragged) else c[rows] for name, c in self.fields.items()}
        return LogColumns(
            self.kind,
            self.tx[rows],
            self.block[rows],
            self.tx_index[rows],
            self.log_index[rows],
            self.ts[rows],
            self.emitter[rows],
            fields,
        )


def byte_list(ids: npt.NDArray[Any]) -> list[bytes]:
    """The rows of an id matrix as ``bytes`` objects."""
    if not len(ids):
        return []
    return np.ascontiguousarray(ids).view(f"V{ids.shape[1]}").ravel().tolist()
