"""Why a number of ours may differ from a published one: rules, tried in order, the first that fits is named.

First what arithmetic proves (the difference *is* the fees, the losses nobody redeemed, the other mark), then what the
history makes likely. The words:

``equal``            closer than a cent.
``dust``             within what rounding explains: published average prices are truncated at 10⁻⁶ (accounting §2.9).
``fee``              the published number is after fees, or knows other fees.
``unredeemed_loser`` published realised PnL leaves losses out until somebody redeems (§2.4); ours does not.
``mark``             open positions are valued at another price, or ours have none.
``late_label``       rows of tokens nobody could name yet, or a resolution that is not proven.
``missing_history``  they count other fills than we do, or shares left that never arrived.
``transfer``         shares moved by plain transfers, which the publisher ignores (§2.5).
``conversion``       neg-risk conversions, where the publisher's rule drops collateral and fees (§2.9).
``stale``            their figure was written down before our newest row.
``unknown``          none of these.
"""

from __future__ import annotations

from dataclasses import dataclass

CENT = 10_000
CAUSES = (
    "equal", "dust", "fee", "unredeemed_loser", "mark", "late_label", "missing_history", "transfer", "conversion",
    "stale", "unknown",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What we know about a wallet or a position; money and shares in micro units.

    Attributes:
        fees: what it paid. unrealized: None while a mark is missing.
        fills: number of fills. bought: shares ever bought.
        unredeemed_losses: realised losses of settled shares that were never redeemed, >= 0.
        is_late: tokens without a name, or a provisional resolution.
        is_short: shares left that never arrived. has_transfers, has_conversions: it did such things.
    """

    fees: int = 0
    unrealized: int | None = 0
    fills: int = 0
    bought: int = 0
    unredeemed_losses: int = 0
    is_late: bool = False
    is_short: bool = False
    has_transfers: bool = False
    has_conversions: bool = False

    @property
    def rounding(self) -> int:
        """The most that the publisher's truncation can make, a cent at least.

        A fill's price and the average after it are truncated at 10⁻⁶ each, and proceeds at a micro.
        """
        return max(CENT, 2 * self.bought // 1_000_000 + self.fills)


@dataclass(frozen=True, slots=True)
class Published:
    """What the publisher says beside the number itself; None = not said."""

    fees: int | None = None
    unrealized: int | None = None
    fills: int | None = None


def likely_cause(difference: int, ours: Facts, theirs: Published) -> str:
    """One of ``CAUSES`` for ``difference`` = ours − theirs in micro-USDC."""
    if abs(difference) < CENT:
        return "equal"
    slack = ours.rounding
    if abs(difference) <= slack:
        return "dust"
    return _proven(difference, ours, theirs, slack) or _likely(ours, theirs) or "unknown"


def _proven(difference: int, ours: Facts, theirs: Published, slack: int) -> str:
    fees = {ours.fees} if theirs.fees is None else {ours.fees, ours.fees - theirs.fees}
    if any(fee and abs(difference - fee) <= slack for fee in fees):
        return "fee"
    if ours.unredeemed_losses and abs(difference + ours.unredeemed_losses) <= slack:
        return "unredeemed_loser"
    if ours.unrealized is not None and theirs.unrealized is not None:
        other_marks = ours.unrealized - theirs.unrealized
        if other_marks and abs(difference - other_marks) <= slack:
            return "mark"
    return ""


def _likely(ours: Facts, theirs: Published) -> str:
    if ours.is_late:
        return "late_label"
    if ours.is_short or (theirs.fills is not None and theirs.fills != ours.fills):
        return "missing_history"
    if ours.has_transfers:
        return "transfer"
    if ours.has_conversions:
        return "conversion"
    return "mark" if ours.unrealized is None else ""
