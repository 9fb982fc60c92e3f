"""First in, first out beside average cost, worked out by hand (accounting §3.6)."""

from polyhouse.ledger.fifo import fold_fifo
from polyhouse.ledger.fold import Kind, fold_wallet

M = 1_000_000
BUY, SELL, OUT = Kind.BUY, Kind.SELL, Kind.TRANSFER_OUT


def _both(ledger, *events, settlements=None):
    rows = ledger.story(*events)
    states = [fold(rows, settlements or {})[ledger.token("AY")] for fold in (fold_fifo, fold_wallet)]
    return [(s.held, s.cost, s.realized) for s in states]


def test_the_oldest_lot_leaves_first(ledger):
    """T06: bought at 0.30, then at 0.50, sold at 0.60."""
    events = (BUY, "AY", 100 * M, 30 * M), (BUY, "AY", 100 * M, 50 * M), (SELL, "AY", 100 * M, 60 * M)
    assert _both(ledger, *events) == [(100 * M, 50 * M, 30 * M), (100 * M, 40 * M, 20 * M)]


def test_a_broken_lot_keeps_the_remainder(ledger):
    """Lots of 3 for 10 and 2 for 9: 1 leaves with floor(10/3) = 3, then 3 with 7 + floor(9/2) = 11."""
    events = (BUY, "AY", 3, 10), (BUY, "AY", 2, 9), (SELL, "AY", 1, 5), (SELL, "AY", 3, 20)
    assert _both(ledger, *events[:3])[0] == (4, 16, 2)
    assert _both(ledger, *events)[0] == (1, 5, 11)


def test_a_closed_position_is_the_same_for_both(ledger):
    events = (BUY, "AY", 3, 10), (BUY, "AY", 2, 9), (SELL, "AY", 4, 25), (SELL, "AY", 9, 9)
    assert _both(ledger, *events) == [(0, 0, 7), (0, 0, 7)]


def test_resolution_ends_the_lots(ledger):
    settlements = {ledger.token("AY"): ledger.resolved_after(3, 1)}
    events = (BUY, "AY", 3, 1), (BUY, "AY", 3, 2), (SELL, "AY", 2, 2), (SELL, "AY", 1, 0), (BUY, "AY", 5, 4)
    # 2 − 3 of cash, 4 of payout at the resolution; then −1 of payout for nothing and 5 of payout for 4.
    assert _both(ledger, *events, settlements=settlements) == [(8, 0, 3), (8, 0, 3)]


def test_transfers_take_the_oldest_basis(ledger):
    rows = ledger.story((BUY, "AY", 10, 1), (BUY, "AY", 10, 9), (OUT, "AY", 12))
    state = fold_fifo(rows, {})[ledger.token("AY")]
    assert (state.held, state.cost, state.basis_out) == (8, 8, 2)


def test_migrated_shares_are_one_lot_behind_what_was_there(ledger):
    events = (BUY, "BY", 2, 1), (BUY, "AY", 3, 6), (BUY, "AY", 3, 3)
    rows = ledger.story(*events, lambda place: ledger.migration(place, "AY", "BY", 6), (SELL, "BY", 4, 4))
    target = fold_fifo(rows, {})[ledger.token("BY")]
    # The own lot of 2 for 1, then 2 of 6 that cost 9.
    assert (target.held, target.cost, target.realized) == (4, 6, 4 - 1 - 3)
    assert (target.bought, target.bought_cost) == (2, 1)


def test_a_conversion_moves_the_oldest_basis(ledger):
    rows = ledger.story(
        (BUY, "Q0N", 5, 1), (BUY, "Q0N", 5, 4), lambda place: ledger.conversion(place, "Q", 3, 0b001, 5)
    )
    states = fold_fifo(rows, {})
    assert [states[ledger.token(name)].cost for name in ("Q0N", "Q1Y", "Q2Y")] == [4, 1, 0]


def test_a_settled_source_migrates_at_its_payout(ledger):
    rows = ledger.story((BUY, "AY", 5, 1), lambda place: ledger.migration(place, "AY", "BY", 5), (SELL, "BY", 5, 6))
    states = fold_fifo(rows, {ledger.token("AY"): ledger.resolved_after(1, 1)})
    assert (states[ledger.token("AY")].realized, states[ledger.token("BY")].realized) == (4, 1)
