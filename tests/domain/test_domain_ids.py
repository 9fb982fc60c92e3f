"""Ids: strict parsers, exact printers, derivations against real tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyhouse.domain import contracts, ids
from polyhouse.errors import BadInputError

ADDRESS = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
CONDITION = "0xf2ce8d3897ac5009a131637d3575f1f91c579bd08eecce6ae2b2da0f32bbe6f1"


@given(st.binary(min_size=20, max_size=20))
def test_an_address_survives_print_and_parse_in_any_case(raw):
    text = ids.format_address(raw)
    assert ids.parse_address(text) == raw
    assert ids.parse_address("0x" + text[2:].upper()) == raw
    assert text == text.lower()


@given(st.one_of(st.binary(min_size=31, max_size=31), st.binary(min_size=32, max_size=32)))
def test_a_condition_survives_print_and_parse_in_both_lengths(raw):
    assert ids.parse_condition(ids.format_condition(raw)) == raw


@given(st.binary(min_size=32, max_size=32))
def test_a_token_survives_print_and_parse_as_decimal_hex_and_int(raw):
    text = ids.format_token(raw)
    assert text.isdigit()
    assert ids.parse_token(text) == raw
    assert ids.parse_token(int(text)) == raw
    assert ids.parse_token(hex(int(text))) == raw
    assert ids.parse_hash(ids.format_hash(raw)) == raw


BAD_ADDRESSES = [
    "", "0x", ADDRESS[:-1], ADDRESS + "0", ADDRESS[2:], "0X" + ADDRESS[2:], " " + ADDRESS, ADDRESS + "\n",
    "0x" + "ab" * 19 + "  ", "0x" + "ab" * 19 + " a", "0x" + "g" * 40, "0x" + "а" * 40, "0x" + "１" * 40,
    "0x" + "\x00" * 40, "0x" + "ab" * 32, None, True, 1.5, 12, b"\x00" * 20, ["0x"],
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_ADDRESSES, ids=repr)
def test_an_address_that_is_none_is_refused_with_its_name(bad):
    with pytest.raises(BadInputError, match=r"^wallet .*expected 0x and 40 hex digits"):
        ids.parse_address(bad, "wallet")


@pytest.mark.parametrize("bad", ["0x" + "a" * 63, "0x" + "a" * 61, "0x" + "a" * 66, "0x" + "a" * 61 + " ", 7, None])
def test_a_condition_of_a_wrong_length_is_refused(bad):
    with pytest.raises(BadInputError, match="64"):
        ids.parse_condition(bad)


BAD_TOKENS = [
    "", "-1", "+1", "01", "1.0", "1e5", " 1", "1 ", "1_000", "٣", "²", "0x", "0x" + "f" * 65, "0xzz", "0x_1", "9" * 79,
    str(2**256), 2**256, -1, True, 1.0, None, b"1", "1\x00",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_TOKENS, ids=lambda bad: repr(bad)[:20])
def test_a_token_that_is_none_is_refused(bad):
    with pytest.raises(BadInputError, match="token id"):
        ids.parse_token(bad)


@given(st.text(max_size=80))
def test_parsers_answer_any_text_with_a_value_or_a_clear_error(text):
    for parse in (ids.parse_address, ids.parse_hash, ids.parse_condition, ids.parse_token):
        try:
            assert isinstance(parse(text), bytes)
        except BadInputError as error:
            assert len(str(error)) < 400  # noqa: PT017


@pytest.mark.parametrize(
    "huge",
    ["0" * 10_000, "0x" + "f" * 10_000, 10**5_000, b"\xff" * 10_000, [10**5_000]],
    ids=["digits", "hex", "number", "bytes", "list"],
)
def test_ten_kilobytes_of_input_stay_one_short_line(huge):
    for parse in (ids.parse_address, ids.parse_token):
        with pytest.raises(BadInputError) as caught:
            parse(huge)
        assert len(str(caught.value)) < 400
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"", bytes(19), bytes(21), "0x", None, bytearray(20)])
def test_printers_refuse_what_is_no_id(raw):
    with pytest.raises(BadInputError):
        ids.format_address(raw)


def test_keccak_is_not_sha3():
    assert ids.keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_the_token_pair_of_a_real_ordinary_market():
    tokens = ids.token_ids(ids.parse_condition(CONDITION), contracts.USDC_E)
    assert [ids.format_token(token) for token in tokens] == [
        "114304586861386186441621124384163963092522056897081085884483958561365015034812",
        "112744882674787019048577842008042029962234998947364561417955402912669471494485",
    ]


def test_a_neg_risk_question_leads_back_to_its_market():
    market = ids.parse_hash("0x904aa321a48f737e2223e7b3007bf51d68b6a0d66bdda0c1e4bc581f55d62800")
    question = ids.neg_risk_question_id(market, 4)
    assert question[-1] == 4
    assert ids.neg_risk_market_of(question) == market
    assert ids.neg_risk_condition_id(market, 4) == ids.condition_id(contracts.NEG_RISK_ADAPTER, question)


@pytest.mark.parametrize("index", [-1, 256, True, "4", 1.0])
def test_a_question_index_is_one_byte(index):
    with pytest.raises(BadInputError, match="question index"):
        ids.neg_risk_question_id(bytes(32), index)


def test_a_real_combo_token_is_its_condition_and_outcome():
    condition = ids.parse_condition("0x03776ebda82a0174bd3b680fd88591cf340000000000000000000000000000")
    token = ids.parse_token("1567957651696239091719206017971399055398155065552945278851377549748624949248")
    assert ids.v2_token_id(condition, 0) == token


def test_no_exchange_or_adapter_is_a_wallet():
    assert contracts.EXCHANGES <= contracts.INFRA
    assert contracts.ADAPTERS | contracts.FEE_MODULES <= contracts.INFRA
    assert set(contracts.SYMBOLS.values()) <= contracts.INFRA
    assert bytes(20) in contracts.INFRA
    assert ids.parse_address("0xa5ef39c3d3e10d0b270233af41cac69796b12966") in contracts.INFRA
    assert all(len(address) == 20 for address in contracts.INFRA)
