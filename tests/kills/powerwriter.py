"""Writes batches as the product does, says which are acknowledged, and waits after each. Started by the power tests.

Arguments: home folder, number of batches. Prints ``N`` when batch N is in the warehouse and its checkpoint committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from polyhouse.ports import PageCommit
from polyhouse.state import open_state
from polyhouse.warehouse import open_warehouse

ROWS = 300


def rows_of(batch: int) -> dict[str, list[object]]:
    """The rows of one batch, in several partitions of time."""
    numbers = range(batch * ROWS, (batch + 1) * ROWS)
    return {
        "wallet": [number.to_bytes(20, "big") for number in numbers],
        "tx": [number.to_bytes(32, "big") for number in numbers],
        "source": ["activity"] * ROWS, "kind": ["BUY"] * ROWS, "ts": [1_700_000_000 + batch] * ROWS,
        "shares": list(numbers),
    }  # fmt: skip


def page_of(batch: int) -> dict[str, list[object]]:
    """Its manifest row."""
    return {
        "stream": ["s"], "partition": ["p"], "position_from": [f'{{"page":{batch}}}'],
        "position_to": [f'{{"page":{batch + 1}}}'], "rows": [ROWS], "seq": [batch + 1],
        "digest": [batch.to_bytes(32, "big")], "written_at": [1_700_000_000 + batch],
    }  # fmt: skip


def main(home: Path, batches: int) -> None:
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse, open_state(f"sqlite:///{home}/state.db") as state:
        run = state.start_run("load")
        for batch in range(batches):
            warehouse.write("observations", rows_of(batch), run=run, token=f"rows {batch}")
            warehouse.write("sync_pages", page_of(batch), run=run, token=f"page {batch}")
            state.commit_pages(run, [PageCommit("s", "p", {"page": batch + 1}, is_last=False, rows=ROWS)])
            print(batch + 1, flush=True)
            sys.stdin.readline()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
