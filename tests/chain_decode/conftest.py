"""Raw logs written with eth_abi from their own table of signatures, which shares nothing with the era registry."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from eth_abi import encode as abi_encode
from eth_utils import keccak

from polyhouse.domain import contracts
from polyhouse.domain import logs as types
from polyhouse.ledger.vector_logs import parse_case
from polyhouse.sim.universe import Universe

# Solidity types in order of declaration, * = indexed.
SIGNATURES = {
    "OrderFilledV1": ("OrderFilled", "bytes32* address* address* uint256 uint256 uint256 uint256 uint256"),
    "OrderFilledV2": (
        "OrderFilled", "bytes32* address* address* uint8 uint256 uint256 uint256 uint256 bytes32 bytes32",
    ),
    "OrdersMatchedV1": ("OrdersMatched", "bytes32* address* uint256 uint256 uint256 uint256"),
    "OrdersMatchedV2": ("OrdersMatched", "bytes32* address* uint8 uint256 uint256 uint256"),
    "FeeRefunded": ("FeeRefunded", "bytes32* address* uint256 uint256 uint256*"),
    "CtfSplit": ("PositionSplit", "address* address bytes32* bytes32* uint256[] uint256"),
    "CtfMerge": ("PositionsMerge", "address* address bytes32* bytes32* uint256[] uint256"),
    "NraSplit": ("PositionSplit", "address* bytes32* uint256"),
    "NraMerge": ("PositionsMerge", "address* bytes32* uint256"),
    "CtfRedemption": ("PayoutRedemption", "address* address* bytes32* bytes32 uint256[] uint256"),
    "NraRedemption": ("PayoutRedemption", "address* bytes32* uint256[] uint256"),
    "Converted": ("PositionsConverted", "address* bytes32* uint256* uint256"),
    "Resolution": ("ConditionResolution", "bytes32* address* bytes32* uint256 uint256[]"),
    "TransferSingle": ("TransferSingle", "address* address* address* uint256 uint256"),
    "TransferBatch": ("TransferBatch", "address* address* address* uint256[] uint256[]"),
    "FpmmBuy": ("FPMMBuy", "address* uint256 uint256 uint256* uint256"),
    "FpmmSell": ("FPMMSell", "address* uint256 uint256 uint256* uint256"),
    "FpmmFundingAdded": ("FPMMFundingAdded", "address* uint256[] uint256"),
    "FpmmFundingRemoved": ("FPMMFundingRemoved", "address* uint256[] uint256 uint256"),
    "ConditionPreparation": ("ConditionPreparation", "bytes32* address* bytes32* uint256"),
    "MarketPrepared": ("MarketPrepared", "bytes32* address* uint256 bytes"),
    "QuestionPrepared": ("QuestionPrepared", "bytes32* bytes32* uint256 bytes"),
    "TokenRegistered": ("TokenRegistered", "uint256* uint256* bytes32*"),
    "PoolCreated": (
        "FixedProductMarketMakerCreation", "address* address address* address* bytes32[] uint256",
    ),
}  # fmt: skip
SOMEONE = bytes(range(20))


def number(raw):
    return int.from_bytes(raw, "big")


def emit(name, address, values, *, tx=b"\7" * 32, block=90_000_000, tx_index=0, log_index=0, ts=0):
    """One raw log of an event in SIGNATURES, as a node prints it."""
    title, text = SIGNATURES[name]
    kinds = text.split()
    plain = [kind.rstrip("*") for kind in kinds]
    topics = [keccak(text=f"{title}({','.join(plain)})")]
    data = []
    for kind, value in zip(kinds, values, strict=True):
        if kind.endswith("*"):
            topics.append(abi_encode([kind[:-1]], [value]))
        else:
            data.append((kind, value))
    encoded = abi_encode([kind for kind, _ in data], [value for _, value in data])
    return {
        "address": "0x" + address.hex(), "topics": ["0x" + topic.hex() for topic in topics],
        "data": "0x" + encoded.hex(), "blockNumber": hex(block), "transactionHash": "0x" + tx.hex(),
        "transactionIndex": hex(tx_index), "blockHash": "0x" + "ab" * 32, "logIndex": hex(log_index),
        "removed": False, "blockTimestamp": hex(ts),
    }  # fmt: skip


def _filled_v1(log):
    assets = (number(log.maker_asset), number(log.taker_asset))
    return "OrderFilledV1", log.exchange, (
        log.order, log.maker, log.taker, *assets, log.maker_amount, log.taker_amount, log.fee,
    )  # fmt: skip


def _filled_v2(log):
    amounts = (log.maker_amount, log.taker_amount, log.fee)
    return "OrderFilledV2", log.exchange, (
        log.order, log.maker, log.taker, log.side, number(log.token), *amounts, b"\1" * 32, bytes(32),
    )  # fmt: skip


def _matched(log):
    if log.exchange in (contracts.EX1, contracts.NEX1):
        return "OrdersMatchedV1", log.exchange, (log.order, SOMEONE, 1, 0, 5, 6)
    return "OrdersMatchedV2", log.exchange, (log.order, SOMEONE, 1, 7, 5, 6)


def _refunded(log):
    return "FeeRefunded", contracts.FEE_MODULE, (log.order, log.to, number(log.asset), log.refund, log.charged or 0)


def _changed(log):
    word = "Split" if isinstance(log, types.PositionSplit) else "Merge"
    if log.emitter == "NRA":
        return "Nra" + word, contracts.NEG_RISK_ADAPTER, (log.stakeholder, log.condition, log.amount)
    values = (log.stakeholder, log.collateral, log.parent, log.condition, log.partition, log.amount)
    return "Ctf" + word, contracts.CTF, values


def _redeemed(log):
    if log.emitter == "NRA":
        return "NraRedemption", contracts.NEG_RISK_ADAPTER, (log.redeemer, log.condition, log.amounts, log.payout)
    values = (log.redeemer, log.collateral, log.parent, log.condition, log.index_sets, log.payout)
    return "CtfRedemption", contracts.CTF, values


def _converted(log):
    return "Converted", contracts.NEG_RISK_ADAPTER, (log.stakeholder, log.market, log.index_set, log.amount)


def _resolved(log):
    return "Resolution", contracts.CTF, (log.condition, SOMEONE, bytes(32), len(log.numerators), log.numerators)


def _transferred(log):
    parties = (SOMEONE, log.sender, log.to)
    if len(log.moves) == 1:
        return "TransferSingle", contracts.CTF, (*parties, number(log.moves[0][0]), log.moves[0][1])
    tokens, amounts = [number(token) for token, _ in log.moves], [amount for _, amount in log.moves]
    return "TransferBatch", contracts.CTF, (*parties, tokens, amounts)


EVENT_OF = {
    types.OrderFilledV1: _filled_v1,
    types.OrderFilledV2: _filled_v2,
    types.OrdersMatched: _matched,
    types.FeeRefunded: _refunded,
    types.PositionSplit: _changed,
    types.PositionsMerge: _changed,
    types.PayoutRedemption: _redeemed,
    types.PositionsConverted: _converted,
    types.ConditionResolution: _resolved,
    types.Transfer: _transferred,
    types.FpmmBuy: lambda log: ("FpmmBuy", log.pool, (log.buyer, log.investment, log.fee, log.outcome, log.tokens)),
    types.FpmmSell: lambda log: ("FpmmSell", log.pool, (log.seller, log.returned, log.fee, log.outcome, log.tokens)),
    types.FpmmFundingAdded: lambda log: ("FpmmFundingAdded", log.pool, (log.funder, log.amounts, log.shares)),
    types.FpmmFundingRemoved: lambda log: (
        "FpmmFundingRemoved", log.pool, (log.funder, log.amounts, log.fees, log.shares),
    ),
}  # fmt: skip
"""Decoded type → name, emitter and arguments of the event it comes from."""


def raw_of(log):
    """The raw log of a decoded one; None for what has no log on chain."""
    if type(log) not in EVENT_OF:
        return None
    return emit(
        *EVENT_OF[type(log)](log), tx=log.tx, block=log.block, tx_index=log.tx_index, log_index=log.log_index, ts=log.ts
    )


def universe_case(universe, until=None):
    """All logs of a universe through the file format of ``polyhouse replay``."""
    markets = [market for event in universe.events for market in event.markets]
    return parse_case({
        "conditions": [
            {
                "id": m.condition_id, "tokens": list(m.token_ids), "neg_risk_market": m.neg_risk_market_id or None,
                "question_index": m.question_index,
            }
            for m in markets
        ],
        "neg_risk_markets": [
            {"id": market, "question_count": count, "fee_bips": bips}
            for market, (count, bips) in universe.neg_risk_markets.items()
        ],
        "logs": [
            {"t": log.t, "tx": tx.tx, "li": log.li, "bn": tx.block, "ti": tx.tx_index, "ts": tx.ts, **log.fields}
            for tx in universe.transactions(until=until) for log in tx.logs
        ],
    })  # fmt: skip


@pytest.fixture(scope="session")
def abi():
    """The encoders under one name."""
    return SimpleNamespace(emit=emit, raw_of=raw_of, number=number)


@pytest.fixture(scope="session")
def universe_reader():
    """``universe_case`` for test modules."""
    return universe_case


@pytest.fixture(scope="session")
def small_universe():
    """A universe with everything in it: its logs, registry and raw logs."""
    return universe_case(Universe(seed=5, wallets=60, fills=2_500, with_transfers=True))


@pytest.fixture(scope="session")
def vector_cases():
    """Every case of the reference vectors that has logs; [] where the vectors are not beside the checkout."""
    path = Path(__file__).parents[3] / "shared" / "reference" / "vectors" / "accounting.json"
    document = json.loads(path.read_text()) if path.exists() else {"vectors": [], "peer_vectors": []}
    return [case for case in document["vectors"] + document["peer_vectors"] if "input" in case]
