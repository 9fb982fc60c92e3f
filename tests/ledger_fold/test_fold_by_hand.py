"""Cases of the ordered fold with every number worked out by hand: rounding, settlement, conversions, unseen shares."""

import pytest

from polyhouse.ledger.fold import WHOLE_BALANCE, Kind, LedgerRow, Settlement, Snapshot, fold_pair, fold_wallet

M = 1_000_000
BUY, SELL, SPLIT, MERGE, REDEEM = Kind.BUY, Kind.SELL, Kind.SPLIT, Kind.MERGE, Kind.REDEEM
IN, OUT = Kind.TRANSFER_IN, Kind.TRANSFER_OUT


def _fold(ledger, *events, resolved=None):
    return fold_pair(ledger.story(*events), resolved)


def test_a_round_trip_ends_at_exactly_zero(ledger):
    """Two disposals with a remainder each: the last one takes what is left of the basis (T03)."""
    first = (BUY, "AY", 1_000_001, 333_333), (SELL, "AY", 333_333, 150_000)
    half = (*first, (SELL, "AY", 333_334, 100_000))
    whole = (*half, (SELL, "AY", 333_334, 120_000))
    # floor(333,333² / 1,000,001) = 111,110; floor(222,223 / 2) = 111,111; the rest is 111,112.
    states = [_fold(ledger, *events) for events in (first, half, whole)]
    assert [(s.held, s.cost) for s in states] == [(666_668, 222_223), (333_334, 111_112), (0, 0)]
    assert [s.realized for s in states] == [38_890, 27_779, 36_667]


def test_reopening_keeps_nothing_of_the_old_position(ledger):
    """The new basis is what the new shares cost (T05)."""
    old = (BUY, "AY", 3, 1), (SELL, "AY", 1, 1), (SELL, "AY", 2, 0)
    state = _fold(ledger, *old, (BUY, "AY", 10, 9))
    assert (state.held, state.cost, state.realized) == (10, 9, 0)
    assert (state.bought, state.bought_cost) == (13, 10)


def test_a_price_above_one_is_a_certain_loss(ledger):
    state = _fold(ledger, (BUY, "AY", 10 * M, 10_500_000), resolved=ledger.resolved_after(1, 1))
    assert (state.realized, state.settled_value) == (-500_000, 10 * M)


def test_paying_for_nothing_and_being_paid_for_nothing(ledger):
    """Zero shares: the cash is realised at once, the basis of what is held stays (accounting §1.6)."""
    state = _fold(ledger, (BUY, "AY", 4, 3), (BUY, "AY", 0, 7), (SELL, "AY", 0, 2))
    assert (state.held, state.cost, state.realized, state.bought_cost) == (4, 3, -5, 10)


@pytest.mark.parametrize("redeemed", [WHOLE_BALANCE, 100 * M, None])
@pytest.mark.parametrize(("numerator", "realised"), [(1, 60 * M), (0, -40 * M)])
def test_resolution_realises_and_redemption_does_not(ledger, redeemed, numerator, realised):
    """R01 = R04 and R02 = R03: with or without a redemption, and however it tells its amount."""
    events = [(BUY, "AY", 100 * M, 40 * M)]
    if redeemed is not None:
        events.append((REDEEM, "AY", redeemed, numerator * 100 * M))
    state = _fold(ledger, *events, resolved=ledger.resolved_after(1, numerator))
    assert (state.realized, state.cost, state.realized_ts) == (realised, 0, 3)
    assert (state.available, state.redeemed_cash) == ((100 * M, 0) if redeemed is None else (0, numerator * 100 * M))


@pytest.mark.parametrize(("shares", "value"), [(1_000_001, 500_000), (999_999, 499_999), (1, 0)])
def test_half_a_payout_is_floored_on_the_whole_holding(ledger, shares, value):
    state = _fold(ledger, (BUY, "AY", shares, 300_000), resolved=ledger.resolved_after(1, 1, 2))
    assert (state.settled_value, state.realized) == (value, value - 300_000)


def test_trades_after_the_resolution_book_the_change_of_the_payout(ledger):
    """R06: gains are ΔV, so four purchases of half a micro give two micros, not zero."""
    start = (BUY, "AY", 3, 5)
    settled = ledger.resolved_after(1, 1, 2)
    assert _fold(ledger, start, resolved=settled).realized == 1 - 5
    bought = (start, (BUY, "AY", 1, 0), (BUY, "AY", 1, 0), (BUY, "AY", 1, 1))
    # V goes 1, 2, 2, 3.
    assert _fold(ledger, *bought, resolved=settled).realized == -4 + 1 + 0 + (1 - 1)
    sold = (*bought, (SELL, "AY", 1, 1), (SELL, "AY", 5, 2))
    state = _fold(ledger, *sold, resolved=settled)
    # 6 → 5 costs one micro of payout, 5 → 0 two.
    assert state.realized == -3 + (1 - 1) + (2 - 2)
    assert (state.held, state.cost, state.settled_value, state.untracked_cash) == (0, 0, 0, 0)


def test_what_was_redeemed_cannot_be_sold_again(ledger):
    """R11 and a sale behind it: 40 of 100 redeemed, then 80 offered: 60 are ours, 20 nobody saw."""
    events = (BUY, "AY", 100 * M, 30 * M), (REDEEM, "AY", 40 * M, 40 * M), (SELL, "AY", 80 * M, 80 * M)
    settled = ledger.resolved_after(1, 1)
    half = _fold(ledger, *events[:2], resolved=settled)
    assert (half.realized, half.available, half.settled_value) == (70 * M, 60 * M, 100 * M)
    state = _fold(ledger, *events, resolved=settled)
    assert (state.realized, state.available, state.settled_value) == (70 * M, 0, 40 * M)
    assert (state.untracked_shares, state.untracked_cash, state.redeemed_cash) == (20 * M, 20 * M, 40 * M)


def test_a_redemption_takes_external_shares_after_tracked_ones(ledger):
    start = (BUY, "AY", 10, 4), (IN, "AY", 5)
    settled = ledger.resolved_after(2, 1)
    state = _fold(ledger, *start, (REDEEM, "AY", 12, 12), resolved=settled)
    assert (state.available, state.external, state.realized) == (0, 3, 6)
    state = _fold(ledger, *start, (REDEEM, "AY", WHOLE_BALANCE, 15), resolved=settled)
    assert (state.available, state.external, state.realized) == (0, 0, 6)


def test_selling_more_than_was_seen(ledger):
    """U01: 30 of 50 shares are known; their part of the proceeds earns, the rest is untracked; no debt remains."""
    sale = (BUY, "AY", 30, 12), (SELL, "AY", 50, 31)
    state = _fold(ledger, *sale)
    # floor(31 · 30 / 50) = 18
    assert (state.held, state.cost, state.realized) == (0, 0, 6)
    assert (state.untracked_shares, state.untracked_cash) == (20, 13)
    again = _fold(ledger, *sale, (BUY, "AY", 10, 5))
    assert (again.held, again.cost, again.realized) == (10, 5, 6)


def test_a_sale_of_nothing_known_is_no_booking(ledger):
    state = _fold(ledger, (SELL, "AY", 50, 31))
    assert (state.realized, state.realized_ts, state.untracked_shares, state.untracked_cash) == (0, 0, 50, 31)


def test_gifts_leave_after_own_shares_and_earn_nothing(ledger):
    """Tracked first, then external, then shortfall (§3.3): 10 own, 5 given, 3 unseen of a sale of 18."""
    state = _fold(ledger, (BUY, "AY", 10, 4), (IN, "AY", 5), (SELL, "AY", 18, 9))
    assert (state.held, state.external, state.untracked_shares) == (0, 0, 3)
    assert (state.realized, state.untracked_cash) == (5 - 4, 4)


def test_a_transfer_takes_its_basis_along(ledger):
    start = (BUY, "AY", 3, 10), (IN, "AY", 2)
    state = _fold(ledger, *start, (OUT, "AY", 2))
    assert (state.held, state.cost, state.basis_out, state.realized, state.external) == (1, 4, 6, 0, 2)
    state = _fold(ledger, *start, (OUT, "AY", 4))
    assert (state.held, state.cost, state.basis_out, state.realized, state.external) == (0, 0, 10, 0, 1)


def test_settled_shares_leave_at_their_payout(ledger):
    events = (BUY, "AY", 10, 4), (OUT, "AY", 3)
    state = _fold(ledger, *events, resolved=ledger.resolved_after(1, 1))
    assert (state.realized, state.basis_out, state.settled_value) == (6, 3, 7)


def test_odd_splits_and_merges_cancel_per_condition(ledger):
    """Seven micros in and out again: 4 + 3, then 2 + 1 and 2 + 2 of the basis and 2 + 1, 2 + 2 of the cash."""
    events = [(SPLIT, "AY", 7, 4), (SPLIT, "AN", 7, 3)]
    events += [(MERGE, "AY", 3, 2), (MERGE, "AN", 3, 1), (MERGE, "AY", 4, 2), (MERGE, "AN", 4, 2)]
    states = fold_wallet(ledger.story(*events), {})
    yes, no = states[ledger.token("AY")], states[ledger.token("AN")]
    # YES: floor(4·3/7) = 1 leaves for 2, then 3 for 2. NO: floor(3·3/7) = 1 for 1, then 2 for 2.
    assert (yes.realized, no.realized) == (0, 0)
    assert (yes.held, yes.cost, no.held, no.cost) == (0, 0, 0, 0)


def test_a_hedge_is_merged_and_settled(ledger):
    """Both legs bought for 95 in all, 60 pairs merged, the rest resolves to NO: 60 + 40 − 95."""
    events = [(BUY, "AY", 100 * M, 55 * M), (BUY, "AN", 100 * M, 40 * M)]
    events += [(MERGE, "AY", 60 * M, 30 * M), (MERGE, "AN", 60 * M, 30 * M)]
    settlements = {
        ledger.token("AY"): ledger.resolved_after(4, 0),
        ledger.token("AN"): ledger.resolved_after(4, 1),
    }
    states = fold_wallet(ledger.story(*events), settlements)
    # YES: 30 − 33 at the merge, 22 lost at the resolution. NO: 30 − 24, then 40 − 16.
    assert states[ledger.token("AY")].realized == -25 * M
    assert states[ledger.token("AN")].realized == 30 * M


def test_settled_no_legs_convert_at_their_payout(ledger):
    """N07: Q0 is decided for NO (+40 there and then); its 100 leave at 100, so YES Q2 costs 100 + 70 − 100."""
    events = (BUY, "Q0N", 100 * M, 60 * M), (BUY, "Q1N", 100 * M, 70 * M)
    rows = ledger.story(*events, lambda place: ledger.conversion(place, "Q", 3, 0b011, 100 * M))
    states = fold_wallet(rows, {ledger.token("Q0N"): ledger.resolved_after(2, 1)})
    first, second, target = (states[ledger.token(name)] for name in ("Q0N", "Q1N", "Q2Y"))
    assert (first.realized, first.held, first.settled_value) == (40 * M, 0, 0)
    assert (second.realized, second.held, second.cost) == (0, 0, 0)
    assert (target.held, target.cost, target.realized) == (100 * M, 70 * M, 0)


@pytest.mark.parametrize(("numerator", "gain"), [(0, 0), (1, 100 * M)])
def test_only_live_questions_take_the_basis(ledger, numerator, gain):
    """N07: YES of a decided question costs nothing and books its payout; the live ones share 60,000,001 unevenly."""
    events = ((BUY, "Q0N", 100 * M, 60_000_001),)
    rows = ledger.story(*events, lambda place: ledger.conversion(place, "Q", 4, 0b0001, 100 * M))
    states = fold_wallet(rows, {ledger.token("Q3Y"): ledger.resolved_after(1, numerator)})
    live = [states[ledger.token(name)] for name in ("Q1Y", "Q2Y")]
    assert [(s.held, s.cost, s.realized) for s in live] == [(100 * M, 30_000_001, 0), (100 * M, 30 * M, 0)]
    decided = states[ledger.token("Q3Y")]
    assert (decided.held, decided.cost, decided.realized) == (100 * M, 0, gain)


def test_the_basis_goes_to_decided_questions_if_no_live_one_is_left(ledger):
    events = ((BUY, "Q0N", 10, 7),)
    rows = ledger.story(*events, lambda place: ledger.conversion(place, "Q", 3, 0b001, 10))
    settled = {ledger.token("Q1Y"): ledger.resolved_after(1, 1), ledger.token("Q2Y"): ledger.resolved_after(1, 0)}
    states = fold_wallet(rows, settled)
    assert [states[ledger.token(name)].realized for name in ("Q0N", "Q1Y", "Q2Y")] == [0, 10 - 4, -3]


def test_four_of_five_with_an_odd_amount_and_a_fee(ledger):
    """N08: out = 33,333,333 − 666,666; collateral 3 · out = 98,000,001; Q3N keeps the rounded-up basis."""
    amount = 33_333_333
    events = [(BUY, f"Q{q}N", amount, 30_000_000 - q * 1_000_000) for q in range(3)]
    events[1] = (BUY, "Q1N", amount, 29_000_001)
    events.append((BUY, "Q3N", 50 * M, 45 * M))
    rows = ledger.story(*events, lambda place: ledger.conversion(place, "Q", 5, 0b01111, amount, 200))
    states = fold_wallet(rows, {})
    kept, target = states[ledger.token("Q3N")], states[ledger.token("Q4Y")]
    # floor(45,000,000 · 33,333,333 / 50,000,000) = 29,999,999 leaves.
    assert (kept.held, kept.cost) == (16_666_667, 15_000_001)
    # 30,000,000 + 29,000,001 + 28,000,000 + 29,999,999 − 98,000,001
    assert (target.held, target.cost) == (32_666_667, 18_999_999)
    assert [s.realized for s in states.values()] == [0] * 5


def test_collateral_above_the_basis_is_realised_unevenly(ledger):
    """Basis 3 + 4, collateral 10 for two NO: 3 more than the basis, 2 of them on the lower question; YES is free."""
    events = (BUY, "Q0N", 10, 3), (BUY, "Q1N", 10, 4)
    rows = ledger.story(*events, lambda place: ledger.conversion(place, "Q", 3, 0b011, 10))
    states = fold_wallet(rows, {})
    assert [states[ledger.token(name)].realized for name in ("Q0N", "Q1N", "Q2Y")] == [2, 1, 0]
    assert (states[ledger.token("Q2Y")].held, states[ledger.token("Q2Y")].cost) == (10, 0)


def test_a_conversion_of_partly_unseen_shares_is_pro_rata(ledger):
    """7 of 20 burned shares are known: 3 of 10 collateral and 3 of 10 YES are ours, the rest is untracked."""
    events = (BUY, "Q0N", 7, 5), (IN, "Q0N", 1)
    rows = ledger.story(*events, lambda place: ledger.conversion(place, "Q", 3, 0b011, 10))
    states = fold_wallet(rows, {})
    first, second, target = (states[ledger.token(name)] for name in ("Q0N", "Q1N", "Q2Y"))
    assert (first.held, first.external, first.untracked_shares, first.untracked_cash) == (0, 0, 2, 7)
    assert (second.untracked_shares, second.untracked_cash, second.realized) == (10, 0, 0)
    assert (target.held, target.external, target.cost) == (3, 7, 2)


def test_a_conversion_of_unseen_shares_only_books_nothing(ledger):
    states = fold_wallet(ledger.conversion(2, "Q", 3, 0b011, 10), {})
    first, target = states[ledger.token("Q0N")], states[ledger.token("Q2Y")]
    assert (first.untracked_cash, first.untracked_shares) == (10, 10)
    assert (target.held, target.external, target.bought) == (0, 10, 0)
    assert [(s.realized, s.realized_ts) for s in states.values()] == [(0, 0)] * 3


def test_a_migration_carries_the_basis_and_gifts_stay_gifts(ledger):
    events = (BUY, "AY", 10, 4), (IN, "AY", 2)
    rows = ledger.story(*events, lambda place: ledger.migration(place, "AY", "BY", 12))
    states = fold_wallet(rows, {})
    source, target = states[ledger.token("AY")], states[ledger.token("BY")]
    assert (source.held, source.external, source.realized) == (0, 0, 0)
    assert (target.held, target.cost, target.external, target.bought) == (10, 4, 2, 0)


def test_a_migration_into_a_decided_token_books_its_payout(ledger):
    events = ((BUY, "AY", 10, 4),)
    rows = ledger.story(*events, lambda place: ledger.migration(place, "AY", "BY", 10))
    states = fold_wallet(rows, {ledger.token("BY"): ledger.resolved_after(1, 1)})
    target = states[ledger.token("BY")]
    assert (target.realized, target.settled_value, target.bought, target.bought_cost) == (6, 10, 0, 0)


def test_without_blocks_the_time_decides_and_a_tie_is_before_the_resolution(ledger):
    """Rows of the REST feed have seconds only."""

    def sold_at(ts):
        rows = [ledger.row(0, "AY", BUY, 10, -4, ts=50), ledger.row(0, "AY", SELL, -10, 9, ts=ts)]
        return fold_pair(rows, Settlement(1, 1, 100, 7, 0, 3))

    tie = ledger.row(0, "AY", SELL, -10, 9, ts=100)
    assert [Settlement(1, 1, ts, 7, 0, 3).precedes(tie) for ts in (99, 100, 101)] == [True, False, False]
    assert (sold_at(100).realized, sold_at(100).realized_ts) == (5, 100)
    # After the resolution the sale gives away a payout of 10 for 9: 6 − 1, the same total.
    assert (sold_at(101).realized, sold_at(101).realized_ts) == (5, 101)
    snapshots = fold_pair(
        [ledger.row(0, "AY", BUY, 10, -4, ts=50), ledger.row(0, "AY", SELL, -10, 9, ts=101)],
        Settlement(1, 1, 100, 7, 0, 3),
        [49, 50, 99, 100, 101],
    ).snapshots
    assert snapshots == [
        Snapshot(0, 0, 0, 0), Snapshot(10, 4, 0, 4), Snapshot(10, 4, 0, 4), Snapshot(10, 0, 6, 4),
        Snapshot(0, 0, 5, 4),
    ]  # fmt: skip


def test_with_blocks_the_log_order_decides_whatever_the_seconds_say(ledger):
    row = LedgerRow(ledger.token("AY"), 99, 5, 2, 8, SELL, -10, 9, 0, 0, 0, b"")
    before, same_tx, after = ((5, 2, 7), (5, 2, 9), (5, 3, 1))
    assert [Settlement(1, 1, 99, *place).precedes(row) for place in (before, same_tx, after)] == [True, False, False]


def test_fees_and_times_are_only_disclosed(ledger):
    rows = [row._replace(fee=2) for row in ledger.story((BUY, "AY", 10, 4), (SELL, "AY", 10, 9))]
    state = fold_pair(rows, None)
    assert (state.fees, state.realized, state.first_ts, state.last_ts, state.realized_ts) == (4, 5, 2, 4, 4)


def test_a_conversion_row_without_its_wallet_is_refused(ledger):
    with pytest.raises(AssertionError, match="kind 6"):
        fold_pair(ledger.conversion(2, "Q", 3, 1, 5)[:1], None)
