"""Raw logs written by eth_abi come back as what was written; bad ones are named and never change the others."""

import random
from dataclasses import fields, replace

import pytest
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from polyhouse.domain import contracts
from polyhouse.domain import logs as types
from polyhouse.domain.log_columns import Ragged, byte_list
from polyhouse.ledger.vector_logs import parse_case
from polyhouse.sources.chain.decode import decode, decode_batches, decode_columns
from polyhouse.sources.chain.raw import read_dicts

ADDRESS = st.binary(min_size=20, max_size=20)
ID = st.binary(min_size=32, max_size=32)
AMOUNT = st.integers(0, 2**63 - 1)
AMOUNTS = st.lists(AMOUNT, max_size=5).map(tuple)
PAIR = st.tuples(AMOUNT, AMOUNT)
PLACE = {
    "tx": ID, "block": st.integers(90_000_000, 90_000_003), "tx_index": st.integers(0, 65_535),
    "log_index": st.integers(0, 2**32 - 1), "ts": st.integers(0, 2**32 - 1),
}  # fmt: skip
V1 = st.sampled_from([contracts.EX1, contracts.NEX1])
V2 = st.sampled_from([contracts.EX2, contracts.NEX2, contracts.EX2_THIRD, contracts.EX3])
MOVES = st.lists(st.tuples(ID, AMOUNT), max_size=4).map(tuple)
POOL = ADDRESS.filter(lambda address: address not in contracts.INFRA)
CHANGE = {
    "stakeholder": ADDRESS, "condition": ID, "amount": AMOUNT, "collateral": ADDRESS, "parent": ID,
    "partition": AMOUNTS,
}  # fmt: skip
FILL = {"order": ID, "maker": ADDRESS, "taker": ADDRESS, "maker_amount": AMOUNT, "taker_amount": AMOUNT, "fee": AMOUNT}
SPLITS = (types.PositionSplit, types.PositionsMerge)


def built(kind, **arguments):
    return st.builds(kind, **PLACE, **arguments)


LOGS = st.one_of(
    built(types.OrderFilledV1, exchange=V1, maker_asset=ID, taker_asset=ID, **FILL),
    built(types.OrderFilledV2, exchange=V2, side=st.integers(0, 255), token=ID, **FILL),
    built(types.OrdersMatched, exchange=st.one_of(V1, V2), order=ID),
    built(types.FeeRefunded, order=ID, to=ADDRESS, asset=ID, refund=AMOUNT, charged=AMOUNT),
    *(built(kind, emitter=st.just("CTF"), **CHANGE) for kind in SPLITS),
    *(built(kind, emitter=st.just("NRA"), stakeholder=ADDRESS, condition=ID, amount=AMOUNT,
            collateral=st.just(contracts.USDC_E), parent=st.just(bytes(32)), partition=st.just((1, 2)))
      for kind in SPLITS),
    built(types.PayoutRedemption, emitter=st.just("CTF"), redeemer=ADDRESS, condition=ID, payout=AMOUNT,
          index_sets=AMOUNTS, amounts=st.just(()), collateral=ADDRESS, parent=ID),
    built(types.PayoutRedemption, emitter=st.just("NRA"), redeemer=ADDRESS, condition=ID, payout=AMOUNT,
          index_sets=st.just(()), amounts=AMOUNTS, collateral=st.just(contracts.USDC_E), parent=st.just(bytes(32))),
    built(types.PositionsConverted, stakeholder=ADDRESS, market=ID, index_set=st.integers(0, 2**256 - 1),
          amount=AMOUNT),
    built(types.ConditionResolution, condition=ID, numerators=AMOUNTS),
    built(types.Transfer, sender=ADDRESS, to=ADDRESS, moves=MOVES),
    built(types.FpmmBuy, pool=POOL, buyer=ADDRESS, investment=AMOUNT, fee=AMOUNT, outcome=AMOUNT, tokens=AMOUNT),
    built(types.FpmmSell, pool=POOL, seller=ADDRESS, returned=AMOUNT, fee=AMOUNT, outcome=AMOUNT, tokens=AMOUNT),
    built(types.FpmmFundingAdded, pool=POOL, funder=ADDRESS, amounts=PAIR, shares=AMOUNT),
    built(types.FpmmFundingRemoved, pool=POOL, funder=ADDRESS, amounts=PAIR, fees=AMOUNT, shares=AMOUNT),
)  # fmt: skip


def content(log):
    """A log with its time, which does not count for equality."""
    return type(log), tuple(getattr(log, f.name) for f in fields(log))


def unique(logs):
    return list({(log.block, log.log_index): log for log in logs}.values())


@given(st.lists(LOGS, max_size=12).map(unique))
@settings(max_examples=300, deadline=None)
def test_every_event_comes_back(abi, logs):
    batch = decode([abi.raw_of(log) for log in logs])
    assert (batch.rejects, batch.alerts, batch.quarantined, batch.ignored) == ([], [], [], {})
    assert batch.decoded == batch.fetched == len(logs)
    expected = sorted(logs, key=lambda log: (log.block, log.log_index))
    assert list(map(content, batch.to_logs())) == list(map(content, expected))


def sample(n=5):
    return [
        types.OrderFilledV2(bytes([k + 1]) * 32, 90_000_000, k, k, 17, contracts.EX2, b"o" * 32, b"m" * 20, b"k" * 20,
                            k % 2, b"t" * 32, 5 + k, 6 + k, k)
        for k in range(n)
    ]  # fmt: skip


def words(raw, *edits):
    """The raw log with words of its data replaced."""
    data = raw["data"]
    for place, word in edits:
        at = 2 + 64 * place
        data = data[:at] + word + data[at + 64 :]
    return raw | {"data": data}


WORD = f"{2**63:064x}"
SPOILED = {
    "topic_count": lambda raw: raw | {"topics": raw["topics"][:3]},
    "data_length": lambda raw: raw | {"data": raw["data"][:-64]},
    "data_length ": lambda raw: raw | {"data": raw["data"] + "00" * 32},
    "data_length  ": lambda raw: raw | {"data": "0x"},
    "dirty_address": lambda raw: (
        raw | {"topics": [*raw["topics"][:2], "0x01" + raw["topics"][2][4:], raw["topics"][3]]}
    ),
    "too_large": lambda raw: words(raw, (2, WORD)),
    "too_large ": lambda raw: words(raw, (3, "f" * 64)),
    "too_large  ": lambda raw: words(raw, (4, "1" + "0" * 63)),
    "data_length   ": lambda raw: raw | {"data": raw["data"][:-1]},
    "bad_data ": lambda raw: raw | {"data": raw["data"][:-2] + "  "},
    "data_length    ": lambda raw: raw | {"data": raw["data"][2:]},
    "data_length     ": lambda raw: raw | {"data": "NaN"},
    "bad_data    ": lambda raw: raw | {"data": None},
    "bad_data     ": lambda raw: raw | {"data": raw["data"][:-1] + "é"},
    "bad_topics": lambda raw: raw | {"topics": raw["topics"][0]},
    "bad_topics ": lambda raw: raw | {"topics": [*raw["topics"][:3], "0x12"]},
    "no_topics": lambda raw: raw | {"topics": []},
    "bad_address": lambda raw: raw | {"address": raw["address"][:-1]},
    "bad_transaction": lambda raw: raw | {"transactionHash": "0x" + "zz" * 32},
    "bad_number": lambda raw: raw | {"blockNumber": "NaN"},
    "bad_number ": lambda raw: raw | {"logIndex": "0x_1"},
    "bad_number  ": lambda raw: raw | {"blockNumber": None},
    "bad_number   ": lambda raw: raw | {"transactionIndex": -1},
    "bad_number    ": lambda raw: raw | {"logIndex": "inf"},
    "bad_number     ": lambda raw: {key: value for key, value in raw.items() if key != "blockNumber"},
    "number_out_of_range": lambda raw: raw | {"blockNumber": hex(2**40)},
    "number_out_of_range ": lambda raw: raw | {"transactionIndex": "0x10000"},
    "removed_log": lambda raw: raw | {"removed": True},
    "not_an_object": lambda _: "a text",
}


@pytest.mark.parametrize("reason", SPOILED)
def test_a_bad_log_is_named_and_the_others_stay(abi, reason):
    logs = sample()
    raw = [abi.raw_of(log) for log in logs]
    raw[2] = SPOILED[reason](raw[2])
    batch = decode(raw)
    assert [reject.reason for reject in batch.rejects] == [reason.strip()]
    if reason.strip() not in ("bad_transaction", "not_an_object", "bad_number"):
        assert batch.rejects[0].where == "0x" + "03" * 32 + ":2"
    assert batch.fetched == 5
    assert list(batch.to_logs()) == logs[:2] + logs[3:]


def test_bad_rows_among_columns_are_named_too(abi):
    raw = [abi.raw_of(log) for log in sample()]
    columns = replace(read_dicts(raw, None), data=[*[r["data"] for r in raw[:4]], raw[4]["data"][:-1] + "z"])
    batch = decode_columns(columns)
    assert [reject.reason for reject in batch.rejects] == ["bad_data"]
    assert list(batch.to_logs()) == sample(4)


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        (((0, f"{33:064x}"),), "bad_array"),
        (((0, f"{10_000:064x}"),), "bad_array"),
        (((0, "f" * 64),), "bad_array"),
        (((0, f"{0:064x}"),), "bad_array"),
        (((2, f"{3:064x}"),), "bad_array"),
        (((2, "f" * 64),), "bad_array"),
        (((2, f"{2**62:064x}"),), "bad_array"),
        (((3, "f" * 64),), "too_large"),
        (((2, f"{1:064x}"),), "not_binary"),
    ],
)
def test_bad_arrays(abi, edits, reason):
    pool = b"p" * 20
    good = [
        types.FpmmFundingAdded(bytes([k]) * 32, 90_000_000, k, k, 0, pool, b"f" * 20, (k, 2), 9) for k in range(1, 4)
    ]
    raw = [abi.raw_of(log) for log in good]
    batch = decode([raw[0], words(raw[1], *edits), raw[2]])
    assert [(reject.reason, reject.where) for reject in batch.rejects] == [(reason, "0x" + "02" * 32 + ":2")]
    assert list(batch.to_logs()) == [good[0], good[2]]


def test_a_batch_transfer_of_unequal_lists_is_rejected(abi):
    raw = abi.emit("TransferBatch", contracts.CTF, (b"a" * 20, b"b" * 20, b"c" * 20, [1, 2], [3]))
    assert [reject.reason for reject in decode([raw]).rejects] == ["length_mismatch"]


def test_what_describes_markets(abi):
    condition, question, market = b"c" * 32, b"q" * 32, b"m" * 32
    batch = decode([
        abi.emit("ConditionPreparation", contracts.CTF, (condition, b"o" * 20, question, 2)),
        abi.emit("MarketPrepared", contracts.NEG_RISK_ADAPTER, (market, b"o" * 20, 250, b"any text" * 9)),
        abi.emit("QuestionPrepared", contracts.NEG_RISK_ADAPTER, (market, question, 3, b"")),
        abi.emit("TokenRegistered", contracts.EX1, (7, 8, condition)),
        abi.emit("PoolCreated", contracts.FPMM_FACTORY,
                 (b"x" * 20, b"P" * 20, contracts.CTF, contracts.USDC_E, [condition], 20)),
    ])  # fmt: skip
    assert (batch.rejects, batch.alerts, batch.decoded) == ([], [], 5)
    assert list(batch.to_logs()) == []
    found = {kind: part.fields for kind, part in batch.columns.items()}
    assert byte_list(found["condition_prepared"]["oracle"]) == [b"o" * 20]
    assert byte_list(found["condition_prepared"]["condition"]) == [condition]
    assert found["condition_prepared"]["slots"].tolist() == [2]
    assert found["market_prepared"]["fee_bips"].tolist() == [250]
    assert found["question_prepared"]["index"].tolist() == [3]
    assert byte_list(found["token_registered"]["token1"]) == [(8).to_bytes(32, "big")]
    assert byte_list(found["pool_created"]["pool"]) == [b"P" * 20]
    conditions = found["pool_created"]["conditions"]
    assert isinstance(conditions, Ragged)
    assert byte_list(conditions.values) == [condition]


def test_nothing_is_silent(abi):
    fill = abi.raw_of(sample(1)[0])
    stranger = "0x" + "99" * 20
    unknown = "0x" + keccak(text="Surprise(uint256)").hex()
    batch = decode([
        fill,
        fill | {"address": stranger},
        fill | {"topics": [unknown], "logIndex": "0x5"},
        fill | {"topics": [unknown], "logIndex": "0x6"},
        fill | {"address": stranger, "topics": [unknown]},
        fill | {"address": "0x" + contracts.ROUTER.hex(), "topics": [unknown]},
        fill | {"address": "0x" + contracts.AUTO_REDEEMER.hex(), "topics": [unknown]},
        fill | {"topics": ["0x" + keccak(text="FeeCharged(address,uint256)").hex(), "0x" + "00" * 32]},
        fill | {"blockNumber": "0x5", "transactionHash": "0x" + "05" * 32},
    ])  # fmt: skip
    assert {(alert.word, alert.count, alert.first[-1]) for alert in batch.alerts} == {
        ("unknown_exchange", 1, "0"), ("unknown_topic", 2, "5"), ("unknown_contract", 1, "0"),
        ("unknown_topic", 1, "0"), ("outside_era", 1, "0"),
    }  # fmt: skip
    assert sorted(item.reason for item in batch.quarantined) == [
        "protocol_v2", "unknown_contract", "unknown_exchange", "unknown_topic", "unknown_topic", "unknown_topic",
    ]  # fmt: skip
    assert sum(batch.ignored.values()) == 1
    assert batch.decoded + len(batch.quarantined) + sum(batch.ignored.values()) == batch.fetched == 9


def test_addresses_in_any_case(abi):
    log = sample(1)[0]
    raw = abi.raw_of(log)
    shouting = raw | {
        "address": "0x" + raw["address"][2:].upper(), "topics": ["0x" + t[2:].upper() for t in raw["topics"]],
        "data": "0x" + raw["data"][2:].upper(),
    }  # fmt: skip
    assert list(decode([raw, shouting]).to_logs()) == [log, log]


def test_block_times_come_from_blocks(abi):
    raw = [abi.raw_of(replace(log, block=90_000_000 + k)) for k, log in enumerate(sample(3))]
    batch = decode(raw, block_times={90_000_000: 100, 90_000_002: 104})
    assert [log.ts for log in batch.to_logs()] == [100, 104]
    assert [(reject.reason, reject.where[-1]) for reject in batch.rejects] == [("no_block_time", "1")]
    assert [log.ts for log in decode(raw).to_logs()] == [17, 17, 17]


def test_universes_and_vectors_survive_the_wire(abi, small_universe, vector_cases):
    parsed = [small_universe, *(parse_case(case["input"], case["id"]) for case in vector_cases)]
    for case in parsed:
        logs = [log for part in case.transactions for log in part if abi.raw_of(log)]
        # A log file may name the same place twice; raw logs then keep the order in which they came.
        logs.sort(key=lambda log: (log.block, log.log_index))
        batch = decode([abi.raw_of(log) for log in logs])
        assert batch.rejects == []
        charged = [replace(g, charged=0) if getattr(g, "charged", 0) is None else g for g in logs]
        assert sorted(map(repr, batch.to_logs())) == sorted(map(repr, charged))


def test_batches_of_a_stream(abi):
    raw = [abi.raw_of(log) for log in sample(10)]
    batches = list(decode_batches(iter(raw), size=4))
    assert [batch.fetched for batch in batches] == [4, 4, 2]
    assert [log for batch in batches for log in batch.to_logs()] == sample(10)


@given(st.randoms(use_true_random=False), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8))
@settings(max_examples=200, deadline=None)
def test_random_damage_never_changes_the_neighbours(abi, rng: random.Random, damage):
    logs = sample(4)
    raw = [abi.raw_of(log) for log in logs]
    victim = dict(raw[1])
    for place, value in damage:
        name = rng.choice(["address", "data", "transactionHash", "blockNumber", "logIndex", "transactionIndex"])
        text = victim[name]
        at = place % (len(text) + 1)
        victim[name] = text[:at] + chr(value) + text[at + rng.randrange(2) :]
    batch = decode([raw[0], victim, *raw[2:]])
    assert batch.decoded + len(batch.rejects) + len(batch.quarantined) + sum(batch.ignored.values()) == 4
    kept = [log for log in batch.to_logs() if log.tx in {logs[0].tx, logs[2].tx, logs[3].tx}]
    assert [log for log in kept if log in (logs[0], logs[2], logs[3])] == [logs[0], logs[2], logs[3]]
