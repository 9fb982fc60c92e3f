"""Saved log files: symbols and real ids, and errors that name the log."""

import pytest

from polyhouse.domain import contracts, ids
from polyhouse.errors import BadInputError
from polyhouse.ledger.chain import observations
from polyhouse.ledger.logs import OrderFilledV1, PositionsConverted
from polyhouse.ledger.symbols import SymbolTable
from polyhouse.ledger.vector_logs import parse_case
from polyhouse.ledger.vector_view import fill_view, wallet_view

MIXED = "0xAbCdEf0000000000000000000000000000000001"
FILL = {
    "t": "OrderFilled", "v": 1, "tx": "d1", "li": 1, "bn": 1, "ex": "EX1", "order": "o1", "maker": "W1", "taker": "OPR",
    "maker_asset": "0", "taker_asset": "AY", "maker_amount": 4, "taker_amount": 10, "fee": 0,
}  # fmt: skip


def test_addresses_in_different_case_are_one_wallet():
    logs = [FILL | {"maker": MIXED}, FILL | {"maker": "0x" + MIXED[2:].upper(), "tx": "d2", "bn": 2}]
    case = parse_case({"conditions": [{"id": "A", "tokens": ["AY", "AN"]}], "logs": logs})
    out = observations(case.transactions, case.registry)
    assert wallet_view(out.observations, case.symbols) == [MIXED.lower()]


def test_symbols_come_back_and_contracts_are_real():
    case = parse_case({"conditions": [{"id": "A", "tokens": ["AY", "AN"]}], "logs": [FILL], "marks": {"AY": 55}})
    (log,) = case.transactions[0]
    assert isinstance(log, OrderFilledV1)
    assert log.exchange == contracts.EX1
    assert log.maker_asset == bytes(32)
    assert [len(x) for x in (log.tx, log.order, log.maker, log.taker_asset)] == [32, 32, 20, 32]
    assert [case.symbols.name(x) for x in (log.tx, log.maker, log.taker, log.taker_asset)] == ["d1", "W1", "OPR", "AY"]
    assert case.registry.is_infra(log.taker)
    assert not case.registry.is_infra(log.maker)
    assert case.marks == {log.taker_asset: 55}
    assert case.registry.place(log.taker_asset) == (case.conditions[0].condition, 0)


def test_one_symbol_of_two_kinds_is_two_ids():
    symbols = SymbolTable()
    made = {symbols.token("X"), symbols.condition("X"), symbols.hash("X", "tx"), symbols.hash("X", "order")}
    assert len(made) == 4
    assert {symbols.name(raw) for raw in made} == {"X"}


def test_real_ids_are_taken_as_they_are():
    condition = "0x" + "ab" * 32
    token = str(2**255 + 7)
    fill = FILL | {"tx": "0x" + "CD" * 32, "order": "0x" + "12" * 32, "maker": MIXED, "taker_asset": token}
    case = parse_case({"conditions": [{"id": condition, "tokens": [token, "12"]}], "logs": [fill]})
    (log,) = case.transactions[0]
    assert isinstance(log, OrderFilledV1)
    assert log.maker == ids.parse_address(MIXED)
    assert int.from_bytes(log.taker_asset, "big") == 2**255 + 7
    fills = fill_view(observations(case.transactions, case.registry).observations, case.symbols)
    (key,) = fills
    assert key == "0x" + "cd" * 32 + ":1"
    assert (fills[key]["token"], fills[key]["condition"]) == (token, condition)


def test_an_index_set_may_have_256_bits():
    entry = {
        "t": "PositionsConverted", "tx": "c", "li": 1, "bn": 1, "stakeholder": "W1", "market": "MK", "amount": 1,
        "index_set": 2**255,
    }  # fmt: skip
    case = parse_case({"logs": [entry]})
    (log,) = case.transactions[0]
    assert isinstance(log, PositionsConverted)
    assert log.index_set == 2**255
    row = observations(case.transactions, case.registry).observations[0]
    assert row.index_set == b"\x80" + bytes(31)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": "Nonsense"}, r"log 0 \(tx d1, t Nonsense\): t 'Nonsense' is not a known log"),
        ({"maker_amount": -1}, "maker_amount -1 is not an integer"),
        ({"maker_amount": 1.5}, "maker_amount 1.5 is not an integer"),
        ({"maker_amount": True}, "maker_amount True is not an integer"),
        ({"fee": 2**63}, "fee 9223372036854775808 is not an integer"),
        ({"maker": "0x12"}, "address '0x12' is not valid"),
        ({"maker": None}, "address None is not a name"),
        ({"taker_asset": "0xzz"}, "token id '0xzz' is not valid"),
        ({"v": 4}, "v 4 is not a known version"),
        ({"v": 2, "side": "HOLD", "token": "AY"}, "side 'HOLD' is neither BUY nor SELL"),
        ({"v": 2}, "field side is missing"),
        ({"bn": None}, "bn None is not an integer"),
    ],
)
def test_bad_logs_are_named(change, message):
    with pytest.raises(BadInputError, match=message):
        parse_case({"logs": [FILL | change]})


@pytest.mark.parametrize(
    "document",
    [
        {"conditions": [{"id": "A", "tokens": ["AY"]}]},
        {"conditions": [{"tokens": ["AY", "AN"]}]},
        {"neg_risk_markets": [{"id": "MK"}]},
        {"logs": {"t": "OrderFilled"}},
        {"logs": ["x"]},
        {"marks": [1]},
        {"marks": {"AY": "0.5"}},
        {"logs": [FILL | {"v": 2, "token": "AY", "side": []}]},
    ],
)
def test_bad_descriptions_are_refused(document):
    with pytest.raises(BadInputError):
        parse_case(document)
