"""First in, first out as a cost method beside average cost (accounting §3.6). A measurement, never an input.

Average cost is the published method. FIFO moves other basis on a disposal, so realised and unrealised of an open
position differ; their sum, and everything about a closed or settled position, is the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from polyhouse.ledger.fold import Holding, LedgerRow, Settlement, fold_wallet


class FifoHolding(Holding):
    """A holding whose basis leaves lot by lot, oldest first.

    A broken lot gives ``floor(lot_cost · k / lot_shares)``; the remainder stays with the lot. After the
    resolution lots no longer matter: the basis is the payout value, as with average cost.
    """

    __slots__ = ("_lots",)

    def __init__(self, settlement: Settlement | None = None, boundaries: Sequence[int] = ()) -> None:
        super().__init__(settlement, boundaries)
        self._lots: deque[tuple[int, int]] = deque()

    def inflow(self, shares: int, cost: int, ts: int) -> None:
        """As with average cost; before settlement the shares are a new lot."""
        super().inflow(shares, cost, ts)
        if shares and not self.settled:
            self._lots.append((shares, cost))

    def carry_in(self, shares: int, basis: int, ts: int) -> None:
        """Shares of a migrated token arrive as one lot."""
        super().carry_in(shares, basis, ts)
        if shares and not self.settled:
            self._lots.append((shares, basis))

    def _basis_of(self, shares: int) -> int:
        basis = 0
        while shares:
            lot_shares, lot_cost = self._lots.popleft()
            if lot_shares > shares:
                part = lot_cost * shares // lot_shares
                self._lots.appendleft((lot_shares - shares, lot_cost - part))
                return basis + part
            basis += lot_cost
            shares -= lot_shares
        return basis


def fold_fifo(rows: Iterable[LedgerRow], settlements: Mapping[bytes, Settlement]) -> dict[bytes, Holding]:
    """Fold all rows of one wallet with FIFO; the same events and bookings as ``fold.fold_wallet`` otherwise.

    Args:
        rows: the wallet's ledger rows in ledger order.
        settlements: resolutions by token.
    """
    return fold_wallet(rows, settlements, method=FifoHolding)
