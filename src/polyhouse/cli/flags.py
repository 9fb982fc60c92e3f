"""The flags of a wallet for people: which ones it has, how sure they are, and which could not be judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any


def flag_facts(flags: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """The lines of the ``flags`` of a wallet document (``reads/flags.py``)."""
    found = [flag for flag in flags if flag["is_flagged"]]
    unknown = [flag["flag"] for flag in flags if flag["value"] is None and not flag["is_flagged"]]
    lines = [("flags", ", ".join(_name(flag) for flag in found) or "none")]
    lines += [(_name(flag), f"{flag['meaning']}: {_evidence(flag)}") for flag in found]
    return [*lines, ("flags_not_judged", ", ".join(unknown))]


def _name(flag: Mapping[str, Any]) -> str:
    return f"{flag['flag']} ({flag['category']})" if flag["category"] else str(flag["flag"])


def _evidence(flag: Mapping[str, Any]) -> str:
    words = f"{_short(flag['value'])} of at least {_short(flag['threshold'])}, sample {flag['sample']}"
    return words if flag["q_value"] is None else f"{words}, q {_short(flag['q_value'])}"


def _short(number: Decimal) -> str:
    return f"{number:.3g}"
