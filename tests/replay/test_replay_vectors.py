"""Every vector case through the product's own ledger, SQL and metrics: as given, and shuffled with every row twice."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from polyhouse.errors import BadInputError
from polyhouse.replay import replay
from polyhouse.warehouse import open_warehouse

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "vectors"
pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason="the vector files are not beside this checkout")


def _document(name: str) -> dict[str, Any]:
    return json.loads((VECTORS / name).read_text())


def _differences(expected: Any, got: Any, path: str) -> list[str]:
    """Subset comparison: keys that are not expected are not compared."""
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return [f"{path}: want an object, got {got!r}"]
        return [
            d for key, value in expected.items() for d in _differences(value, got.get(key, "<absent>"), f"{path}/{key}")
        ]
    if path.endswith("/wallet_list"):
        expected = sorted(expected)
    return [] if expected == got else [f"{path}: want {expected!r}, got {got!r}"]


def _compare(document: dict[str, Any], answers: list[dict[str, Any]]) -> None:
    cases = [
        case
        for name in ("vectors", "metric_vectors", "id_vectors", "peer_vectors")
        for case in document.get(name, [])
        if "input" in case or "metric" in case or "fn" in case
    ]
    assert [a["id"] for a in answers] == [c["id"] for c in cases]
    wrong = []
    for case, answer in zip(cases, answers, strict=True):
        if "input" in case:
            wrong += _differences(case["expected"], answer, case["id"])
        elif case["expected"] != answer["result"]:
            wrong += _differences(case["expected"], answer["result"], case["id"])
    assert not wrong, "\n".join(wrong)


def _replay(document: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    with open_warehouse(f"chdb://{folder}/warehouse") as warehouse:
        return replay(document, warehouse)


def test_accounting_cases(tmp_path: Path) -> None:
    document = _document("accounting.json")
    _compare(document, _replay(document, tmp_path))


def test_accounting_cases_shuffled_and_doubled(tmp_path: Path) -> None:
    document = _document("accounting.json")
    shuffled = copy.deepcopy(document)
    rng = random.Random(1)
    for case in shuffled["vectors"]:
        if case["input"].get("permute", True):
            logs = case["input"]["logs"] * 2
            rng.shuffle(logs)
            case["input"]["logs"] = logs
    _compare(document, _replay(shuffled, tmp_path))


@pytest.mark.parametrize("name", ["metrics.json", "ids.json"])
def test_metric_and_id_cases(tmp_path: Path, name: str) -> None:
    document = _document(name)
    _compare(document, _replay(document, tmp_path))


def test_a_case_that_cannot_be_read_names_itself(tmp_path: Path) -> None:
    document = {"vectors": [{"id": "X1", "input": {"conditions": [], "logs": [{"t": "OrderFilled", "tx": "a"}]}}]}
    with pytest.raises(BadInputError, match="case X1: log 0"):
        _replay(document, tmp_path)


def test_a_document_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no cases found"):
        _replay({"cases": []}, tmp_path)
