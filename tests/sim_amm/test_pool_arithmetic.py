"""The pool rounds as the contract does, and never gives away what it does not have."""

from __future__ import annotations

from random import Random

import pytest

from polyhouse.sim.pool import ONE, Pool

TWO_PERCENT = ONE // 50


def funded(fee: int = TWO_PERCENT, hint: tuple[int, int] = (1, 1)) -> Pool:
    pool = Pool(fee)
    pool.add(0, 100_000_000, hint)
    return pool


def test_a_purchase_by_hand() -> None:
    pool = funded()
    # 98 $ are added; 100·100 / 198 = 50.505050505… shares have to stay, rounded up.
    assert pool.buy(0, 100_000_000) == (147_494_949, 2_000_000)
    assert pool.balances == [50_505_051, 198_000_000]


def test_a_sale_by_hand() -> None:
    pool = funded()
    # 49 $ and 1 $ of fee leave the pool: 100·100 / 50 = 200 shares have to be there, so 150 are sold.
    assert pool.sell(1, 49_000_000) == (150_000_000, 1_000_000)
    assert pool.balances == [50_000_000, 200_000_000]
    assert funded().sell(0, 0) == (0, 0)


def test_liquidity_by_hand() -> None:
    pool = Pool(0)
    assert pool.add(7, 100_000_000, (3, 4)) == ((75_000_000, 100_000_000), 100_000_000)
    # A second one follows the pool: 10 $ buy a tenth of the shares at the same price.
    assert pool.add(8, 10_000_000, (1, 1)) == ((7_500_000, 10_000_000), 10_000_000)
    assert pool.remove(7, 50_000_000) == ((37_500_000, 50_000_000), 0)


def test_fees_belong_to_who_provided_before() -> None:
    pool = funded()
    pool.buy(0, 50_000_000)
    pool.add(1, 60_000_000)
    assert (pool.fees_of(0), pool.fees_of(1)) == (999_999, 0), "1 $ by the contract's rounding"
    pool.buy(1, 50_000_000)
    first, second = pool.fees_of(0), pool.fees_of(1)
    assert first + second in (1_999_999, 2_000_000)
    assert second > 0
    assert pool.remove(0, 40_000_000)[1] == first
    assert pool.fees_of(0) in (0, -1)


def test_the_largest_sale_is_the_largest() -> None:
    pool = funded()
    pool.buy(0, 30_000_000)
    for shares in (1, 2_345_678, 40_000_000):
        most = pool.most(0, shares)
        assert (pool.price_of(0, most) or 0) <= shares
        assert (pool.price_of(0, most + 1) or 0) > shares
    assert pool.price_of(0, pool.balances[1]) is None
    with pytest.raises(AssertionError):
        pool.sell(0, pool.balances[1])


@pytest.mark.parametrize("seed", range(4))
def test_nothing_comes_from_nowhere(seed: int) -> None:
    """Trades never lower the product of the balances, and no more fees are paid out than were taken."""
    rng = Random(seed)
    pool = funded((0, ONE // 1_000, TWO_PERCENT, ONE // 10)[seed], (1 + rng.randrange(9), 1 + rng.randrange(9)))
    taken = paid = 0
    for _ in range(400):
        product = pool.balances[0] * pool.balances[1]
        outcome, wallet, roll = rng.randrange(2), rng.randrange(5), rng.randrange(10)
        if roll < 5:
            taken += pool.buy(outcome, 1 + rng.randrange(20_000_000))[1]
        elif roll < 8:
            taken += pool.sell(outcome, rng.randrange(pool.balances[1 - outcome] // 3))[1]
        elif roll < 9 or pool.lp[wallet] < 2 or pool.fees_of(wallet) < 0:
            pool.add(wallet, 1_000_000 + rng.randrange(9_000_000))
        else:
            paid += pool.remove(wallet, pool.lp[wallet] // 2)[1]
            continue
        assert pool.balances[0] * pool.balances[1] >= product
        assert min(pool.balances) > 0
        assert sum(pool.lp.values()) == pool.supply
    assert 0 <= paid <= taken
    assert (taken > 0) == (pool.fee > 0)
