"""The scores as users see them: in the wallet document, in SQL and on the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from score_store import CLOSE, columns, fill, load, market_tables, resolution

import polyhouse as package
from polyhouse.domain.contracts import USDC_E
from polyhouse.domain.ids import format_token, parse_condition, token_ids
from polyhouse.metrics.scores import SUSPECTED_MIN_POSITIONS, SUSPECTED_TENTHS
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import encode
from polyhouse.reads.scores import NOTE, whale_scores
from polyhouse.reads.wallet import wallet as wallet_document

WALLET, OTHER, STRANGER = 0xA1, 0xB2, 0xC3


def address(number: int) -> str:
    return f"0x{bytes([number]).hex() * 20}"


def document(warehouse: Warehouse, number: int) -> Any:
    return wallet_document(warehouse, address(number), sync={"status": "pending"})["scores"]


@pytest.fixture(scope="module")
def filled(shared: Warehouse) -> Warehouse:
    """The example of docs/scores.md."""
    load(shared, market_tables(1, 2) | {"resolutions": resolution(CLOSE, (1, 0))})
    load(shared, {"observations": columns([
        fill(OTHER, 5, 10, 400), fill(WALLET, 30, 200, 5_000), fill(OTHER, 50, 10, 600),
        fill(WALLET, 80, 20, 1_000, outcome=1), fill(WALLET, 10, 120, 6_000, market=2),
        fill(OTHER, 30, 10, 750, market=2),
    ])})  # fmt: skip
    build(shared)
    return shared


def test_the_wallet_document_shows_every_input(filled: Warehouse) -> None:
    scores = document(filled, WALLET)
    assert scores["insider"] == {
        "value": Decimal("6.5"), "is_suspected": False, "status": "SMALL_SAMPLE", "version": "insider_v1",
        "as_of": "2026-06-01T04:26:40Z", "note": NOTE,
        "inputs": {
            "entries": 3, "positions": 3, "stake": Decimal(120),
            "early_entry": {
                "points": Decimal("3.033333333"), "status": "OK", "known_stake": Decimal(120),
                "earliness": Decimal("0.758333333"),
            },
            "contrarian": {
                "points": Decimal("2.500000000"), "status": "OK", "known_stake": Decimal(60),
                "against_stake": Decimal(50), "against_share": Decimal("0.833333333"),
            },
            "timing": {
                "points": Decimal("1.000000000"), "status": "OK", "known_stake": Decimal(120), "gain_24h": Decimal(90),
                "best_gain_24h": Decimal(70), "return_24h": Decimal("0.166666667"),
            },
        },
    }  # fmt: skip
    whale = scores["whale"]
    assert (whale["value"], whale["is_whale"], whale["status"], whale["version"]) == (
        Decimal("1.6"), False, "OK", "whale_v1"
    )  # fmt: skip
    assert whale["inputs"] == {
        "volume": {"points": Decimal("0.007200000"), "volume": Decimal(120)},
        "win_rate": {"points": Decimal("1.500000000"), "wins": 1, "decided": 2, "win_rate": Decimal("0.500000000")},
        "consistency": {"points": Decimal("0.120000000"), "trades": 3},
        "position_size": {
            "points": Decimal("0.016000000"), "bought_cost": Decimal(120), "positions": 3,
            "average": Decimal("40.000000000"),
        },
    }  # fmt: skip
    assert b'"value":6.5' in encode(scores)


def test_a_part_without_input_says_so(filled: Warehouse) -> None:
    known = document(filled, OTHER)["insider"]["inputs"]["contrarian"]
    assert (known["points"], known["status"], known["known_stake"]) == (None, "LOW_COVERAGE", 6)
    fresh = fill(STRANGER, 81, 1, 50, market=2)
    load(filled, {"observations": columns([fresh])})
    build(filled, [bytes([STRANGER]) * 20])
    parts = document(filled, STRANGER)["insider"]["inputs"]
    assert parts["timing"] == {
        "points": None, "status": "NO_SAMPLE", "known_stake": 0, "gain_24h": 0, "best_gain_24h": 0, "return_24h": None,
    }  # fmt: skip
    assert parts["early_entry"]["status"] == "OK"


def test_a_wallet_that_no_build_has_seen_has_no_score(filled: Warehouse) -> None:
    scores = document(filled, 0xD4)
    for name, flag in (("whale", "is_whale"), ("insider", "is_suspected")):
        assert scores[name]["value"] is scores[name][flag] is scores[name]["inputs"] is None
        assert scores[name]["status"] == "NOT_COMPUTED"
    assert whale_scores(filled, [bytes([0xD4]) * 20]) == {}
    assert whale_scores(filled, []) == {}
    assert whale_scores(filled, [bytes([WALLET]) * 20]) == {bytes([WALLET]) * 20: 16}


def test_the_view_for_people_says_the_same_in_words_and_decimals(filled: Warehouse) -> None:
    result = filled.query(f"SELECT * FROM vw_wallet_scores_v1 WHERE wallet = '{address(WALLET)}'")
    row = dict(zip(result.columns, result.rows[0], strict=True))
    assert (row["whale_score"], row["insider_score"]) == (Decimal("1.6"), Decimal("6.5"))
    assert (row["stake"], row["timing_gain"], row["early_weight"]) == (120, 90, 91)
    hidden = {"version", "is_deleted", "whale_tenths", "insider_tenths"}
    stored = {name for (name,) in filled.query("SELECT name FROM system.columns WHERE table = 'wallet_scores_v1'").rows}
    assert set(result.columns) == stored - hidden | {"whale_score", "insider_score"}


def test_the_documentation_names_the_thresholds_in_force() -> None:
    text = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")
    assert f"score of {SUSPECTED_TENTHS / 10:.1f} or more" in text
    assert f"fewer than {SUSPECTED_MIN_POSITIONS} outcomes" in text
    assert NOTE in text


def test_the_command_prints_both_scores_and_what_they_are(tmp_path: Path) -> None:
    condition = "0x" + "c1" * 32
    row = {
        "proxyWallet": address(WALLET), "timestamp": 1_780_000_000, "conditionId": condition, "type": "TRADE",
        "size": 10, "usdcSize": 4.5, "transactionHash": "0x" + "ab" * 32, "price": 0.45,
        "asset": format_token(token_ids(parse_condition(condition), USDC_E)[0]), "side": "BUY", "outcomeIndex": 0,
    }  # fmt: skip
    (tmp_path / "activity.json").write_text(json.dumps([row]), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    kept |= {"POLYHOUSE_HOME": str(tmp_path), "PYTHONPATH": str(Path(package.__file__).parents[1])}

    def polyhouse(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "polyhouse", *arguments],
            env=kept, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True,
        ).stdout  # fmt: skip

    polyhouse("import", "activity.json")
    lines = dict(line.split("\t", 1) for line in polyhouse("wallet", address(WALLET)).splitlines() if "\t" in line)
    assert lines["whale_score"] == "0.0"
    assert lines["whale_parts"] == "volume 0.00, win_rate 0.00, consistency 0.04, position_size 0.00"
    assert (lines["insider_score"], lines["insider_status"], lines["is_suspected"]) == ("", "NO_SAMPLE", "no")
    assert lines["insider_parts"] == "early_entry NO_SAMPLE, contrarian NO_SAMPLE, timing NO_SAMPLE"
    assert lines["scores"] == "a ranking aid, not an accusation"
    assert not re.search(r"insider (trad|deal)|guilty|cheat", " ".join(lines.values()))
