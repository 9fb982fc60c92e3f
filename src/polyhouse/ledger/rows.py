"""The rows that the chain rules produce: observations, resolutions and flags, and their turn into columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from polyhouse.ledger.logs import DecodedLog
from polyhouse.ledger.registry import NO_OUTCOME
from polyhouse.tables import Columns

_ZERO20 = bytes(20)
_ZERO32 = bytes(32)


class Observation(NamedTuple):
    """One row of table ``observations`` (meaning and units of every column: ``polyhouse.tables``)."""

    wallet: bytes
    kind: str
    tx: bytes
    block: int
    tx_index: int
    pos: int
    ts: int
    token: bytes = _ZERO32
    condition: bytes = b""
    outcome: int = NO_OUTCOME
    shares: int = 0
    cash: int = 0
    shares_gross: int = 0
    usdc_gross: int = 0
    fee_net: int = 0
    fee_asset: str = ""
    fee_usdc: int = 0
    refund_usdc: int = 0
    refund_shares: int = 0
    role: str = ""
    match_type: str = ""
    match_pos: int = 0
    counterparty: bytes = _ZERO20
    order_hash: bytes = _ZERO32
    exchange: str = ""
    flags: str = ""
    sub: int = 0
    index_set: bytes = _ZERO32
    amounts: tuple[int, ...] = ()
    label: str = ""


class Resolution(NamedTuple):
    """One row of table ``resolutions``."""

    condition: bytes
    tx: bytes
    block: int
    tx_index: int
    pos: int
    ts: int
    numerators: tuple[int, ...]


class Flag(NamedTuple):
    """Something about one log that a reader must know; printed as ``word tx:log_index``.

    Dropped logs: ``zero_fill`` (no shares, no cash), ``fill_rejected`` (undecodable), ``infra_wallet`` (owned by
    machinery), ``foreign_condition`` (not a market of ours), ``unattributed`` (an adapter's event of unknown owner).
    Kept rows: ``self_trade``, ``match_not_balanced`` (on the taker row), ``redemption_pooled`` (more than one wallet
    stood behind it), ``unknown_market`` (a conversion whose market is not registered), ``resolution_repeated``.
    Others: ``taker_row_missing`` (on the ``OrdersMatched``), ``fee_refund_unpaired``.
    """

    word: str
    tx: bytes
    log_index: int


@dataclass(slots=True)
class ChainRows:
    """What a batch of complete transactions means.

    Attributes:
        observations: rows in the order (block, tx_index, pos, sub).
        resolutions: every payout vector seen, repeated ones included; the model takes the first.
        flags: in log order.
        ignored: logs that belong to nobody by the rules, counted by reason (settlement inside an exchange, …).
    """

    observations: list[Observation] = field(default_factory=list)
    resolutions: list[Resolution] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    _resolved: set[bytes] = field(default_factory=set)

    def flag(self, word: str, log: DecodedLog) -> None:
        """Record a flag on a log."""
        self.flags.append(Flag(word, log.tx, log.log_index))

    def resolve(self, resolution: Resolution) -> bool:
        """Record a payout vector; False if its condition already has an earlier one in this batch."""
        self.resolutions.append(resolution)
        repeated = resolution.condition in self._resolved
        self._resolved.add(resolution.condition)
        return not repeated

    def flag_counts(self) -> Mapping[str, int]:
        """How often each flag word occurs, for run reports."""
        return Counter(flag.word for flag in self.flags)

    def tables(self) -> dict[str, Columns]:
        """The rows as columns of ``observations`` and ``resolutions``, ready for ``Warehouse.write``."""
        observations = _columns(Observation._fields, self.observations)
        observations["source"] = ["chain"] * len(self.observations)
        resolutions = _columns(Resolution._fields, self.resolutions)
        resolutions["source"] = ["chain"] * len(self.resolutions)
        return {"observations": observations, "resolutions": resolutions}


def _columns(names: tuple[str, ...], rows: list[Observation] | list[Resolution]) -> Columns:
    if not rows:
        return {name: [] for name in names}
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
