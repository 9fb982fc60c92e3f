"""A server that learns of a trade for each number on its stdin: prints its URL, then ``told N`` for each."""

import os
import signal
import sys
import threading
from pathlib import Path

from polyhouse.serve.runner import serve
from polyhouse.settings import Settings
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.touched import rebuild_touched
from polyhouse.wiring import open_stores

USD = 1_000_000
WALLET = bytes.fromhex("aa" * 20)
CONDITION = bytes.fromhex("c1" * 32)
TOKENS = [bytes.fromhex("01" * 32), bytes.fromhex("02" * 32)]


def trade(stores, number):
    """One purchase of ``number`` USDC, in the transaction and at the second of that number."""
    stores.warehouse.write("observations", {
        "wallet": [WALLET], "token": [TOKENS[0]], "condition": [CONDITION], "tx": [bytes([number]) * 32],
        "source": ["activity"], "kind": ["BUY"], "ts": [1_780_000_000 + number], "pos": [1],
        "shares": [2 * number * USD], "cash": [number * USD], "usdc_gross": [number * USD], "outcome": [0],
    }, run=1, token=f"o{number}")  # fmt: skip


def main():
    home = Path(os.environ["POLYHOUSE_HOME"])
    settings = Settings(home=home)
    is_new = not (home / "warehouse").exists()
    with open_stores(settings) as stores:
        if is_new:
            stores.warehouse.write("tokens", {
                "token": TOKENS, "condition": [CONDITION] * 2, "outcome": [0, 1], "verified": [True, True],
                "source": ["gamma"] * 2,
            }, run=1, token="t")  # fmt: skip
            trade(stores, 1)
            rebuild_touched(stores.warehouse, stores.state, None, NullReporter())

        def learn():
            for line in sys.stdin:
                trade(stores, int(line))
                rebuild_touched(stores.warehouse, stores.state, [WALLET], NullReporter())
                print(f"told {line.strip()}", flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=learn, daemon=True).start()
        serve(settings, stores, host="127.0.0.1", port=0, ready=lambda url: print(url, flush=True), scheduled=False)


if __name__ == "__main__":
    main()
