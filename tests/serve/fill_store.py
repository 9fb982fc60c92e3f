"""Fills a store with two fills of one wallet and builds the models: ``python fill_store.py HOME [WALLET MARKET]``."""

import sys
from pathlib import Path

from polyhouse.settings import Settings
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.touched import rebuild_touched
from polyhouse.wiring import open_stores

WALLET = bytes.fromhex("aa" * 20)
CONDITION = bytes.fromhex("c1" * 32)
TOKENS = (bytes.fromhex("01" * 32), bytes.fromhex("02" * 32))
USD = 1_000_000


def fill(home, wallet=WALLET, condition=CONDITION):
    with open_stores(Settings(home=home)) as stores:
        write = stores.warehouse.write
        write("events", {"event_id": [1], "slug": ["e"], "title": ["E"], "tags": [["sports"]], "category": ["sports"]},
              run=1, token="e")  # fmt: skip
        write("markets", {
            "condition": [condition], "source": ["gamma"], "market_id": [7], "question": ["<script>Who?"],
            "slug": ["m"], "event_id": [1], "outcomes": [["Yes", "No"]], "tokens": [list(TOKENS)],
        }, run=1, token="m")  # fmt: skip
        write("tokens", {
            "token": list(TOKENS), "condition": [condition] * 2, "outcome": [0, 1], "verified": [True, True],
            "source": ["gamma"] * 2,
        }, run=1, token="t")  # fmt: skip
        write("observations", {
            "wallet": [wallet, wallet], "token": [TOKENS[0]] * 2, "condition": [condition] * 2,
            "tx": [bytes([n]) * 32 for n in (1, 2)], "source": ["activity"] * 2, "kind": ["BUY", "SELL"],
            "ts": [1_780_000_000, 1_780_000_100], "pos": [1, 1], "shares": [10 * USD, 4 * USD],
            "cash": [4 * USD + 1, 3 * USD], "usdc_gross": [4 * USD + 1, 3 * USD], "outcome": [0, 0],
        }, run=1, token="o")  # fmt: skip
        stores.state.register_wallets([wallet, bytes(19) + b"\1"], "trades")
        rebuild_touched(stores.warehouse, stores.state, None, NullReporter())


if __name__ == "__main__":
    fill(Path(sys.argv[1]), *(bytes.fromhex(word.removeprefix("0x")) for word in sys.argv[2:4]))
