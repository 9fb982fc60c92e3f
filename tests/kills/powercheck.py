"""What is left of a home after a power cut, and whether the work goes on from there. Started by the power tests.

Argument: home folder. Prints one JSON document: how many batches are there as a whole, batches that are there in part,
where the checkpoint stands before and after the check of the stores, and whether the rest could be written behind it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from powerwriter import ROWS, page_of, rows_of

from polyhouse.ports import PageCommit
from polyhouse.state import StateStore, open_state
from polyhouse.sync.verify import verify
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse

BATCHES_MORE = 2


def batches(warehouse: ClickHouseWarehouse) -> dict[int, int]:
    """Batch → its rows."""
    sql = "SELECT toUnixTimestamp(ts) - 1700000000 AS batch, count() FROM observations_current GROUP BY 1"
    return {int(batch): int(rows) for batch, rows in warehouse.query(sql).rows}


def page(state: StateStore) -> int:
    """The page that the checkpoint stands behind."""
    checkpoint = state.checkpoint("s", "p")
    return int(checkpoint.position.get("page", 0)) if checkpoint else 0


def go_on(warehouse: ClickHouseWarehouse, state: StateStore) -> bool:
    """Write on from the checkpoint; whether everything is there in the end, once."""
    run, first = state.start_run("load"), page(state)
    for batch in range(first, first + BATCHES_MORE):
        warehouse.write("observations", rows_of(batch), run=run, token=f"rows {batch}")
        warehouse.write("sync_pages", page_of(batch), run=run, token=f"page {batch}")
        state.commit_pages(run, [PageCommit("s", "p", {"page": batch + 1}, is_last=False, rows=ROWS)])
    found = batches(warehouse)
    return all(found.get(batch) == ROWS for batch in range(first + BATCHES_MORE))


def main(home: Path) -> dict[str, Any]:
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse, open_state(f"sqlite:///{home}/state.db") as state:
        found, before = batches(warehouse), page(state)
        verdict = verify(warehouse, state)
        return {
            "whole": sum(rows == ROWS for rows in found.values()),
            "partial": {batch: rows for batch, rows in found.items() if rows != ROWS},
            "before": before, "after": page(state), "rewound": verdict.rewound, "goes_on": go_on(warehouse, state),
        }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
