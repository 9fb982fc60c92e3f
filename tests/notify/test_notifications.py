"""Notifications from a real store to a webhook on this machine."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from polyhouse.domain.times import format_time
from polyhouse.errors import ConfigError
from polyhouse.feed.events import Change, append, newest_id
from polyhouse.notify.notifier import Channels, Notifier
from polyhouse.notify.rules import Rules, followed_wallets, rules
from polyhouse.settings import Settings, load
from polyhouse.wiring import open_stores

WALLET = bytes.fromhex("ab" * 20)
CONDITION = bytes.fromhex("c1" * 32)
START = 1_780_000_000
SECRET = "hush-hush-token"


class Webhook:
    """Keeps what it is sent; refuses while ``is_down``."""

    def __init__(self):
        self.bodies = []
        self.is_down = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not outer.is_down:
                    outer.bodies.append(json.loads(body))
                self.send_response(503 if outer.is_down else 200)
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"json://127.0.0.1:{self.server.server_port}/{SECRET}"

    def take(self):
        """(title, message) of what came since the last call."""
        taken = [(body["title"], body["message"]) for body in self.bodies]
        self.bodies.clear()
        return taken


@pytest.fixture
def webhook():
    hook = Webhook()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


@pytest.fixture
def stores(tmp_path):
    with open_stores(Settings(home=tmp_path)) as opened:
        yield opened


class World:
    """A store with a clock, and the notifier on it."""

    def __init__(self, stores, webhook, chosen=None, followed=""):
        self.stores = stores
        self.time = START
        self.notifier = Notifier(
            stores.warehouse, stores.state, rules(chosen or {}), followed_wallets(followed),
            Channels(webhook.url, "127.0.0.1").send, pause=3_600, now=lambda: self.time,
        )  # fmt: skip
        self.notifier.once()

    def trade(self, number, usd, wallet=WALLET):
        body = {
            "wallet": f"0x{wallet.hex()}", "side": "BUY", "shares": usd * 2, "cash": usd, "volume": usd,
            "outcome_index": 0, "condition_id": f"0x{CONDITION.hex()}", "category": "sports",
            "at": format_time(START + number),
        }  # fmt: skip
        self.tell(Change("trade", number, 1, body, wallet, CONDITION, START + number, usd * 1_000_000))

    def tell(self, *changes):
        append(self.stores.warehouse, newest_id(self.stores.warehouse), changes, now=self.time)


def test_large_trades_are_told_together_and_throttled(stores, webhook):
    world = World(stores, webhook)
    for number in range(12):
        world.trade(number, 25_000 if number else 24_999)
    assert world.notifier.once() == (1, 0)
    ((title, message),) = webhook.take()
    assert title == "Polyhouse: large trades"
    assert message.count("bought 50,000.00 shares") == 10
    assert message.endswith("and 1 more")

    for number in (20, 21):  # within the pause: one message at its end
        world.trade(number, 30_000)
        assert world.notifier.once() == (0, 1)
    assert webhook.take() == []
    world.time += 3_600
    assert world.notifier.once() == (1, 0)
    ((_, message),) = webhook.take()
    assert message.count("bought 60,000.00 shares") == 2
    assert world.notifier.once() == (0, 0)


def test_what_was_not_taken_is_sent_later_and_nothing_twice(stores, webhook):
    world = World(stores, webhook, followed=f"0x{WALLET.hex()} 0x{'cd' * 20}")
    webhook.is_down = True
    world.trade(1, 50)
    world.trade(2, 60, wallet=bytes(20))
    assert world.notifier.once() == (0, 1)
    webhook.is_down = False
    again = Notifier(  # of the next process
        stores.warehouse,
        stores.state,
        Rules(),
        frozenset(),
        Channels(webhook.url, "127.0.0.1").send,
        pause=3_600,
        now=lambda: START,
    )
    assert again.once() == (1, 0)
    ((title, message),) = webhook.take()
    assert title == f"Polyhouse: 0x{WALLET.hex()} traded"
    assert "for 50.00 $" in message
    assert world.notifier.once() == (0, 0)


def test_failed_stale_and_recovered_syncs(stores, webhook):
    world = World(stores, webhook)
    run = stores.state.start_run("sync wallets")
    assert world.notifier.once() == (0, 0)  # it goes on
    stores.state.finish_run(run, "failed", error="the host refused")
    assert world.notifier.once() == (1, 0)
    assert webhook.take() == [("Polyhouse: sync wallets failed", f"Run {run}: the host refused")]
    world.time += 3 * 3_600
    assert world.notifier.once() == (1, 0)
    assert webhook.take()[0][0] == "Polyhouse: no sync ended well lately"
    assert world.notifier.once() == (0, 0)  # it lasts, and is not told again within the pause
    stores.state.finish_run(stores.state.start_run("run"), "ok")
    world.time = stores.state.last_run().finished_at + 3 * 3_600 - 1
    assert world.notifier.once() == (0, 0)
    world.time += 1
    assert world.notifier.once() == (1, 0)


def test_insiders_parked_wallets_broken_checks_and_worse_reconciliations(stores, webhook):
    for run, differences in ((1, (0, 0, 0, 0)), (2, (0, 0, 9_000_000, 9_000_000))):
        if run == 2:
            world = World(stores, webhook)
        stores.warehouse.write("reconciliation", {
            "run": [run] * 4, "wallet": [bytes([n]) * 20 for n in range(4)], "kind": ["gross_of_fees"] * 4,
            "detail": [""] * 4, "as_of": [START + run] * 4, "ours": [1] * 4, "theirs": [1] * 4,
            "difference": list(differences), "cause": ["none"] * 4,
        }, run=run, token=f"r{run}")  # fmt: skip
    world.tell(Change("flag", 7, 1, {"wallet": f"0x{WALLET.hex()}", "flag": "insider"}, WALLET))
    stores.state.register_wallets([WALLET], "trades")
    for _ in range(8):
        stores.state.mark_failed(WALLET, "no answer")
    assert world.notifier.once()[0] == 3
    told = dict(webhook.take())
    assert told["Polyhouse: wallets were given up"].startswith("1 more; 1 are parked now.")
    assert told["Polyhouse: suspected insiders"].startswith(f"0x{WALLET.hex()}\n")
    assert "50.0 % within a dollar, 100.0 % the time before" in told[
        "Polyhouse: our figures are further from the published ones"
    ]  # fmt: skip


def test_rules_and_urls_are_checked(webhook):
    assert rules({"sync_stale": "90m", "insider": "off", "whale_trade": "1.5", "parked": "on"}) == Rules(
        sync_stale=5_400, insider=None, whale_trade=1_500_000
    )
    for wrong in ({"whales": "1"}, {"sync_stale": "soon"}, {"sync_stale": "0h"}, {"whale_trade": "-1"},
                  {"reconciliation": "101"}, {"followed": "3"}):  # fmt: skip
        with pytest.raises(ConfigError):
            rules(wrong)
    with pytest.raises(ConfigError):
        followed_wallets("0x12")
    with pytest.raises(ConfigError) as caught:
        Channels(f"nothing://{SECRET}/x")
    assert SECRET not in str(caught.value)


def test_the_command_sends_a_test_and_hides_the_secret(tmp_path, webhook, monkeypatch):
    given = {"HOME": str(tmp_path), "NOTIFY_URLS": webhook.url, "NOTIFY_PRIVATE_HOSTS": "127.0.0.1"}
    for name, value in given.items():
        monkeypatch.setenv(f"POLYHOUSE_{name}", value)
    shown = {name: value for name, value, _ in load().explain()}
    assert SECRET not in shown["POLYHOUSE_NOTIFY_URLS"]

    def polyhouse(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "polyhouse", *arguments], capture_output=True, text=True, timeout=60, check=False
        )

    assert polyhouse("notify", "--test").returncode == 0
    assert webhook.take() == [("Polyhouse: this is a test", "Notifications arrive here.")]
    monkeypatch.delenv("POLYHOUSE_NOTIFY_PRIVATE_HOSTS")
    private = polyhouse("notify", "--test")
    assert (private.returncode, webhook.take()) == (3, [])
    assert "127.0.0.1 is no host of the internet" in private.stderr
    assert SECRET not in private.stderr
    monkeypatch.setenv("POLYHOUSE_NOTIFY_PRIVATE_HOSTS", "127.0.0.1")
    webhook.is_down = True
    refused = polyhouse("notify", "--test")
    assert refused.returncode == 3
    assert SECRET not in refused.stdout + refused.stderr
    done = polyhouse("notify", "--json")
    assert json.loads(done.stdout) == {"sent": 0, "waiting": 0}
    monkeypatch.delenv("POLYHOUSE_NOTIFY_URLS")
    assert polyhouse("notify").returncode == 2
