"""Which rows of a file came before in it, by 64-bit hashes: eight bytes a row, on disk beyond a few million rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polyhouse.errors import BadInputError

Hashes = npt.NDArray[np.uint64]
_IN_MEMORY = 4_000_000
_MOST_ORDINALS = 65_535


class SeenHashes:
    """A growing set of hashes as sorted runs of falling size, the large ones mapped from a temporary folder."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = 0

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """For each hash (sorted ascending) whether it is in the set."""
        found = np.zeros(hashes.size, dtype=np.bool_)
        for run in self._runs:
            places = np.searchsorted(run, hashes)
            places[places == run.size] = 0
            found |= run[places] == hashes
        return found

    def add(self, hashes: Hashes) -> None:
        """Add hashes (sorted, each once); those that are in the set already do no harm."""
        if not hashes.size:
            return
        self._runs.append(hashes)
        while len(self._runs) > 1 and self._runs[-2].size <= 2 * self._runs[-1].size:
            last = self._runs.pop()
            merged = np.concatenate((self._runs[-1], last))
            # Two sorted runs: the stable sort merges them, ten times as fast as sorting.
            merged.sort(kind="stable")
            self._runs[-1] = self._kept(merged)

    def close(self) -> None:
        """Give memory and disk free."""
        self._runs.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def _kept(self, run: Hashes) -> Hashes:
        if run.size <= _IN_MEMORY:
            return run
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="polyhouse-import-")
        self._files += 1
        path = Path(self._folder.name) / f"{self._files}.npy"
        np.save(path, run)
        mapped: Hashes = np.load(path, mmap_mode="r")
        return mapped


class RowNumbers:
    """Ordinals of the rows of one file: n-th of the rows that are equal in everything that identifies them (K36)."""

    def __init__(self) -> None:
        self._contents = SeenHashes()
        self._logs = SeenHashes()
        self._counts: dict[int, int] = {}

    def number(self, contents: Hashes, logs: Hashes) -> tuple[dict[int, int], list[int]]:
        """Ordinals above zero by row, and the rows that are logs delivered before.

        Args:
            contents: hash of what identifies each row, in file order.
            logs: hash of content and log index (or id); 0 where the file does not tell.

        Raises:
            BadInputError: one row stands in the file more than 65,535 times.
        """
        again = self._repeated_logs(logs)
        rows = np.flatnonzero(~again)
        values = contents[rows]
        unique, counts = np.unique(values, return_counts=True)
        known = self._contents.contains(unique)
        several = unique[(counts > 1) | known]
        ordinals: dict[int, int] = {}
        if several.size:
            before = set(unique[known].tolist())
            places = np.flatnonzero(np.isin(values, several))
            for row, value in zip(rows[places].tolist(), values[places].tolist(), strict=True):
                count = self._counts.get(value, 1 if value in before else 0)
                self._counts[value] = count + 1
                if count > _MOST_ORDINALS:
                    raise BadInputError(f"one and the same row stands in the file more than {_MOST_ORDINALS:,} times")
                if count:
                    ordinals[row] = count
        self._contents.add(unique)
        return ordinals, np.flatnonzero(again).tolist()

    def close(self) -> None:
        """Give memory and disk free."""
        self._contents.close()
        self._logs.close()

    def _repeated_logs(self, logs: Hashes) -> npt.NDArray[np.bool_]:
        again = np.zeros(logs.size, dtype=np.bool_)
        told = np.flatnonzero(logs)
        if not told.size:
            return again
        unique, first, inverse = np.unique(logs[told], return_index=True, return_inverse=True)
        known = self._logs.contains(unique)
        is_first = np.zeros(told.size, dtype=np.bool_)
        is_first[first] = True
        again[told] = ~is_first | known[inverse]
        self._logs.add(unique)
        return again
