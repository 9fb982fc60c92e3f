"""Every metric, id and peer case of the reference, through the registry that ``polyhouse replay`` uses."""

import json
from pathlib import Path

import pytest

from polyhouse.errors import BadInputError
from polyhouse.metrics.vectors import ID_FUNCTIONS, METRIC_FUNCTIONS, evaluate

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "vectors"


def _cases():
    cases = []
    for name in ("metrics.json", "ids.json"):
        path = VECTORS / name
        if path.exists():
            document = json.loads(path.read_text(encoding="utf-8"))
            for group in ("metric_vectors", "id_vectors", "peer_vectors"):
                cases += [case for case in document.get(group, []) if "input" not in case]
    return cases


CASES = _cases()


@pytest.mark.skipif(not CASES, reason="the reference vectors (../shared/reference/vectors) are not here")
def test_the_reference_is_the_one_we_know():
    assert len(CASES) >= 93
    assert {case["metric"] for case in CASES if "metric" in case} <= METRIC_FUNCTIONS.keys()
    assert {case["fn"] for case in CASES if "fn" in case} <= ID_FUNCTIONS.keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case(case):
    result, expected = evaluate(case), case["expected"]
    json.dumps(result, allow_nan=False)
    if isinstance(expected, dict):
        assert {name: result.get(name, "missing") for name in expected} == expected
    else:
        assert result == expected


# Numbers of the peers' suites and of real rows that the reference names in its text (accounting §1.8, §6.1).
FURTHER = [
    ("omega", {"pnls": []}, {"value": None, "status": "NO_SAMPLE"}),
    ("omega", {"pnls": [0, 0]}, {"value": None, "status": "ALL_FLAT"}),
    ("omega", {"pnls": [-5]}, {"value": "0.000000000", "status": "OK"}),
    ("omega_shrunk", {"pnls": []}, {"value": "1.000000000"}),
    ("win_rate", {"pnls": []}, {"wins": 0, "losses": 0, "flat": 0, "value": None}),
    ("win_rate", {"pnls": [10_000, -10_000, 9_999, -9_999]}, {"wins": 1, "losses": 1, "flat": 2}),
    ("wilson_low", {"wins": 0, "n": 0, "z": "1.96"}, {"value": None}),
    ("wilson_low", {"wins": 0, "n": 10}, {"value": "0.000000000"}),
    ("roi", {"pnl": 5, "cost": 0}, {"value": None}),
    ("peak_capital", {"cashflows": [5, 5], "pnl": 1}, {"peak": 0, "roi": None}),
    ("sharpe", {"daily": [5]}, {"daily": None, "annual": None}),
    ("sharpe", {"daily": [5, 5, 5]}, {"daily": None, "annual": None}),
    ("sortino", {"daily": [5, 7]}, {"daily": None, "annual": None}),
    ("max_drawdown", {"daily": [-3, -4, 10]}, {"value": 7}),
    ("kelly", {"p": "0.4", "price": "0.5"}, {"value": "-0.200000000"}),
    ("brier", {"rows": []}, {"value": None}),
    ("brier", {"rows": [{"w": 1, "price_e6": 500_000, "outcome": 0.5}]}, {"value": "0.000000000"}),
    ("calibration", {"bins": 10, "rows": []}, {"bins": {}, "ece": None}),
    ("luck_z", {"rows": []}, {"edge": None, "z": None}),
    ("luck_z", {"rows": [{"w": 1, "price_e6": 1_000_000, "outcome": 1}]}, {"edge": "0.000000000", "z": None}),
    ("clv", {"rows": []}, {"usdc": 0, "pct": None, "beat_rate": None}),
    ("earliness", {"open": 5, "close": 5, "entry": 5}, {"value": None}),
    ("hhi", {"stakes": []}, {"value": None}),
    ("contrarian", {"rows": []}, {"underdog_share": None, "against_move_share": None, "surprise": None}),
    ("platform_fee", {"rate": "0", "shares": 10**8, "price_e6": 500_000}, {"value": 0}),
    ("platform_fee", {"rate": "0.05", "shares": 10**8, "price_e6": 1_020_000}, {"value": 0}),
    ("platform_fee", {"rate": "0.07", "shares": 10**8, "price": "0.5", "exponent": 2}, {"value": 437_500}),
    ("v1_fee", {"rate_bps": 100, "shares": 10, "making": 0, "taking": 10, "side": "BUY"}, {"value": 0}),
    ("v1_fee", {"rate_bps": 100, "shares": 10**8, "making": 11, "taking": 10, "side": "BUY"}, {"value": 0}),
    ("data_api_position", {"size": "0", "avgPrice": "0", "curPrice": "0"}, {"percentPnl": None}),
    ("closed_position", {"total_bought": 1_000_001, "avg_e6": 600_000, "cur_e6": 0}, {"realizedPnl": -600_000}),
    ("api_multiset", {"fetches": []}, {"rows": 0}),
    ("clamp_series", {"deltas": []}, {"held": [], "cumulative_shortfall": []}),
    ("mark_price", {"own": {"price_e6": 4, "order": 12}, "complement": {"price_e6": 1, "order": 12}}, {"value": 4}),
    ("mark_price", {"own": None, "complement": {"price_e6": 550_000, "order": 1}}, {"value": 450_000}),
    ("mark_price", {"own": None, "complement": None}, {"value": None}),
    ("api_activity_trade", {"side": "SELL", "size": 100, "price": 0.5, "usdcSize": "48.25"}, {"fee": 1_750_000}),
    ("canonical_price", {"shares": 2_000_000, "usdc": 1}, {"value": 1}),
    ("canonical_price", {"shares": 3_000_000, "usdc": 1}, {"value": 0}),
    ("neg_risk_yes_price", {"no_price": 500_000, "no_count": 3, "question_count": 3}, {"value": None}),
    ("neg_risk_yes_price", {"no_price": 100_000, "no_count": 2, "question_count": 5}, {"value": -266_666}),
    ("fpmm_price", {"amounts": [0, 0]}, {"value": None}),
    ("ctf_redeem", {"balances": [3, 3], "numerators": [1, 1]}, {"value": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "args", "expected"), FURTHER)
def test_edges_that_the_reference_states_in_words(metric, args, expected):
    result = evaluate({"metric": metric, "args": args})
    assert {name: result[name] for name in expected} == expected


def test_every_published_topic():
    topics = {
        "OrderFilled(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)":
            "0xd0a08e8c493f9c94f29311604c9de1b4e8c8d4c06bd0c789af57f2d65bfec0f6",
        "OrderFilled(bytes32,address,address,uint8,uint256,uint256,uint256,uint256,bytes32,bytes32)":
            "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee",
        "TransferSingle(address,address,address,uint256,uint256)":
            "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62",
        "PositionsMerge(address,address,bytes32,bytes32,uint256[],uint256)":
            "0x6f13ca62553fcc2bcd2372180a43949c1e4cebba603901ede2f4e14f36b282ca",
    }  # fmt: skip
    for signature, topic in topics.items():
        assert evaluate({"fn": "topic", "args": {"signature": signature}}) == topic


def test_id_functions_agree_with_each_other():
    market = "0x904aa321a48f737e2223e7b3007bf51d68b6a0d66bdda0c1e4bc581f55d62800"
    condition = evaluate({"fn": "neg_risk_condition_id", "args": {"market": market, "question_index": 4}})
    question = evaluate({"fn": "neg_risk_question_id", "args": {"market": market, "question_index": 4}})
    oracle = "0xd91E80cF2E7be2e162c6513ceD06f1dD0dA35296"
    assert evaluate({"fn": "condition_id", "args": {"oracle": oracle, "question": question}}) == condition
    wcol = "0x3A3BD7bb9528E159577F7C2e685CC81A765002E2"
    tokens = evaluate({"fn": "token_ids", "args": {"condition": condition, "collateral": wcol}})
    for outcome in (0, 1):
        args = {"market": market, "question_index": 4, "outcome": outcome}
        assert evaluate({"fn": "neg_risk_position_id", "args": args}) == tokens[outcome]


@pytest.mark.parametrize(
    "case",
    [
        {"metric": "luck", "args": {}},
        {"fn": "nothing", "args": {}},
        {"args": {}},
        {"metric": "omega", "args": {}},
        {"metric": "omega", "args": {"pnls": ["x"]}},
        {"fn": "wallet_proxy", "args": {"signer": "0x01"}},
        {"fn": "create2", "args": {"factory": "0x" + "0" * 40, "salt": "0x" + "0" * 64, "init_code": "0xz"}},
    ],
)
def test_a_case_that_cannot_be_run_is_an_error_and_not_a_result(case):
    with pytest.raises(BadInputError):
        evaluate(case)
