"""One AMM pool of 2020–2022: the arithmetic of Gnosis' FixedProductMarketMaker contract, for two outcomes.

Integers throughout, rounded as the contract rounds. What a trader cannot do, the contract reverts; here it is an
assertion, since the universe never tries.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

ONE = 10**18


def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)


@dataclass(slots=True)
class Pool:
    """State of a pool.

    Attributes:
        fee: share of an investment, in 10^-18.
        balances: micro-shares per outcome.
        supply: LP shares of everybody; ``lp`` those of each wallet.
        fee_weight: fees that all LP shares together have a claim on; ``withdrawn`` what each wallet's claim is less by.
    """

    fee: int
    balances: list[int] = field(default_factory=lambda: [0, 0])
    supply: int = 0
    lp: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    fee_weight: int = 0
    withdrawn: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, wallet: int, funds: int, hint: tuple[int, int] = (1, 1)) -> tuple[tuple[int, int], int]:
        """Add ``funds`` µ$ of liquidity: (micro-shares that stay in the pool per outcome, minted LP shares).

        ``hint`` sets the price of the first funding; a later one follows the pool.
        """
        weights = self.balances if self.supply else list(hint)
        largest = max(weights)
        kept = (funds * weights[0] // largest, funds * weights[1] // largest)
        assert min(kept) > 0, "the contract refuses a funding that leaves one outcome empty"
        minted = funds * self.supply // largest if self.supply else funds
        for outcome in (0, 1):
            self.balances[outcome] += kept[outcome]
        claim = self.fee_weight * minted // self.supply if self.supply else minted
        self.fee_weight += claim
        self.withdrawn[wallet] += claim
        self.lp[wallet] += minted
        self.supply += minted
        return kept, minted

    def remove(self, wallet: int, shares: int) -> tuple[tuple[int, int], int]:
        """Burn LP shares: (micro-shares per outcome that come back, fees in µ$ that are paid out)."""
        assert 0 < shares <= self.lp[wallet]
        back = (self.balances[0] * shares // self.supply, self.balances[1] * shares // self.supply)
        fees = self.fees_of(wallet)
        assert fees >= 0, "the contract refuses to pay less than nothing"
        claim = self.withdrawn[wallet] + fees
        moved = self.fee_weight * shares // self.supply
        self.withdrawn[wallet] = claim - moved
        self.fee_weight -= moved
        self.lp[wallet] -= shares
        self.supply -= shares
        for outcome in (0, 1):
            self.balances[outcome] -= back[outcome]
        return back, fees

    def fees_of(self, wallet: int) -> int:
        """Fees in µ$ a wallet may take; by rounding −1 is possible, and then the contract refuses every removal."""
        return self.fee_weight * self.lp[wallet] // self.supply - self.withdrawn[wallet]

    def buy(self, outcome: int, investment: int) -> tuple[int, int]:
        """Invest µ$, the fee included: (micro-shares bought, fee)."""
        fee = investment * self.fee // ONE
        added = investment - fee
        mine, other = self.balances[outcome], self.balances[1 - outcome]
        left = _ceil(_ceil(mine * ONE * other, other + added), ONE)
        self.fee_weight += fee
        self.balances[outcome], self.balances[1 - outcome] = left, other + added
        return mine + added - left, fee

    def price_of(self, outcome: int, returned: int) -> int | None:
        """Micro-shares that have to be sold to get ``returned`` µ$; None if the pool cannot pay that."""
        gross = returned * ONE // (ONE - self.fee)
        mine, other = self.balances[outcome], self.balances[1 - outcome]
        if gross >= other:
            return None
        return gross + _ceil(_ceil(mine * ONE * other, other - gross), ONE) - mine

    def sell(self, outcome: int, returned: int) -> tuple[int, int]:
        """Sell for ``returned`` µ$, the fee not included: (micro-shares sold, fee)."""
        sold = self.price_of(outcome, returned)
        assert sold is not None, "the contract refuses to pay more than the pool has"
        fee = returned * self.fee // (ONE - self.fee)
        self.fee_weight += fee
        self.balances[outcome] += sold - returned - fee
        self.balances[1 - outcome] -= returned + fee
        return sold, fee

    def most(self, outcome: int, shares: int) -> int:
        """The largest amount in µ$ that ``shares`` micro-shares sell for."""
        low, high = 0, self.balances[1 - outcome]
        while high - low > 1:
            middle = (low + high) // 2
            needed = self.price_of(outcome, middle)
            if needed is not None and needed <= shares:
                low = middle
            else:
                high = middle
        return low
