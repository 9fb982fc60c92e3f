"""Good documents of every source: what the inputs of the tests are spoiled from."""

from __future__ import annotations

from polyhouse.domain.contracts import CTF, EX2, USDC_E
from polyhouse.domain.ids import format_token, token_ids, topic

NOW = 1_790_000_000
WALLET = "0x961afce6bd9aec79c5cf09d2d4dac2b434b23361"
CONDITION = "0xf2ce8d3897ac5009a131637d3575f1f91c579bd08eecce6ae2b2da0f32bbe6f1"
TOKENS = [format_token(one) for one in token_ids(bytes.fromhex(CONDITION[2:]), USDC_E)]
TX = "0x390ab32432ba697c9e3f74adf6ec84ba8e8bbcf70c5bf3b5530ce64e47389516"
HASH = "0x" + "5" * 64
END = {"data": [], "pagination": {"has_more": False, "next_cursor": None, "limit": 1000}}
PAGED = {"pagination": {"has_more": False, "next_cursor": None, "limit": 1000}}
TRADE = {
    "proxy_wallet": WALLET, "side": "BUY", "token_id": TOKENS[0], "condition_id": CONDITION, "size": 100.25,
    "price": 0.45, "timestamp": 1_780_000_000, "title": "Xi Jinping out in 2025?", "outcome_index": 0,
    "transaction_hash": TX,
}  # fmt: skip
ACTIVITY = TRADE | {"type": "TRADE", "usdc_size": 45.1125}
CAMEL = {
    "proxy_wallet": "proxyWallet", "token_id": "asset", "condition_id": "conditionId", "outcome_index": "outcomeIndex",
    "transaction_hash": "transactionHash", "usdc_size": "usdcSize",
}  # fmt: skip
V1_ACTIVITY = {CAMEL.get(name, name): value for name, value in ACTIVITY.items()}
V1_TRADE = {CAMEL.get(name, name): value for name, value in TRADE.items()}
NAMES = {"wallet": "proxy_wallet", "ts": "timestamp", "tx": "transaction_hash", "condition": "condition_id",
          "token": "token_id", "size": "size", "price": "price"}  # fmt: skip
V1_NAMES = {name: CAMEL.get(theirs, theirs) for name, theirs in NAMES.items()}
CASH, V1_CASH = {"usdc": "usdc_size"}, {"usdc": "usdcSize"}
DOME = {
    "token_id": TOKENS[1], "side": "SELL", "market_slug": "xi", "condition_id": CONDITION, "shares": 1_537_720_000,
    "price": 0.93, "tx_hash": TX, "title": "Xi?", "timestamp": 1_760_075_035, "order_hash": HASH, "user": WALLET,
    "shares_normalized": 1537.72, "taker": "0x" + "3" * 40,
}  # fmt: skip
FILL = {
    "id": f"{TX}_{HASH}", "transactionHash": TX, "timestamp": "1700000000", "orderHash": HASH, "maker": WALLET,
    "taker": "0x" + "3" * 40, "makerAssetId": "0", "takerAssetId": TOKENS[0], "makerAmountFilled": "45000000",
    "takerAmountFilled": "100000000", "fee": "1000000",
}  # fmt: skip
POSITION = {
    "proxy_wallet": WALLET, "token_id": TOKENS[0], "condition_id": CONDITION, "current_size": 10.5, "avg_price": 0.45,
    "realized_pnl": -1.25, "unrealized_pnl": 0.5, "current_value": 5.5, "status": "OPEN",
    "last_event_at": "2026-05-28T20:26:40Z",
}  # fmt: skip
MARKET = {
    "id": "501", "conditionId": CONDITION, "questionID": HASH, "question": "Xi out?", "slug": "xi",
    "outcomes": '["Yes","No"]', "outcomePrices": '["0.4","0.6"]', "clobTokenIds": f'["{TOKENS[0]}","{TOKENS[1]}"]',
    "negRisk": False, "negRiskMarketID": "0x" + "6" * 62 + "00", "startDate": "2025-01-01T00:00:00Z",
    "endDate": "2025-12-31T00:00:00Z", "closedTime": "2025-12-31 12:00:00+00", "closed": True, "feesEnabled": True,
    "feeSchedule": {"rate": 0.0625}, "umaResolutionStatus": "resolved", "events": [{"id": "77"}],
    "tags": [{"label": "Politics", "slug": "politics"}],
}  # fmt: skip
EVENT = {
    "id": "77", "slug": "xi", "title": "Xi?", "tags": [{"label": "World", "slug": "world"}], "series": [{"slug": "s"}],
    "negRisk": True, "negRiskMarketID": "0x" + "6" * 62 + "00", "negRiskFeeBips": 0, "closed": False,
    "startDate": "2025-01-01T00:00:00Z", "endDate": "2025-12-31T00:00:00Z", "markets": [MARKET],
}  # fmt: skip
CLOB = {
    "condition_id": CONDITION, "question_id": HASH, "question": "Xi?", "market_slug": "xi", "tags": ["World"],
    "tokens": [{"token_id": token, "outcome": word, "price": 0.5, "winner": word == "Yes"}
               for token, word in zip(TOKENS, ("Yes", "No"), strict=True)],
    "neg_risk": False, "neg_risk_market_id": "", "end_date_iso": "2025-12-31T00:00:00Z", "game_start_time": None,
    "closed": True, "is_50_50_outcome": False,
}  # fmt: skip
RESOLUTION = {
    "condition_id": CONDITION, "status": "resolved", "payouts": [1_000_000, 0], "resolved_block": 70_000_000,
    "resolved_at": "2026-05-28T20:26:40Z", "last_update_timestamp": 1_780_000_000, "was_disputed": False,
}  # fmt: skip
TOKEN_ROW = {
    "token_id": TOKENS[0],
    "condition_id": CONDITION,
    "outcome_index": 0,
    "module": "v1_ctf",
    "neg_risk": False,
}
POINT = {
    "timestamp": 1_780_000_000, "source_block": 70_000_000, "realized_pnl": 1.5, "unrealized_pnl": -0.5,
    "position_pnl": 1, "trade_pnl": 2, "fees_paid": -1, "wallet_income": 0.1, "volume_usdc": 1000.5, "trade_count": 12,
}  # fmt: skip
STANDING = {"user_id": WALLET, "rank": 1, "pnl": 1000.5, "volume": 12345.678901}
WIN = {"user_id": WALLET, "win_rank": 1, "pnl": 1000.5, "position_id": TOKENS[0], "condition_id": CONDITION}


def _hex(number: int) -> str:
    return f"{number:064x}"


def _words(*parts: str) -> str:
    return "0x" + "".join(parts)


LOG = {
    "address": "0x" + EX2.hex(), "blockNumber": "0x5100000", "blockHash": HASH, "transactionHash": TX,
    "transactionIndex": "0x3", "logIndex": "0x10", "blockTimestamp": "0x6a18d8c0", "removed": False,
    "topics": [
        "0x" + topic(f"OrderFilled(bytes32,address,address,uint8,{'uint256,' * 4}bytes32,bytes32)").hex(),
        HASH, "0x" + "0" * 24 + WALLET[2:], "0x" + "0" * 24 + "3" * 40,
    ],
    "data": _words(_hex(0), _hex(int(TOKENS[0])), _hex(45_000_000), _hex(100_000_000), _hex(1_000), _hex(0), _hex(0)),
}  # fmt: skip
TRANSFER = LOG | {
    "address": "0x" + CTF.hex(), "logIndex": "0x11", "data": _words(_hex(int(TOKENS[0])), _hex(5_000_000)),
    "topics": [
        "0x" + topic("TransferSingle(address,address,address,uint256,uint256)").hex(), "0x" + "0" * 24 + "4" * 40,
        "0x" + "0" * 24 + WALLET[2:], "0x" + "0" * 24 + "3" * 40,
    ],
}  # fmt: skip
SPLIT = LOG | {
    "address": "0x" + CTF.hex(), "logIndex": "0x12",
    "topics": [
        "0x" + topic("PositionSplit(address,address,bytes32,bytes32,uint256[],uint256)").hex(),
        "0x" + "0" * 24 + WALLET[2:], "0x" + "0" * 64, CONDITION,
    ],
    "data": _words("0" * 24 + USDC_E.hex(), _hex(96), _hex(7_000_000), _hex(2), _hex(1), _hex(2)),
}  # fmt: skip
RPC = {"jsonrpc": "2.0", "id": 0, "result": [LOG, TRANSFER, SPLIT]}
FIRST, LAST = 0x5000000, 0x5200000
SYNCED = {
    "data": [{
        "blocks": [{"number": 0x5100000, "hash": HASH, "parent_hash": TX, "timestamp": "0x6a18d8c0"}],
        "logs": [{
            "address": LOG["address"], "data": LOG["data"], "block_number": 0x5100000, "block_hash": HASH,
            "transaction_hash": TX, "transaction_index": 3, "log_index": 16,
            **{f"topic{place}": text for place, text in enumerate(LOG["topics"])},
        }],
    }],
    "next_block": LAST + 1, "archive_height": LAST + 10,
    "rollback_guard": {"block_number": LAST, "hash": HASH, "first_block_number": FIRST, "first_parent_hash": TX},
}  # fmt: skip
LIVE = {
    "topic": "activity", "type": "trades", "timestamp": 1_780_000_000_000, "connection_id": "x",
    "payload": {"proxyWallet": WALLET, "conditionId": CONDITION, "transactionHash": TX, "timestamp": 1_780_000_000,
                "side": "BUY", "size": 10, "price": 0.5, "asset": TOKENS[0]},
}  # fmt: skip
V1_POSITION = {
    "proxyWallet": WALLET, "asset": TOKENS[0], "conditionId": CONDITION, "size": 10.5, "avgPrice": 0.45,
    "realizedPnl": 1.25, "cashPnl": -0.5, "currentValue": 5.5, "redeemable": False, "timestamp": 1_780_000_000,
}  # fmt: skip
USER_POSITION = {
    "id": f"{WALLET}-{TOKENS[0]}", "user": WALLET, "tokenId": TOKENS[0], "amount": "10500000", "avgPrice": "450000",
    "realizedPnl": "-1250000", "totalBought": "20000000",
}  # fmt: skip
VECTOR_LOG = {
    "t": "OrderFilled", "v": 2, "tx": TX, "bn": 85_000_000, "ti": 1, "li": 3, "ts": 1_780_000_000, "ex": "EX2",
    "order": HASH, "maker": WALLET, "taker": "0x" + "3" * 40, "side": "BUY", "token": TOKENS[0],
    "maker_amount": 45_000_000, "taker_amount": 100_000_000, "fee": 1_000,
}  # fmt: skip
