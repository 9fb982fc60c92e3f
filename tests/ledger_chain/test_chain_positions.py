"""Splits, merges, redemptions, conversions, resolutions, transfers, AMM: accounting §2, worked by hand."""

import pytest

M = 1_000_000


def split(chain, li, who, amount=100 * M, src="CTF", condition="A", **more):
    return chain.log("PositionSplit", li, src=src, stakeholder=who, condition=condition, amount=amount, **more)


def merge(chain, li, who, amount=100 * M, src="CTF", condition="A", **more):
    return chain.log("PositionsMerge", li, src=src, stakeholder=who, condition=condition, amount=amount, **more)


def redeem(chain, li, who, payout, src="CTF", condition="A", **more):
    more = more or {"index_sets": [1, 2]}
    return chain.log("PayoutRedemption", li, src=src, redeemer=who, condition=condition, payout=payout, **more)


def test_split_and_merge_are_condition_level(chain):
    got = chain.derive(split(chain, 1, "W1", 7), merge(chain, 2, "W1", 3))
    assert [(r["kind"], r["wallet"], r["token"], r["condition"], r["shares"], r["cash"]) for r in got.rows] == [
        ("SPLIT", "W1", "", "A", 7, 7),
        ("MERGE", "W1", "", "A", 3, 3),
    ]


@pytest.mark.parametrize("who", ["NRA", "EX1", "NEX2", "0x8B9805A2f595B6705e74F7310829f2d299D21522"])
def test_ctf_events_of_machinery_are_nobodys(chain, who):
    got = chain.derive(split(chain, 1, who), merge(chain, 2, who), redeem(chain, 3, who, M))
    assert got.rows == []
    assert got.flags == []
    assert got.ignored == {"settlement_internal": 3}


def test_a_pool_splits_for_nobody(chain):
    got = chain.derive(split(chain, 1, "P1"), fpmms=[{"id": "P1", "condition": "A"}])
    assert got.rows == []


def test_adapter_split_belongs_to_the_first_receiver(chain):
    got = chain.derive(
        chain.move(1, "ZERO", "ADP", "AY", 100 * M),
        chain.move(2, "ZERO", "ADP", "AN", 100 * M),
        split(chain, 3, "ADP"),
        chain.move(4, "ADP", "W1", "AY", 100 * M),
        chain.move(5, "ADP", "W1", "AN", 100 * M),
        use_transfers=True,
    )
    assert [(r["kind"], r["wallet"], r["shares"]) for r in got.rows] == [("SPLIT", "W1", 100 * M)]
    assert got.flags == []


def test_adapter_merge_belongs_to_the_last_sender(chain):
    got = chain.derive(
        chain.move(1, "W9", "ADP", "AY", 5 * M, tx="m0"),
        chain.move(1, "W1", "ADP", "AY", 100 * M),
        chain.move(2, "W1", "ADP", "AN", 100 * M),
        chain.move(3, "ADP", "ZERO", "AY", 100 * M),
        chain.move(4, "ADP", "ZERO", "AN", 100 * M),
        merge(chain, 5, "ADP"),
        use_transfers=True,
    )
    assert [(r["kind"], r["wallet"], r["shares"]) for r in got.rows] == [
        ("TRANSFER_OUT", "W9", 5 * M),
        ("MERGE", "W1", 100 * M),
    ]


def test_neg_risk_adapter_chain_of_a_v2_split(chain):
    """NADP calls NRA, NRA calls CTF: three events, one owner (§§2.1, 2.6)."""
    got = chain.derive(
        chain.move(1, "ZERO", "NRA", "Q0Y", 9 * M),
        split(chain, 2, "NRA", 9 * M, condition="Q0"),
        chain.move(3, "NRA", "NADP", "Q0Y", 9 * M),
        split(chain, 4, "NADP", 9 * M, src="NRA", condition="Q0"),
        chain.move(5, "NADP", "W1", "Q0Y", 9 * M),
    )
    assert [(r["kind"], r["wallet"], r["key"], r["condition"]) for r in got.rows] == [("SPLIT", "W1", "m1:4", "Q0")]


def test_two_adapter_events_of_one_transaction_keep_their_owners(chain):
    got = chain.derive(
        chain.move(1, "W1", "ADP", "AY", 10 * M),
        chain.move(2, "W1", "ADP", "AN", 10 * M),
        merge(chain, 3, "ADP", 10 * M),
        chain.move(4, "W2", "ADP", "AY", 20 * M),
        chain.move(5, "W2", "ADP", "AN", 20 * M),
        merge(chain, 6, "ADP", 20 * M),
    )
    assert [(r["wallet"], r["shares"]) for r in got.rows] == [("W1", 10 * M), ("W2", 20 * M)]


def test_adapter_events_of_an_exchange_are_dropped(chain):
    got = chain.derive(
        chain.move(1, "EX2", "ADP", "AY", M), chain.move(2, "EX2", "ADP", "AN", M), merge(chain, 3, "ADP", M)
    )
    assert got.rows == []
    assert got.flags == []


@pytest.mark.parametrize("stray", [[], [("W1", "ADP", "BY")], [("ADP", "W1", "AY")], [("ZERO", "ADP", "AY")]])
def test_an_adapter_event_without_transfers_is_unattributed(chain, stray):
    moves = [chain.move(li, sender, to, token, M) for li, (sender, to, token) in enumerate(stray, 1)]
    got = chain.derive(*moves, merge(chain, 8, "ADP", M))
    assert got.rows == []
    assert got.flags == ["unattributed m1:8"]


def test_auto_redeemer_is_followed_back_to_the_wallet(chain):
    got = chain.derive(
        chain.move(1, "W1", "AR", "AY", 100 * M),
        chain.move(2, "AR", "ADP", "AY", 100 * M),
        chain.move(3, "ADP", "ZERO", "AY", 100 * M),
        redeem(chain, 4, "ADP", 100 * M),
        use_transfers=True,
    )
    assert [(r["kind"], r["wallet"], r["cash"], r["amounts"], r["index_set"]) for r in got.rows] == [
        ("REDEEM", "W1", 100 * M, (100 * M, 0), 3)
    ]
    assert got.flags == []


def test_adapter_redemption_amounts_are_the_transfers_of_both_outcomes(chain):
    got = chain.derive(
        chain.move(1, "W1", "ADP", "AY", 30), chain.move(2, "W1", "ADP", "AN", 50), redeem(chain, 3, "ADP", 30)
    )
    assert [(r["wallet"], r["amounts"]) for r in got.rows] == [("W1", (30, 50))]


def test_second_redemption_of_an_adapter_does_not_take_the_first_ones_shares(chain):
    got = chain.derive(
        chain.move(1, "W1", "ADP", "AY", 30),
        redeem(chain, 2, "ADP", 30),
        chain.move(3, "W2", "ADP", "AN", 50),
        redeem(chain, 4, "ADP", 0),
    )
    assert [(r["wallet"], r["amounts"]) for r in got.rows] == [("W1", (30, 0)), ("W2", (0, 50))]


def test_a_redemption_for_several_wallets_is_flagged(chain):
    got = chain.derive(
        chain.move(1, "W1", "AR", "AY", 10),
        chain.move(2, "W2", "AR", "AY", 20),
        chain.move(3, "AR", "ADP", "AY", 30),
        redeem(chain, 4, "ADP", 30),
        use_transfers=True,
    )
    assert got.flags == ["redemption_pooled m1:4"]
    assert [(r["kind"], r["wallet"], r["shares"], r["amounts"]) for r in got.rows] == [
        ("REDEEM", "W2", 0, (20, 0)),
        ("TRANSFER_OUT", "W1", 10, ()),
    ]


def test_one_delivery_may_serve_a_merge_and_a_redemption(chain):
    got = chain.derive(
        chain.move(1, "W1", "ADP", "AY", 100),
        chain.move(2, "W1", "ADP", "AN", 60),
        chain.move(3, "ADP", "ZERO", "AY", 60),
        chain.move(4, "ADP", "ZERO", "AN", 60),
        merge(chain, 5, "ADP", 60),
        chain.move(6, "ADP", "ZERO", "AY", 40),
        redeem(chain, 7, "ADP", 40),
        use_transfers=True,
    )
    assert [(r["kind"], r["wallet"], r["shares"], r["amounts"]) for r in got.rows] == [
        ("MERGE", "W1", 60, ()),
        ("REDEEM", "W1", 0, (40, 0)),
    ]


def test_mints_and_burns_are_not_parties(chain):
    got = chain.derive(
        chain.move(1, "W1", "ADP", "AY", 10),
        chain.move(2, "ZERO", "ADP", "AY", 5),
        merge(chain, 3, "ADP", 10),
        split(chain, 4, "ADP", 5),
        chain.move(5, "ADP", "ZERO", "AY", 10),
        chain.move(6, "ADP", "W2", "AY", 5),
    )
    assert [(r["kind"], r["wallet"]) for r in got.rows] == [("MERGE", "W1"), ("SPLIT", "W2")]


def test_split_is_followed_through_further_adapters(chain):
    got = chain.derive(
        split(chain, 1, "ADP", 5), chain.move(2, "ADP", "AR", "AY", 5), chain.move(3, "AR", "W1", "AY", 5)
    )
    assert [(r["kind"], r["wallet"]) for r in got.rows] == [("SPLIT", "W1")]


def test_neg_risk_redemption_belongs_to_who_brought_the_redeemed_outcome(chain):
    got = chain.derive(
        chain.move(1, "W1", "NADP", "Q0N", 60),
        chain.move(2, "W9", "NADP", "Q0Y", 1),
        redeem(chain, 3, "NADP", 60, src="NRA", condition="Q0", amounts=[0, 60]),
    )
    assert [(r["wallet"], r["amounts"]) for r in got.rows] == [("W1", (0, 60))]


def test_rows_stand_in_log_order_whatever_their_kind(chain):
    got = chain.derive(split(chain, 1, "W1", 9), chain.sell(2, "W1", "AY", 9, 4, taker="OPR"), merge(chain, 3, "W1", 9))
    assert [r["kind"] for r in got.rows] == ["SPLIT", "SELL", "MERGE"]


def test_flags_stand_in_log_order(chain):
    got = chain.derive(
        split(chain, 1, "W1", condition="ZZ"), chain.buy(2, "W1", "AY", 0, 0), split(chain, 3, "W1", condition="ZZ")
    )
    assert got.flags == ["foreign_condition m1:1", "zero_fill m1:2", "foreign_condition m1:3"]


def test_yes_of_a_question_beyond_the_market_is_a_transfer(chain):
    """A question that the registry does not count yet is not credited by the conversion (§2.3)."""
    got = chain.derive(
        chain.move(1, "W1", "NRA", "Q0N", 100),
        chain.move(2, "NRA", "W1", "Q1Y", 100),
        chain.move(3, "NRA", "W1", "Q4Y", 100),
        chain.log("PositionsConverted", 4, stakeholder="W1", market="MK", index_set=1, amount=100),
        use_transfers=True,
        neg_risk_markets=[{"id": "MK", "question_count": 2, "fee_bips": 0}],
    )
    assert [(r["kind"], r["token"]) for r in got.rows] == [("CONVERT", ""), ("TRANSFER_IN", "Q4Y")]


def test_a_conversion_of_an_unknown_market_is_flagged(chain):
    entry = chain.log("PositionsConverted", 1, stakeholder="W1", market="M2", index_set=1, amount=5)
    got = chain.derive(entry)
    assert [r["condition"] for r in got.rows] == ["M2"]
    assert got.flags == ["unknown_market m1:1"]


def test_plumbing_is_no_foreign_condition(chain):
    got = chain.derive(redeem(chain, 1, "NRA", 5, condition="ZZ"), split(chain, 2, "NRA", condition="ZZ"))
    assert got.flags == []


def test_redemption_forms(chain):
    got = chain.derive(
        redeem(chain, 1, "W1", 0),  # a worthless one is an event too
        redeem(chain, 2, "W1", 40, index_sets=[1]),
        redeem(chain, 3, "NRA", 60, condition="Q0"),
        redeem(chain, 4, "W2", 60, src="NRA", condition="Q0", amounts=[60, 5]),
    )
    assert [(r["wallet"], r["condition"], r["cash"], r["index_set"], r["amounts"]) for r in got.rows] == [
        ("W1", "A", 0, 3, ()),
        ("W1", "A", 40, 1, ()),
        ("W2", "Q0", 60, 0, (60, 5)),
    ]


def test_ctf_redemption_burns_what_the_transfers_say(chain):
    got = chain.derive(
        chain.move(1, "W1", "ZERO", "AY", 10),
        chain.move(2, "W1", "ZERO", "AN", 10),
        merge(chain, 3, "W1", 10),
        chain.move(4, "W1", "ZERO", "AY", 70),
        redeem(chain, 5, "W1", 70),
        use_transfers=True,
    )
    assert [(r["kind"], r["shares"], r["amounts"]) for r in got.rows] == [("MERGE", 10, ()), ("REDEEM", 0, (70, 0))]


@pytest.mark.parametrize(
    "strange",
    [
        {"condition": "ZZ"},
        {"collateral": "0x000000000000000000000000000000000000dEaD"},
        {"parent": "0x" + "11" * 32},
        {"partition": [1]},
    ],
)
def test_foreign_events_of_the_shared_contract_stay_out(chain, strange):
    got = chain.derive(split(chain, 1, "W1", **strange))
    assert got.rows == []
    assert got.flags == ["foreign_condition m1:1"]


def test_wrapped_collateral_is_ours(chain):
    wcol = "0x3A3BD7bb9528E159577F7C2e685CC81A765002E2"
    assert len(chain.derive(split(chain, 1, "W1", collateral=wcol, partition=[2, 1])).rows) == 1


def test_conversion_names_market_set_and_amount(chain):
    got = chain.derive(
        chain.log("PositionsConverted", 1, stakeholder="W1", market="MK", index_set=15, amount=1_000_001),
        chain.log("PositionsConverted", 2, stakeholder="W1", market="MK", index_set=1, amount=0),
    )
    assert [(r["kind"], r["condition"], r["index_set"], r["shares"], r["token"]) for r in got.rows] == [
        ("CONVERT", "MK", 15, 1_000_001, "")
    ]
    assert got.ignored == {"zero_amount": 1}


def test_conversion_transfers_leave_no_residual(chain):
    """2 % fee, questions 0 and 2 of 5: NO burned 100 each, 98 YES of the others."""
    moves = [("Q0N", 100), ("Q2N", 100)]
    gains = ["Q1Y", "Q3Y", "Q4Y"]
    got = chain.derive(
        *(chain.move(li, "W1", "NADP", token, n) for li, (token, n) in enumerate(moves, 1)),
        *(chain.move(li, "NADP", "NRA", token, n) for li, (token, n) in enumerate(moves, 3)),
        *(chain.move(li, "NRA", "NADP", token, 98) for li, token in enumerate(gains, 5)),
        chain.log("PositionsConverted", 8, stakeholder="NADP", market="MK", index_set=5, amount=100),
        *(chain.move(li, "NADP", "W1", token, 98) for li, token in enumerate(gains, 9)),
        use_transfers=True,
    )
    assert [(r["kind"], r["wallet"], r["index_set"]) for r in got.rows] == [("CONVERT", "W1", 5)]


def test_every_resolution_is_kept_and_repeats_are_flagged(chain):
    got = chain.derive(
        chain.log("ConditionResolution", 1, tx="r2", bn=9, condition="A", numerators=[0, 1]),
        chain.log("ConditionResolution", 1, tx="r1", bn=2, condition="A", numerators=[1, 1]),
        chain.log("ConditionResolution", 2, tx="r1", bn=2, condition="B", numerators=[1, 0]),
        chain.log("ConditionResolution", 3, tx="r1", bn=2, condition="Q0", numerators=[0, 0]),
        chain.log("ConditionResolution", 4, tx="r1", bn=2, condition="Q1", numerators=[1, 0, 0]),
    )
    assert got.resolutions == [("A", (1, 1), "r1:1"), ("B", (1, 0), "r1:2"), ("A", (0, 1), "r2:1")]
    assert got.flags == ["foreign_condition r1:3", "foreign_condition r1:4", "resolution_repeated r2:1"]


def test_direct_moves_of_v2_matches_are_no_transfers(chain):
    got = chain.derive(
        chain.move(1, "W2", "W1", "AY", 100 * M),
        chain.sell(2, "W2", "AY", 100 * M, 50 * M, v=2, taker="W1"),
        chain.buy(3, "W1", "AY", 50 * M, 100 * M, v=2, taker="EX2", order="oa"),
        chain.matched(4, "oa", ex="EX2"),
        use_transfers=True,
    )
    assert [r["kind"] for r in got.rows] == ["SELL", "BUY"]


def test_a_gift_beside_a_match_is_the_residual(chain):
    got = chain.derive(
        chain.move(1, "W2", "W1", "AY", 120),
        chain.sell(2, "W2", "AY", 100, 50, v=2, taker="W1"),
        chain.buy(3, "W1", "AY", 50, 100, v=2, taker="EX2", order="oa"),
        chain.matched(4, "oa", ex="EX2"),
        chain.move(5, "W1", "ADP", "AN", 3),
        use_transfers=True,
    )
    extra = [(r["kind"], r["wallet"], r["token"], r["shares"], r["cash"]) for r in got.rows if r["key"] == "m1:5"]
    assert sorted(extra) == [
        ("TRANSFER_IN", "W1", "AY", 20, 0),
        ("TRANSFER_OUT", "W1", "AN", 3, 0),
        ("TRANSFER_OUT", "W2", "AY", 20, 0),
    ]
    assert sorted(r["sub"] for r in got.rows if r["key"] == "m1:5") == [60000, 60001, 60002]
    assert [r["key"] for r in got.rows][-3:] == ["m1:5"] * 3


def test_without_transfers_nothing_is_derived_from_them(chain):
    assert chain.derive(chain.move(1, "W1", "W2", "AY", 5)).rows == []


def test_a_migration_is_two_rows(chain):
    got = chain.derive(chain.log("Migrated", 1, wallet="W1", from_token="AY", to_token="BY", amount=9))
    assert [
        (r["kind"], r["token"], r["condition"], r["sub"], r["flags"], r["label"], r["shares"]) for r in got.rows
    ] == [
        ("MIGRATE", "AY", "A", 0, "from", "from", 9),
        ("MIGRATE", "BY", "B", 1, "to", "to", 9),
    ]


def test_income_keeps_its_kind(chain):
    got = chain.derive(
        chain.log("Income", 1, wallet="W1", kind="TAKER_REBATE", amount=7),
        chain.log("Income", 2, wallet="AR", kind="REWARD", amount=7),
    )
    assert [(r["kind"], r["wallet"], r["cash"], r["label"], r["token"]) for r in got.rows] == [
        ("INCOME", "W1", 7, "TAKER_REBATE", "")
    ]
    assert got.flags == ["infra_wallet m1:2"]


POOL = [{"id": "P1", "condition": "A"}]


@pytest.mark.parametrize(
    ("amounts", "back", "lp_cost"),
    [
        ([100, 60], ("AN", 40, 25), 75),  # floor(40·100/160)
        ([60, 100], ("AY", 40, 25), 75),
        ([70, 70], None, 70),
        ([0, 90], ("AY", 90, 90), 0),
    ],
)
def test_funding_added(chain, amounts, back, lp_cost):
    got = chain.derive(chain.log("FPMMFundingAdded", 1, fpmm="P1", funder="W1", amounts=amounts, shares=55), fpmms=POOL)
    rows = [(r["kind"], r["token"], r["shares"], r["cash"]) for r in got.rows]
    assert rows == ([("BUY", *back)] if back else []) + [("BUY", "LP:P1", 55, lp_cost)]
    assert {(r["label"], r["role"], r["volume"]) for r in got.rows} == {("LP", "", 0)}
    assert sum(r["cash"] for r in got.rows) == max(amounts)


def test_funding_removed(chain):
    got = chain.derive(
        chain.log("FPMMFundingRemoved", 1, fpmm="P1", funder="W1", amounts=[0, 50], fees=3, shares=20), fpmms=POOL
    )
    assert [(r["kind"], r["token"], r["shares"], r["cash"]) for r in got.rows] == [
        ("BUY", "AN", 50, 0),
        ("SELL", "LP:P1", 20, 3),
    ]


def test_pool_trades(chain):
    at = {"fpmm": "P1", "fee": 2, "outcome_index": 1}
    got = chain.derive(
        chain.log("FPMMBuy", 1, **at, buyer="W1", investment=100, tokens=180),
        chain.log("FPMMSell", 2, **at, seller="W1", tokens=90, **{"return": 60}),
        chain.log("FPMMSell", 3, **at, seller="W1", tokens=0, **{"return": 60}),
        chain.log("FPMMBuy", 4, **(at | {"fpmm": "P2"}), buyer="W1", investment=100, tokens=180),
        chain.log("FPMMBuy", 5, **at, buyer="W1", investment=10, tokens=0),
        chain.log("FPMMBuy", 6, **at, buyer="EX1", investment=10, tokens=1),
        fpmms=POOL,
    )
    assert [(r["kind"], r["token"], r["shares"], r["cash"], r["fee"], r["volume"]) for r in got.rows] == [
        ("BUY", "AN", 180, 100, 2, 100),
        ("SELL", "AN", 90, 60, 2, 60),
        ("BUY", "AN", 0, 10, 2, 10),
    ]
    assert got.fills == {}
    assert got.flags == ["zero_fill m1:3", "foreign_condition m1:4", "infra_wallet m1:6"]
