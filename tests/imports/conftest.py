"""Rows as the feeds print them, with ids that belong together."""

import json

import pytest

WALLET = "0x961afce6bd9aec79c5cf09d2d4dac2b434b23361"
CONDITION = "0xf2ce8d3897ac5009a131637d3575f1f91c579bd08eecce6ae2b2da0f32bbe6f1"
TOKENS = (
    "114304586861386186441621124384163963092522056897081085884483958561365015034812",
    "112744882674787019048577842008042029962234998947364561417955402912669471494485",
)
TX = "0x390ab32432ba697c9e3f74adf6ec84ba8e8bbcf70c5bf3b5530ce64e47389516"
NOW = 1_790_000_000


@pytest.fixture
def activity_row():
    return {
        "proxyWallet": WALLET, "timestamp": 1_780_000_000, "conditionId": CONDITION, "type": "TRADE", "size": 100,
        "usdcSize": 46.75, "transactionHash": TX, "price": 0.45, "asset": TOKENS[0], "side": "BUY", "outcomeIndex": 0,
        "title": "Xi Jinping out in 2025?", "slug": "xi-jinping-out-in-2025", "name": "somebody",
    }  # fmt: skip


@pytest.fixture
def trade_row(activity_row):
    return {key: value for key, value in activity_row.items() if key not in {"type", "usdcSize"}}


@pytest.fixture
def dome_row():
    return {
        "token_id": TOKENS[1], "side": "SELL", "market_slug": "xi-jinping-out-in-2025", "condition_id": CONDITION,
        "shares": 1_537_720_000, "price": 0.93, "tx_hash": TX, "title": "Xi Jinping out in 2025?",
        "timestamp": 1_760_075_035, "order_hash": "0x" + "5" * 64, "user": WALLET, "shares_normalized": 1537.72,
    }  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Write a JSON document (or text, or bytes) to a file and return its path."""

    def _write(content, name="rows.json"):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return _write
