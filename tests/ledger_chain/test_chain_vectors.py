"""The published accounting cases, as far as the chain rules decide them: fills, flags, ownership, volume."""

import json
from pathlib import Path

import pytest

from polyhouse.ledger.chain import observations
from polyhouse.ledger.transfers import share_changes
from polyhouse.ledger.vector_logs import parse_case
from polyhouse.ledger.vector_view import fill_view, flag_view, volume_view, wallet_view

VECTORS = Path(__file__).parents[3] / "shared" / "reference" / "vectors" / "accounting.json"


def _cases():
    if not VECTORS.exists():
        return []
    document = json.loads(VECTORS.read_text())
    return [case for case in document["vectors"] + document["peer_vectors"] if "input" in case]


CASES = _cases()
needs_vectors = pytest.mark.skipif(not CASES, reason=f"the reference vectors are not at {VECTORS}")


@needs_vectors
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_fills_flags_and_owners(case):
    parsed = parse_case(case["input"])
    out = observations(parsed.transactions, parsed.registry, use_transfers=parsed.use_transfers)
    fills = fill_view(out.observations, parsed.symbols)
    expected = case["expected"]
    for key, fields in expected.get("fills", {}).items():
        assert {name: fills[key][name] for name in fields} == fields, key
    if "fill_count" in expected:
        assert len(fills) == expected["fill_count"]
    if "flags" in expected:
        assert flag_view(out.flags, parsed.symbols) == expected["flags"]
    if "wallet_list" in expected:
        assert wallet_view(out.observations, parsed.symbols) == expected["wallet_list"]
    if "gross_volume" in expected:
        assert volume_view(out.observations) == expected["gross_volume"]
    owners = set(wallet_view(out.observations, parsed.symbols))
    assert owners >= {key.split("/")[0] for key in expected.get("positions", {})}
    assert not owners & {"EX1", "NEX1", "EX2", "NEX2", "EX3", "NRA", "ADP", "NADP", "AR", "ZERO", "OPR"}


ORDER_DEPENDENT = {"U02", "N06", "M09"}
PLAIN = [
    case
    for case in CASES
    if case["id"] not in ORDER_DEPENDENT and all(log["t"] != "ConditionResolution" for log in case["input"]["logs"])
]


@needs_vectors
@pytest.mark.parametrize("case", PLAIN, ids=[case["id"] for case in PLAIN])
def test_share_balances_follow_from_the_rows(case):
    """Without resolutions, shortfalls and gifts the rows alone say what is held."""
    parsed = parse_case(case["input"])
    out = observations(parsed.transactions, parsed.registry, use_transfers=parsed.use_transfers)
    changes = share_changes(out.observations, parsed.registry)
    held = {f"{parsed.symbols.name(w)}/{parsed.symbols.name(t)}": shares for (w, t), shares in changes.items()}
    for key, fields in case["expected"].get("positions", {}).items():
        if "shares" in fields:
            assert held[key] == fields["shares"], key
