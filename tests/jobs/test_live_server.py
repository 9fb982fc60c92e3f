"""A server that follows live trades: what happens in the simulated Polymarket is in its feed and in its numbers."""

import json
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

import pytest
from api_server import Server, environment, polyhouse, until

from polyhouse.domain.ids import parse_hash
from polyhouse.jobs.plans import plans
from polyhouse.sim.universe import Universe

SEED, WALLETS, FILLS = 11, 20, 400
HOUR = 3_600


class Simulated:
    """The simulated Polymarket in a process of its own, whose time can be moved on."""

    def __init__(self, home):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "polyhouse.sim.server", "--seed", str(SEED), "--wallets", str(WALLETS),
             "--fills", str(FILLS), "--scale", "0"],
            env=environment(home), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.told = json.loads(self.process.stdout.readline())
        self.settings = {name: self.told[name] for name in ("gamma_url", "clob_url", "data_url", "live_url")}

    def advance(self, seconds):
        request = urllib.request.Request(
            f"http://{urlsplit(self.told['data_url']).netloc}/_sim/advance", json.dumps({"seconds": seconds}).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["now"]


@pytest.fixture
def simulated(tmp_path):
    running = Simulated(tmp_path)
    yield running
    running.process.terminate()
    running.process.communicate(timeout=30)


def fills(since, until_ts):
    """Transactions with a fill of a wallet of the universe, by its own logs."""
    universe = Universe(seed=SEED, wallets=WALLETS, fills=FILLS)
    return {
        parse_hash(tx.tx)
        for tx in universe.transactions(start_ts=since + 1, until=until_ts)
        if any(log.t == "OrderFilled" for log in tx.logs)
    }


@pytest.mark.timeout(240)
def test_what_happens_is_in_the_feed_and_in_the_numbers(tmp_path, simulated):
    off = json.dumps({plan.name: "off" for plan in plans({})})
    settings = simulated.settings | {"rate_scale": 1000, "schedule": off, "live_settle_seconds": 0}
    assert polyhouse(tmp_path, "run", **settings).returncode == 0
    began = simulated.advance(0)
    server = Server(tmp_path, scheduled=True, **settings)
    try:
        before = server.json("/api/status")[1]["trades"]

        def known():
            page = server.json("/api/feed?kind=trade&limit=1000")[1]
            return {parse_hash(event["tx"]) for event in page["events"]}

        now, wanted = began, set()
        while len(wanted) < 3:
            now = simulated.advance(6 * HOUR)
            wanted = fills(began, now)
            assert now < began + 60 * 24 * HOUR
        # Only the last day before the newest row is news; everything is in the numbers.
        recent = fills(max(began, now - 18 * HOUR), now)
        until(lambda: server.json("/api/status")[1]["trades"] > before and recent <= known(), seconds=120)
        assert known() <= wanted
    finally:
        assert server.stop() == 143
