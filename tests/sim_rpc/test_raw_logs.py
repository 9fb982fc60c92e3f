"""Every raw log decodes back to the universe's fields; what metadata implies is there; noise is foreign."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from sim_rpc_abi import OTHER_INSTANCES, as_universe, decoded, read, symbol

from polyhouse.domain import contracts, ids
from polyhouse.errors import BadInputError
from polyhouse.sim.model import Log, Transaction
from polyhouse.sim.node import Node, NodeQuirks
from polyhouse.sim.rawlogs import Encoder
from polyhouse.sim.rawmeta import pool_created
from polyhouse.sim.universe import Universe

POSITION_EVENTS = {
    "OrderFilled", "OrdersMatched", "FeeRefunded", "PositionSplit", "PositionsMerge", "PayoutRedemption",
    "PositionsConverted", "ConditionResolution", "TransferSingle", "TransferBatch",
}  # fmt: skip
Read = tuple[dict[str, Any], str, dict[str, Any]]
QUIET = NodeQuirks(noise_every=0)


def every_log(node: Node) -> list[dict[str, Any]]:
    branch = node.branch
    return [log for number in node.numbers(0, node.head, branch) for log in node.logs(number, branch)]


@pytest.fixture(scope="module")
def node(universe: Universe) -> Node:
    return Node(universe, QUIET)


@pytest.fixture(scope="module")
def logs(node: Node) -> list[dict[str, Any]]:
    return every_log(node)


@pytest.fixture(scope="module")
def known(logs: list[dict[str, Any]]) -> list[Read]:
    """Every log with its event name and arguments."""
    return [(log, *read(log)) for log in logs]


def test_every_log_decodes_back(universe: Universe, known: list[Read]) -> None:
    ours: defaultdict[str, list[Any]] = defaultdict(list)
    names: Counter[tuple[str, str]] = Counter()
    for log, name, f in known:
        names[name, symbol(log["address"])] += 1
        if name in POSITION_EVENTS:
            ours[log["transactionHash"]] += as_universe(log, name, f)
    expected = {}
    for tx in universe.transactions():
        found = [(log.t, {k: _listed(v) for k, v in log.fields.items()}) for log in tx.logs if log.t != "Income"]
        if found:
            expected[tx.tx] = found
    assert dict(ours) == expected
    ctf, nra = "0x" + contracts.CTF.hex(), "NRA"
    for pair in (
        ("OrderFilled", "EX1"), ("OrderFilled", "NEX1"), ("OrderFilled", "EX2"), ("OrderFilled", "NEX2"),
        ("FeeCharged", "EX1"), ("FeeCharged", "EX2"), ("FeeRefunded", "0x" + contracts.FEE_MODULE.hex()),
        ("PositionSplit", ctf), ("PositionSplit", nra), ("PositionsMerge", ctf), ("PositionsMerge", nra),
        ("PayoutRedemption", ctf), ("PayoutRedemption", nra), ("PositionsConverted", nra),
        ("ConditionResolution", ctf), ("TransferSingle", ctf), ("TransferBatch", ctf), ("OutcomeReported", nra),
    ):  # fmt: skip
        assert names[pair], pair


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_logs_stand_in_blocks_as_a_node_prints_them(universe: Universe, logs: list[dict[str, Any]]) -> None:
    seen: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    blocks = {tx.tx: tx.block for tx in universe.transactions()}
    for log in logs:
        assert all(text == text.lower() for text in (log["address"], log["data"], *log["topics"]))
        seen[log["blockNumber"]].append((int(log["logIndex"], 16), int(log["transactionIndex"], 16)))
        if log["transactionHash"] in blocks:
            assert int(log["blockNumber"], 16) == blocks[log["transactionHash"]]
    for places in seen.values():
        assert [index for index, _ in places] == list(range(len(places)))
        transactions = [index for _, index in places]
        assert transactions == sorted(transactions)
        assert set(transactions) == set(range(max(transactions) + 1))


def test_amounts_that_the_decoded_logs_leave_out(known: list[Read]) -> None:
    """OrdersMatched repeats the taker's fill before it; refund and charge add up to the fee of a fill."""
    last: dict[str, Any] = {}
    fees: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    matched = refunded = charged = 0
    for log, name, f in known:
        if name == "FeeCharged":
            pending = f["amount"]
        if name == "OrderFilled":
            last = f
            if f["fee"]:
                charged += 1
                assert pending == f["fee"]
                fees[log["transactionHash"], f["order"]].append(f["fee"])
        if name == "OrdersMatched":
            matched += 1
            keys = set(f) - {"order"}
            assert {key: f[key] for key in keys} == {key: last[key] for key in keys}
            assert f["order"] == last["order"]
            assert symbol(last["taker"]) == symbol(log["address"])
        if name == "FeeRefunded":
            refunded += 1
            assert f["refund"] + f["fee_charged"] == fees[log["transactionHash"], f["order"]].pop(0)
    assert matched > 500
    assert refunded > 50
    assert charged > refunded


def test_splits_and_redemptions_name_collateral_and_partition(universe: Universe, known: list[Read]) -> None:
    neg_risk = {m.condition_id: m.neg_risk for event in universe.events for m in event.markets}
    checked = Counter()
    for _, name, f in known:
        if name in ("PositionSplit", "PositionsMerge", "PayoutRedemption") and "collateral" in f:
            right = contracts.WCOL if neg_risk[f["condition"]] else contracts.USDC_E
            assert f["collateral"] == "0x" + right.hex()
            assert f["parent"] == "0x" + "00" * 32
            assert f.get("partition", f.get("index_sets")) == [1, 2]
            checked[name, neg_risk[f["condition"]]] += 1
    assert len(checked) == 6


def test_everything_is_prepared_before_its_first_use(universe: Universe, known: list[Read]) -> None:
    prepared, tokens, markets, questions = {}, {}, {}, {}
    for _, name, f in known:
        if name == "ConditionPreparation":
            oracle, question = bytes.fromhex(f["oracle"][2:]), bytes.fromhex(f["question"][2:])
            assert "0x" + ids.condition_id(oracle, question).hex() == f["condition"]
            assert f["slots"] == 2
            prepared[f["condition"]] = oracle
        elif name == "TokenRegistered":
            tokens[f["token0"]] = f["condition"]
        elif name == "MarketPrepared":
            markets[f["market"]] = f["fee_bips"]
        elif name == "QuestionPrepared":
            assert f["question"][:-2] + "00" == f["market"]
            assert int(f["question"][-2:], 16) == f["index"]
            questions.setdefault(f["market"], set()).add(f["index"])
        elif "condition" in f:
            assert f["condition"] in prepared
        elif name == "PositionsConverted":
            assert f["market"] in markets
            assert questions[f["market"]] == set(range(universe.neg_risk_markets[f["market"]][0]))
    listed = {m.condition_id: m for event in universe.events for m in event.markets if m.created_ts <= universe.now}
    assert prepared.keys() == listed.keys()
    for condition, market in listed.items():
        collateral = contracts.WCOL if prepared[condition] == contracts.NEG_RISK_ADAPTER else contracts.USDC_E
        derived = ids.token_ids(bytes.fromhex(condition[2:]), collateral)
        assert tuple(ids.format_token(token) for token in derived) == market.token_ids
        if market.created_ts < contracts.CLOB_V2_CUTOVER_TS:
            assert {tokens[int(token)] for token in market.token_ids} == {condition}
    seen = {m: count for m, (count, _) in universe.neg_risk_markets.items() if m in markets}
    assert {m: len(found) for m, found in questions.items()} == seen
    assert markets == {m: universe.neg_risk_markets[m][1] for m in markets}
    assert markets


def test_noise_is_foreign_and_settable(universe: Universe, logs: list[dict[str, Any]]) -> None:
    noisy = every_log(Node(universe, NodeQuirks(noise_every=5, unknown_every=50)))
    usual = {log["transactionHash"] for log in logs}
    strange = [log for log in noisy if log["transactionHash"] not in usual]
    wallets, conditions = set(universe.wallets), {m.condition_id for e in universe.events for m in e.markets}
    kinds, unheard, ours_elsewhere = Counter(), 0, 0
    for log in strange:
        try:
            name, f = read(log)
        except KeyError:
            unheard += 1
            continue
        kinds[name] += 1
        assert wallets.isdisjoint(str(value) for value in f.values())
        if f.get("condition") in conditions:
            ours_elsewhere += 1
            assert int(f["parent"], 16) or f["collateral"] not in (
                "0x" + contracts.USDC_E.hex(), "0x" + contracts.WCOL.hex(),
            )  # fmt: skip
    assert {"ConditionPreparation", "ConditionResolution", "PositionSplit", "PayoutRedemption"} <= kinds.keys()
    assert unheard > 5
    assert ours_elsewhere > 5
    assert {log["address"] for log in strange if log["topics"][0] in {x["topics"][0] for x in logs}} == {
        "0x" + contracts.CTF.hex()
    }
    places = ("blockNumber", "blockHash", "transactionIndex", "logIndex")
    kept = [log for log in noisy if log["transactionHash"] in usual]
    assert [_without(log, places) for log in kept] == [_without(log, places) for log in logs]


def _without(log: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in log.items() if key not in names}


def test_quiet_settings(universe: Universe, known: list[Read]) -> None:
    quirks = NodeQuirks(noise_every=0, chatter=False, batches=False, instances_every=0)
    plain = [(log, *read(log)) for log in every_log(Node(universe, quirks))]
    names = {name for _, name, _ in plain}
    assert names.isdisjoint({"FeeCharged", "OutcomeReported", "TransferBatch"})
    assert OTHER_INSTANCES.keys().isdisjoint(_parties(plain))
    assert OTHER_INSTANCES.keys() <= _parties(known)
    flat = [pair for item in plain if item[1] in POSITION_EVENTS for pair in as_universe(*item)]
    assert flat == [pair for item in known if item[1] in POSITION_EVENTS for pair in as_universe(*item)]


def _parties(logs: list[Read]) -> set[str]:
    """Emitters, and all addresses that arguments name."""
    return {log["address"] for log, _, _ in logs} | {v for _, _, f in logs for v in f.values() if isinstance(v, str)}


def test_pool_logs() -> None:
    """The AMM era has the same encoder: saved logs of the vectors can be served as well."""
    pool, who, condition = "0x" + "ab" * 20, "0x" + "cd" * 20, "0x" + "ef" * 32
    given = [
        ("FPMMBuy", {"buyer": who, "investment": 100, "fee": 2, "outcome_index": 1, "tokens": 150}),
        ("FPMMSell", {"seller": who, "return": 70, "fee": 1, "outcome_index": 0, "tokens": 90}),
        ("FPMMFundingAdded", {"funder": who, "amounts": [10, 7], "shares": 9}),
        ("FPMMFundingRemoved", {"funder": who, "amounts": [5, 6], "fees": 3, "shares": 4}),
    ]
    logs = tuple(Log(name, place, {"fpmm": pool, **f}) for place, (name, f) in enumerate(given))
    raws = Encoder().encode(Transaction("0x" + "01" * 32, 5_000_000, 0, 1_600_000_000, logs))
    rows = [{"address": item.address, "topics": item.topics, "data": item.data} for item in raws]
    assert [pair for row in rows for pair in decoded(row)] == [(name, {"fpmm": pool, **f}) for name, f in given]
    created = pool_created(pool, who, [condition], 20_000_000_000_000_000)
    name, f = read({"topics": created.topics, "data": created.data})
    assert name == "FixedProductMarketMakerCreation"
    assert (f["pool"], f["creator"], f["conditions"], f["fee"]) == (pool, who, [condition], 2 * 10**16)
    assert f["ctf"] == "0x" + contracts.CTF.hex()
    assert created.address == "0x" + contracts.FPMM_FACTORY.hex()


def test_what_cannot_be_encoded_is_said() -> None:
    def encode(*logs: Log) -> object:
        return Encoder().encode(Transaction("0x" + "01" * 32, 1, 0, 1, logs))

    with pytest.raises(BadInputError, match="Migrated"):
        encode(Log("Migrated", 1, {}))
    with pytest.raises(BadInputError, match="no event"):
        encode(Log("ConditionResolution", 1, {"condition": "0x" + "00" * 32, "numerators": [1, 0]}))
    with pytest.raises(BadInputError, match="does not fill"):
        encode(Log("OrdersMatched", 1, {"ex": "EX1", "order": "0x" + "00" * 32}))
    assert encode(Log("Income", 1, {"wallet": "0x", "kind": "REWARD", "amount": 1})) == []
