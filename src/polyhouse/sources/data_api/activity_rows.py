"""Rows of the activity feed as they are on the wire, and what each of their types says (accounting §1.10)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from polyhouse.sources.columns import condition_of
from polyhouse.sources.data_api.rows import Printed

TRADE = "TRADE"
"""The type of fills; the others are ``KINDS``."""
INCOME_TYPES = frozenset({"REWARD", "YIELD", "MAKER_REBATE", "TAKER_REBATE", "REFERRAL_REWARD"})


class ActivityRow(msgspec.Struct, gc=False):
    """One row on the wire."""

    proxy_wallet: str
    timestamp: int
    type: str
    transaction_hash: str | None = None
    condition_id: str | None = None
    size: Printed = None
    usdc_size: Printed = None
    price: Printed = None
    token_id: str | int | None = None
    side: str | None = None
    outcome_index: int | None = None
    is_combo: bool | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """What a type of rows besides TRADE says: which numbers count, as they are printed.

    Attributes:
        name: the kind of observation.
        moves_shares: as many as its size says; else it moves cash alone, and may be without a condition.
        is_whole_set: worth its number of dollars, said or not. What a redemption paid has to be said: a default would
            book a payout of nothing, and the row as it is printed later would be another row.
        is_leg: the feed names the condition of each burned NO leg, not the neg-risk market that the chain names.
    """

    name: str
    moves_shares: bool = False
    is_whole_set: bool = False
    is_leg: bool = False

    def size(self, row: ActivityRow) -> Printed:
        """Shares that were moved."""
        return row.size if self.moves_shares else 0

    def cash(self, row: ActivityRow) -> Printed:
        """Dollars that were moved."""
        is_said = row.usdc_size is not None or (self.moves_shares and not self.is_whole_set)
        return row.usdc_size if is_said else row.size

    def condition(self, row: ActivityRow) -> bytes:
        """The condition that the row names.

        Raises:
            BadInputError: it is none; or it is missing, and shares were moved.
        """
        return condition_of(row.condition_id) if self.moves_shares or row.condition_id else b""

    def label(self, row: ActivityRow) -> str:
        """What kind of income it was."""
        return row.type if self.name == "INCOME" else ""

    def flags(self, row: ActivityRow) -> str:
        """Flag words of the observation."""
        if self.name == "TIP":
            return (row.side or "").lower()
        return "leg" if self.is_leg else ""


KINDS = {
    "SPLIT": Kind("SPLIT", moves_shares=True, is_whole_set=True),
    "MERGE": Kind("MERGE", moves_shares=True, is_whole_set=True),
    "REDEEM": Kind("REDEEM", moves_shares=True),
    "CONVERSION": Kind("CONVERT", moves_shares=True, is_leg=True),
    "DEPOSIT": Kind("DEPOSIT"),
    "WITHDRAWAL": Kind("WITHDRAWAL"),
    "TIP": Kind("TIP"),
    **dict.fromkeys(INCOME_TYPES, Kind("INCOME")),
}
"""Type on the wire → what it says."""
