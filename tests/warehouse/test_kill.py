"""kill -9 in the middle of a loading loop: a checkpoint always stands behind rows that are there, and the same loop
goes on to the same tables.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time

from polyhouse.state import open_state
from polyhouse.warehouse import open_warehouse

PAGES = 60
ROWS = 400
LOADER = f"""
import sys
from polyhouse.ports import PageCommit
from polyhouse.state import open_state
from polyhouse.warehouse import open_warehouse

warehouse, state = open_warehouse(sys.argv[1]), open_state(sys.argv[2])
run = state.start_run("load")
checkpoint = state.checkpoint("s", "p")
page = checkpoint.position["page"] if checkpoint else 0
while page < {PAGES}:
    numbers = range(page * {ROWS}, (page + 1) * {ROWS})
    rows = {{
        "wallet": [n.to_bytes(20, "big") for n in numbers], "tx": [n.to_bytes(32, "big") for n in numbers],
        "source": ["activity"] * {ROWS}, "kind": ["BUY"] * {ROWS}, "ts": [page] * {ROWS}, "shares": list(numbers),
    }}
    warehouse.write("observations", rows, run=run, token=f"page {{page}}")
    page += 1
    state.commit_pages(run, [PageCommit("s", "p", {{"page": page}}, page == {PAGES}, {ROWS})])
    print(page, flush=True)
state.finish_run(run, "ok")
"""


def check_promise(url, state_url):
    """Every page behind the checkpoint is whole, and at most one page is ahead of it."""
    with open_warehouse(url) as warehouse, open_state(state_url) as state:
        checkpoint = state.checkpoint("s", "p")
        done = checkpoint.position["page"] if checkpoint else 0
        pages = dict(
            warehouse.query("SELECT toUnixTimestamp(ts) AS page, count() FROM observations_current GROUP BY 1").rows
        )
        assert all(pages.get(page) == ROWS for page in range(done)), (done, pages)
        assert set(pages) <= set(range(done + 1))
        assert set(pages.values()) <= {ROWS}, "an insert is there as a whole or not at all"
        return done


def test_five_kills(url, tmp_path):
    state_url = f"sqlite:///{tmp_path}/state.db"
    command = [sys.executable, "-c", LOADER, url, state_url]
    choice, reached = random.Random(7), []
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(choice.randrange(1, 6)):
                assert process.stdout.readline()
            time.sleep(choice.random() * 0.03)
            process.kill()
        reached.append(check_promise(url, state_url))
    assert reached == sorted(reached)
    assert 5 <= reached[-1] < PAGES
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert check_promise(url, state_url) == PAGES
    with open_warehouse(url) as warehouse, open_state(state_url) as state:
        total = warehouse.query(
            "SELECT count(), sum(shares), uniqExact(row_key, wallet) FROM observations_current"
        ).rows[0]
        assert total == (PAGES * ROWS, sum(range(PAGES * ROWS)), PAGES * ROWS)
        assert state.checkpoint("s", "p").status == "ok"
        assert [run.status for run in state.runs()] == ["ok"] + ["running"] * 5
        assert len(state.unfinished_runs()) == 5
