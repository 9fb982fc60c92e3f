"""The registry: topics as published, every known contract covered, lookups by block."""

from collections import Counter

import pytest

from polyhouse.domain import contracts
from polyhouse.domain.log_objects import KINDS
from polyhouse.sources.chain import eras

NRA = contracts.NEG_RISK_ADAPTER
PUBLISHED = {
    (contracts.EX1, "OrderFilled"): "d0a08e8c493f9c94f29311604c9de1b4e8c8d4c06bd0c789af57f2d65bfec0f6",
    (contracts.EX2, "OrderFilled"): "d543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee",
    (contracts.EX3, "OrderFilled"): "d543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee",
    (contracts.NEX1, "OrdersMatched"): "63bf4d16b7fa898ef4c4b2b6d90fd201e9c56313b65638af6088d149d2ce956c",
    (contracts.EX2_THIRD, "OrdersMatched"): "174b3811690657c217184f89418266767c87e4805d09680c39fc9c031c0cab7c",
    (contracts.EX1, "FeeCharged"): "acffcc86834d0f1a64b0d5a675798deed6ff0bcfc2231edd3480e7288dba7ff4",
    (contracts.NEX2, "FeeCharged"): "55bb3cade9d43b798a4fe5ffdd05024b2d7870df53920673bfc7e68047cd0ab1",
    (contracts.FEE_MODULE_OLD, "FeeRefunded"): "b608d2bf25d8b4b744ba23ce2ea9802ea955e216c064a62f42152fbf98958d24",
    (contracts.EX1, "TokenRegistered"): "bc9a2432e8aeb48327246cddd6e872ef452812b4243c04e6bfb786a2cd8faf0d",
    (contracts.EX1, "OrderCancelled"): "5152abf959f6564662358c2e52b702259b78bac5ee7842a0f01937e670efcc7d",
    (contracts.CTF, "ConditionPreparation"): "ab3760c3bd2bb38b5bcf54dc79802ed67338b4cf29f3054ded67ed24661e4177",
    (contracts.CTF, "ConditionResolution"): "b44d84d3289691f71497564b85d4233648d9dbae8cbdbb4329f301c3a0185894",
    (contracts.CTF, "PositionSplit"): "2e6bb91f8cbcda0c93623c54d0403a43514fabc40084ec96b6d5379a74786298",
    (contracts.CTF, "PositionsMerge"): "6f13ca62553fcc2bcd2372180a43949c1e4cebba603901ede2f4e14f36b282ca",
    (contracts.CTF, "PayoutRedemption"): "2682012a4a4f1973119f1c9b90745d1bd91fa2bab387344f044cb3586864d18d",
    (contracts.CTF, "TransferSingle"): "c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62",
    (contracts.CTF, "TransferBatch"): "4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb",
    (NRA, "MarketPrepared"): "f059ab16d1ca60e123eab60e3c02b68faf060347c701a5d14885a8e1def7b3a8",
    (NRA, "QuestionPrepared"): "aac410f87d423a922a7b226ac68f0c2eaf5bf6d15e644ac0758c7f96e2c253f7",
    (NRA, "OutcomeReported"): "9e9fa7fd355160bd4cd3f22d4333519354beff1f5689bde87f2c5e63d8d484b2",
    (NRA, "PositionSplit"): "bbed930dbfb7907ae2d60ddf78345610214f26419a0128df39b6cc3d9e5df9b0",
    (NRA, "PositionsMerge"): "ba33ac50d8894676597e6e35dc09cff59854708b642cd069d21eb9c7ca072a04",
    (NRA, "PositionsConverted"): "b03d19dddbc72a87e735ff0ea3b57bef133ebe44e1894284916a84044deb367e",
    (NRA, "PayoutRedemption"): "9140a6a270ef945260c03894b3c6b3b2695e9d5101feef0ff24fec960cfd3224",
    (contracts.FPMM_FACTORY, "FixedProductMarketMakerCreation"):
        "92e0912d3d7f3192cad5c7ae3b47fb97f9c465c1dd12a5c24fd901ddb3905f43",
    (None, "FPMMBuy"): "4f62630f51608fc8a7603a9391a5101e58bd7c276139366fc107dc3b67c3dcf8",
    (None, "FPMMSell"): "adcf2a240ed9300d681d9a3f5382b6c1beed1b7e46643e0c7b42cbe6e2d766b4",
    (None, "FPMMFundingAdded"): "ec2dc3e5a3bb9aa0a1deb905d2bd23640d07f107e6ceb484024501aad964a951",
    (None, "FPMMFundingRemoved"): "8b4b2c8ebd04c47fc8bce136a85df9b93fcb1f47c8aa296457d4391519d190e7",
    (contracts.PUSD, "Wrapped"): "c00a5c84859ae82a7f5e6a2773283fb525335d5b3195f61174aa1ecc7e15dd84",
    (contracts.PUSD, "Unwrapped"): "18b42b684d0b621cc609f4d888916e5ed9e934a476259ec1c11ec116f2b9aa7f",
    (contracts.NEG_RISK_UMA_ADAPTER, "QuestionInitialized"):
        "eee0897acd6893adcaf2ba5158191b3601098ab6bece35c5d57874340b64c5b7",
    (contracts.UMA_SPORTS_ORACLE, "QuestionResolved"):
        "566c3fbdd12dd86bb341787f6d531f79fd7ad4ce7e3ae2d15ac0ca1b601af9df",
}  # fmt: skip


@pytest.mark.parametrize(("contract", "name"), PUBLISHED)
def test_published_topics_belong_to_their_contract(contract, name):
    topics = {era.event.topic0.hex() for era in eras.ERAS if (era.address, era.event.name) == (contract, name)}
    assert topics == {PUBLISHED[contract, name]}


def test_every_contract_of_the_market_is_known():
    wallets = {contracts.ZERO, contracts.NEG_RISK_BURN}
    assert contracts.INFRA - wallets <= eras.CONTRACTS
    assert {era.address for era in eras.ERAS if era.event.name == "OrderFilled"} == contracts.EXCHANGES


def test_one_block_has_one_era():
    rows = Counter((era.address, era.event.topic0) for era in eras.ERAS)
    assert set(rows.values()) == {1}
    assert len(contracts.EXCHANGES) == 6


def test_layouts_match_their_signatures():
    for event in {id(era.event): era.event for era in eras.ERAS}.values():
        arguments = event.signature.partition("(")[2][:-1].split(",")
        if event.status == "ignored":
            assert event.reason
            continue
        assert len(event.fields) == len(arguments)
        assert len(event.indexed) <= 3
        for field, solidity in zip(event.fields, arguments, strict=True):
            dynamic = solidity.endswith("[]") or solidity == "bytes"
            assert dynamic == (field.type in ("uints", "id32s", "tail")), (event.signature, field)
            assert field.type != "address" or solidity == "address"
            assert field.type != "uint" or solidity.startswith("uint")


def test_kinds_of_the_ledger_have_a_builder():
    assert {era.event.kind for era in eras.ERAS if era.event.status == "ledger"} == KINDS


def test_lookup_by_block():
    topic = bytes.fromhex(PUBLISHED[contracts.EX2, "OrderFilled"])
    first = contracts.FIRST_BLOCK[contracts.EX2]
    found = eras.lookup(contracts.EX2, topic, first)
    assert found
    assert found.event.kind == "order_filled_v2"
    assert eras.lookup(contracts.EX2, topic, first - 1) is None
    assert eras.lookup(contracts.EX1, topic, first) is None
    pool = eras.lookup(b"p" * 20, bytes.fromhex(PUBLISHED[None, "FPMMBuy"]), 5_000_000)
    assert pool
    assert pool.event.kind == "fpmm_buy"


def test_filters_bring_every_event_that_counts():
    filters = eras.filters()
    for era in eras.ERAS:
        if era.event.status in ("ledger", "registry"):
            assert any(
                (era.address in f.addresses or (era.address is None and not f.addresses))
                and (not f.topics or era.event.topic0 in f.topics)
                and f.first_block <= era.first_block
                for f in filters
            )
    assert set(eras.QUARANTINED_CONTRACTS) == set(filters[-1].addresses)
    assert len(eras.filters(protocol_v2=False)) == len(filters) - 1
