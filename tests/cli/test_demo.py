"""The whole product from the command line, on the simulated Polymarket."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import polyhouse as package


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    return kept | {"PYTHONPATH": str(Path(package.__file__).parents[1])}


def start(home, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "polyhouse", "--home", str(home), *arguments],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_demo_equals_the_truth_and_notices_when_it_does_not(tmp_path):
    process = start(tmp_path, "demo", "--wallets", "12", "--seed", "5", "--json")
    output, talk = process.communicate(timeout=110)
    assert process.returncode == 0, talk
    document = json.loads(output)
    truth = document["truth"]
    assert truth["equal"] == truth["wallets"] > 5
    assert truth["numbers"] > 1_000
    assert truth["differences"] == []
    (built,) = [line for line in talk.splitlines() if line.startswith("metrics: done")]
    tables, rows = (int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:tables|rows)", built)[:2])
    assert tables > 10
    assert rows > 1_000
    tamper = (
        "from polyhouse.truth_check import compare; from polyhouse.sim.truth import compute_truth;"
        "from polyhouse.sim.universe import Universe; from polyhouse.warehouse import open_warehouse;"
        f"w = open_warehouse('chdb://{tmp_path}/warehouse'); u = Universe(seed=5, wallets=12);"
        "t = compute_truth(u.transactions(), u.events, u.neg_risk_markets); a = compare(w, t);"
        "k = next(k for k, p in t.positions.items() if t.wallets[k[0]].rest_exact and p.shares);"
        "t.units[k[0], t.positions[k].unit].realized += 1; b = compare(w, t); w.close();"
        "print(a.ok, a.equal - b.equal, b.differences[0].split()[1:8])"
    )
    result = subprocess.run(
        [sys.executable, "-c", tamper],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout.startswith("True 1 ['1', 'of'"), result.stderr + result.stdout


def test_ctrl_c_stops_at_a_page_and_says_so(tmp_path):
    process = start(tmp_path, "demo", "--wallets", "40", "--seed", "6")
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("markets"):
            process.send_signal(signal.SIGINT)
            break
    output, talk = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(seen) + talk
    assert output == ""
    assert "stopping after the current page" in talk
    assert "the same command goes on" in talk
    status = start(tmp_path, "status", "--json")
    document = json.loads(status.communicate(timeout=60)[0])
    assert document["last_run"]["status"] == "interrupted"
