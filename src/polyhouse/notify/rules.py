"""What is watched, and from when on it is worth a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from polyhouse.domain.amounts import micros
from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError, ConfigError

OFF = "off"
_UNITS = {"m": 60, "h": 3_600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,6})([mhd])")


@dataclass(frozen=True, slots=True)
class Rules:
    """Each rule with its threshold; None = it is off.

    Attributes:
        sync_failed: a run failed. "on".
        sync_stale: no run ended well for so many seconds. A time such as "3h".
        parked: wallets were given up after failing again and again. "on".
        invariant: a check of the data is broken; checks run again after so many seconds. A time such as "1d".
        reconciliation: the share of wallets within a dollar of the published figures fell by so many percent points.
        whale_trade: a trade of so many micro-USDC. An amount in USDC.
        insider: a wallet is newly suspected of knowing outcomes beforehand. "on".
        followed: one of the followed wallets traded. "on".
    """

    sync_failed: bool | None = True
    sync_stale: int | None = 3 * 3_600
    parked: bool | None = True
    invariant: int | None = 86_400
    reconciliation: int | None = 1
    whale_trade: int | None = 25_000_000_000
    insider: bool | None = True
    followed: bool | None = True


RULES = tuple(field.name for field in fields(Rules))


def rules(chosen: Mapping[str, str]) -> Rules:
    """The rules that the settings ask for over the defaults.

    Args:
        chosen: rule → "on", "off" or its threshold.

    Raises:
        ConfigError: an unknown rule, or a threshold that cannot be.
    """
    asked: dict[str, Any] = {}
    for name, text in chosen.items():
        if name not in RULES:
            raise ConfigError(f"unknown notification rule {name[:40]!r}", hint=f"one of: {' '.join(RULES)}")
        if text == OFF:
            asked[name] = None
        elif text != "on":
            asked[name] = _threshold(name, text)
    return Rules(**asked)


def followed_wallets(text: str) -> frozenset[str]:
    """The addresses in a text, separated by commas or spaces, in lower case.

    Raises:
        ConfigError: one is no address.
    """
    try:
        return frozenset(f"0x{parse_address(one).hex()}" for one in text.replace(",", " ").split())
    except BadInputError as error:
        raise ConfigError(f"POLYHOUSE_NOTIFY_WALLETS: {error}") from None


def _threshold(name: str, text: str) -> int:
    problem = ConfigError(f"notification rule {name}: {text[:40]!r} cannot be", hint=_HINTS.get(name, '"on" or "off"'))
    if name in {"sync_stale", "invariant"}:
        found = _SPAN.fullmatch(text)
        if found is None or int(found[1]) == 0:
            raise problem
        return int(found[1]) * _UNITS[found[2]]
    if name == "reconciliation":
        if len(text) > 3 or not text.isdecimal() or not 1 <= int(text) <= 100:
            raise problem
        return int(text)
    if name == "whale_trade":
        try:
            amount = micros(text)
        except BadInputError:
            raise problem from None
        if amount <= 0:
            raise problem
        return amount
    raise problem


_HINTS = {
    "sync_stale": 'a time such as "90m", "3h" or "1d", or "off"',
    "invariant": 'a time such as "12h" or "1d", or "off"',
    "reconciliation": 'percent points, 1 to 100, or "off"',
    "whale_trade": 'an amount in USDC such as "25000", or "off"',
}
