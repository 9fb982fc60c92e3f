"""A simulated Polymarket in a process of its own, whose time tests move on, for servers that follow live trades."""

import json
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

from api_server import environment

from polyhouse.domain.ids import parse_hash
from polyhouse.jobs.plans import plans
from polyhouse.sim.universe import Universe

SEED, WALLETS, FILLS = 11, 20, 1_200
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


def fills(since, until_ts):
    """Transactions with a fill of a wallet of the universe, by its own logs."""
    universe = Universe(seed=SEED, wallets=WALLETS, fills=FILLS)
    return {
        parse_hash(tx.tx)
        for tx in universe.transactions(start_ts=since + 1, until=until_ts)
        if any(log.t == "OrderFilled" for log in tx.logs)
    }


def live_settings(simulated):
    """Settings of a server on it that reads what it hears of at once, and has no plans."""
    off = json.dumps({plan.name: "off" for plan in plans({})})
    return simulated.settings | {"rate_scale": 1000, "schedule": off, "live_settle_seconds": 0}


def new_fills(simulated, began):
    """Let time pass until something happened; returns the transactions of the last hours, which are news."""
    now = began
    while len(fills(began, now)) < 3:
        now = simulated.advance(6 * HOUR)
        assert now < began + 60 * 24 * HOUR
    return fills(max(began, now - 18 * HOUR), now)


def told(server):
    """Trades of the feed, in its order, each as often as it was told: (transaction, wallet, token, side)."""
    return [
        (parse_hash(event["tx"]), event["wallet"], event["token_id"], event["side"])
        for event in server.json("/api/feed?kind=trade&limit=1000")[1]["events"]
    ]


def transactions(trades):
    """Those of these trades."""
    return {trade[0] for trade in trades}
