"""The scores of a wallet for people: values, what they rest on, and what they are not."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any


def score_facts(scores: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The lines of the ``scores`` of a wallet document (``reads/scores.py``): each part with its points."""
    whale, insider = scores["whale"], scores["insider"]
    return [
        ("whale_score", whale["value"]), ("whale_status", whale["status"]), ("is_whale", whale["is_whale"]),
        ("whale_parts", _parts(whale["inputs"])),
        ("insider_score", insider["value"]), ("insider_status", insider["status"]),
        ("is_suspected", insider["is_suspected"]), ("insider_parts", _parts(insider["inputs"])),
        ("scores", whale["note"]),
    ]  # fmt: skip


def _parts(inputs: Mapping[str, Any] | None) -> str:
    if inputs is None:
        return ""
    parts = {name: part for name, part in inputs.items() if isinstance(part, Mapping)}
    return ", ".join(f"{name} {_points(part)}" for name, part in parts.items())


def _points(part: Mapping[str, Any]) -> str:
    points = part["points"]
    return part["status"] if points is None else str(points.quantize(Decimal("0.01"), ROUND_HALF_EVEN))
