"""The ids that a batch of logs mentions: what must be known before the rules can read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from polyhouse.domain.log_columns import LogColumns, Ragged, byte_list
from polyhouse.domain.log_objects import KINDS

_ZERO32 = bytes(32)
_TOKENS = ("token", "tokens", "maker_asset", "taker_asset", "asset")


@dataclass(slots=True)
class NamedIds:
    """Distinct ids of a batch; collateral (token zero) is left out."""

    tokens: set[bytes] = field(default_factory=set)
    conditions: set[bytes] = field(default_factory=set)
    markets: set[bytes] = field(default_factory=set)
    pools: set[bytes] = field(default_factory=set)


def named_ids(columns: Mapping[str, LogColumns]) -> NamedIds:
    """The ids in the logs that move money or shares.

    Args:
        columns: kind → columns; kinds that only describe markets are passed over.
    """
    named = NamedIds()
    for kind, part in columns.items():
        if kind not in KINDS:
            continue
        for name in _TOKENS:
            named.tokens |= _distinct(part, name)
        named.conditions |= _distinct(part, "condition")
        named.markets |= _distinct(part, "market")
        if kind.startswith("fpmm_"):
            named.pools |= _rows(part.emitter)
    named.tokens.discard(_ZERO32)
    return named


def _distinct(part: LogColumns, name: str) -> set[bytes]:
    column = part.fields.get(name)
    values: npt.NDArray[Any] | None = column.values if isinstance(column, Ragged) else column
    # A pool's trades have a field of this name, too: how many shares were traded.
    return set() if values is None or values.dtype != np.uint8 else _rows(values)


def _rows(ids: npt.NDArray[Any]) -> set[bytes]:
    return set(byte_list(ids))
