"""The worked examples of the accounting page come out as the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from polyhouse.replay import replay
from polyhouse.warehouse import open_warehouse

PAGE = Path(__file__).parents[2] / "docs" / "accounting.md"


def cases() -> list[dict[str, Any]]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)]


def told(expected: Any, got: Any) -> Any:
    """Of what came out, the part that the page tells."""
    if isinstance(expected, dict) and isinstance(got, dict):
        return {key: told(value, got.get(key, "absent")) for key, value in expected.items()}
    return sorted(got) if isinstance(expected, list) else got


def test_every_worked_example_comes_out(tmp_path: Path) -> None:
    wanted = cases()
    assert len(wanted) == 7
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        answers = replay({"vectors": [{"rule": "", "title": case["id"], **case} for case in wanted]}, warehouse)
    for case, answer in zip(wanted, answers, strict=True):
        assert told(case["expected"], answer) == case["expected"], case["id"]
