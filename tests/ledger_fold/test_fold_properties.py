"""Properties of the ordered fold that hold for every history (accounting §§3.6, 3.7). All equalities are exact."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyhouse.ledger.fifo import FifoHolding, fold_fifo
from polyhouse.ledger.fold import WHOLE_BALANCE, Kind, Settlement, Snapshot, allocate, fold_pair, fold_wallet

QUESTIONS = 4
NEG_RISK = [f"Q{i}" for i in range(QUESTIONS)]
UNITS = {"Q": [c + side for c in NEG_RISK for side in "YN"], "A": ["AY", "AN"], "B": ["BY", "BN"]}
TOKENS = [name for names in UNITS.values() for name in names]
MOVES = ("TRANSFER_IN", "TRANSFER_OUT", "MIGRATE")
PLAIN = ("BUY", "BUY", "SELL", "SPLIT", "MERGE", "REDEEM")

sizes = st.one_of(st.integers(1, 9), st.integers(1, 10**7), st.integers(1, 10**13))
quick = settings(max_examples=250, deadline=None)


class _Writer:
    """Turns drawn events into rows. A covered history never gives away what it does not hold."""

    def __init__(self, ledger, covered):
        self.ledger = ledger
        self.covered = covered
        self.rows = []
        self.free = dict.fromkeys(TOKENS, 0)

    def limit(self, names, shares):
        return min([shares, *(self.free[name] for name in names)]) if self.covered else shares

    def add(self, place, ts, name, kind, ds, du, **more):
        self.free[name] += ds
        self.rows.append(self.ledger.row(place, name, kind, ds, du, ts=ts, **more))

    def event(self, place, ts, kind, name, shares, cash, index_set, fee_bips):
        condition = name[:-1]
        pair = (condition + "Y", condition + "N")
        if kind == "BUY":
            self.add(place, ts, name, Kind.BUY, shares, -cash)
        elif kind in ("SELL", "TRANSFER_OUT") and (shares := self.limit([name], shares)):
            self.add(place, ts, name, Kind[kind], -shares, cash if kind == "SELL" else 0)
        elif kind == "TRANSFER_IN":
            self.add(place, ts, name, Kind.TRANSFER_IN, shares, 0)
        elif kind == "SPLIT" or (kind == "MERGE" and (shares := self.limit(pair, shares))):
            sign = 1 if kind == "SPLIT" else -1
            for leg, part in zip(pair, allocate(shares, 2), strict=True):
                self.add(place, ts, leg, Kind[kind], sign * shares, -sign * part)
        elif kind == "REDEEM":
            self.add(place, ts, name, Kind.REDEEM, 0, cash, amount=WHOLE_BALANCE if shares % 2 else shares)
            self.free[name] = 0
        elif kind == "MIGRATE":
            self.rows += self.ledger.migration(place, name, "BY" if name != "BY" else "AY", shares, ts=ts)
        elif kind == "CONVERT":
            burned = [f"Q{q}N" for q in range(QUESTIONS) if index_set >> q & 1]
            if shares := self.limit(burned, shares):
                legs = self.ledger.conversion(place, "Q", QUESTIONS, index_set, shares, fee_bips, ts=ts)
                self.rows += legs
                for leg in legs:
                    self.free[leg.token.rstrip(b"\0").decode()] += leg.ds


@st.composite
def histories(draw, ledger, *, kinds, covered=False):
    """Rows of one wallet, and the resolutions that happen between its events; times never fall, often stand still."""
    count = draw(st.integers(1, 16))
    writer = _Writer(ledger, covered)
    times = [1000]
    for place in range(count):
        times.append(times[-1] + draw(st.integers(0, 2)))
        kind, index_set = draw(st.sampled_from(kinds)), draw(st.integers(1, 2**QUESTIONS - 1))
        what = (kind, draw(st.sampled_from(TOKENS)), draw(sizes), draw(sizes), index_set)
        writer.event(2 * place + 2, times[-1], *what, draw(st.sampled_from([0, 0, 200, 37])))
    resolutions = {}
    for condition in [*NEG_RISK, "A", "B"]:
        vectors = [(1, 0), (0, 1)] if condition in NEG_RISK else [(1, 0), (0, 1), (1, 1), (3, 7)]
        if draw(st.booleans()):
            after, vector = draw(st.integers(0, count)), draw(st.sampled_from(vectors))
            for side, numerator in zip("YN", vector, strict=True):
                place = Settlement(numerator, sum(vector), times[after], 2 * after + 1, 0, 1)
                resolutions[ledger.token(condition + side)] = place
    return SimpleNamespace(rows=writer.rows, settlements=resolutions, times=times)


def _cash(rows):
    return sum(row.du for row in rows if row.kind != Kind.REDEEM)


def _unrealised(holding, mark):
    return 0 if holding.settled or not holding.held else holding.held * mark // 10**6 - holding.cost


def _state(holding):
    names = [name for name in holding.__slots__ if not name.startswith("_") and name not in ("snapshots", "settlement")]
    return {name: getattr(holding, name) for name in names}


def _closed_form(history, names, marks, ledger):
    """Cash + value of the net shares: sums alone, no order (§3.6)."""
    total = 0
    for name in names:
        token = ledger.token(name)
        rows = [row for row in history.rows if row.token == token]
        shares, settlement = sum(row.ds for row in rows), history.settlements.get(token)
        value = marks[name], 10**6
        if settlement is not None:
            value = settlement.numerator, settlement.denominator
        total += _cash(rows) + shares * value[0] // value[1]
    return total


@given(st.data())
@quick
def test_realised_is_cash_basis_and_payout_value(ledger, data):
    """§3.7.1: Σ realised = Σ cash − untracked cash + Σ open basis + Σ V + Σ basis_out, whatever happened."""
    history = data.draw(histories(ledger, kinds=(*PLAIN, *MOVES, "CONVERT")))
    held = fold_wallet(history.rows, history.settlements).values()
    assert sum(h.realized for h in held) == (
        _cash(history.rows)
        - sum(h.untracked_cash for h in held)
        + sum(h.cost + h.settled_value + h.basis_out for h in held)
    )


@given(st.data())
@quick
def test_nothing_is_ever_negative_and_nothing_held_has_no_basis(ledger, data):
    history = data.draw(histories(ledger, kinds=(*PLAIN, *MOVES, "CONVERT")))
    for method in (fold_wallet, fold_fifo):
        for end in range(1, len(history.rows) + 1):
            whole_events = end == len(history.rows) or history.rows[end].event != history.rows[end - 1].event
            if not whole_events:
                continue
            for holding in method(history.rows[:end], history.settlements).values():
                assert min(holding.cost, holding.external, holding.untracked_shares, holding.bought) >= 0
                assert 0 <= holding.burned <= holding.held
                assert holding.cost == 0 or (holding.held and not holding.settled)


@given(st.data())
@quick
def test_the_total_of_a_unit_needs_no_order(ledger, data):
    """§3.6: realised + unrealised = cash + value of the net shares, where everything given away had been seen."""
    history = data.draw(histories(ledger, kinds=(*PLAIN, "CONVERT"), covered=True))
    marks = {name: data.draw(st.integers(0, 10**6)) for name in TOKENS}
    found = fold_wallet(history.rows, history.settlements)
    assert not any(h.untracked_shares or h.external for h in found.values())
    for names in UNITS.values():
        held = {name: found[ledger.token(name)] for name in names if ledger.token(name) in found}
        total = sum(h.realized + _unrealised(h, marks[name]) for name, h in held.items())
        assert total == _closed_form(history, names, marks, ledger)


@given(st.data())
@quick
def test_purchases_first_gives_the_same_totals(ledger, data):
    """Another order of the same events moves only the split between realised and unrealised."""
    history = data.draw(histories(ledger, kinds=("BUY", "SELL", "SPLIT", "MERGE", "CONVERT"), covered=True))
    later = [row for row in history.rows if row.kind not in (Kind.BUY, Kind.SPLIT)]
    earlier = [row for row in history.rows if row.kind in (Kind.BUY, Kind.SPLIT)]
    earlier.sort(key=lambda row: data.draw(st.integers(0, 99)))
    places = sorted({row.block for row in history.rows} | {2 * i for i in range(1, len(history.rows) + 1)})
    moved, last = [], None
    for row in earlier + later:
        # The legs of one conversion stay in one block; everything else gets the next.
        if row.kind != Kind.CONVERT or last != row.event:
            place = places.pop(0)
        last = row.event
        moved.append(row._replace(block=place, ts=place))
    other = SimpleNamespace(rows=moved, settlements=history.settlements)
    totals = [
        {
            unit: sum(h.realized - h.cost for token, h in fold_wallet(x.rows, x.settlements).items() if token in tokens)
            for unit, tokens in ((u, {ledger.token(n) for n in names}) for u, names in UNITS.items())
        }
        for x in (history, other)
    ]
    assert totals[0] == totals[1]


@given(st.data())
@quick
def test_first_in_first_out_moves_only_the_split(ledger, data):
    """§3.6: shares and totals do not depend on the cost method; without conversions not even per token."""
    kinds = data.draw(st.sampled_from([PLAIN, (*PLAIN, *MOVES, "CONVERT")]))
    history = data.draw(histories(ledger, kinds=kinds))
    average = fold_wallet(history.rows, history.settlements)
    fifo = fold_fifo(history.rows, history.settlements)
    assert average.keys() == fifo.keys()
    assert all(isinstance(h, FifoHolding) for h in fifo.values())
    same = ("held", "external", "burned", "untracked_shares", "untracked_cash", "settled_value", "bought")
    for token, holding in average.items():
        assert all(getattr(holding, name) == getattr(fifo[token], name) for name in same)
    totals = [[h.realized - h.cost - h.basis_out for _, h in sorted(x.items())] for x in (average, fifo)]
    assert sum(totals[0]) == sum(totals[1])
    if kinds == PLAIN:
        assert totals[0] == totals[1]


@given(st.data())
@quick
def test_a_snapshot_is_the_fold_of_what_came_before(ledger, data):
    history = data.draw(histories(ledger, kinds=(*PLAIN, *MOVES, "CONVERT")))
    boundaries = sorted(data.draw(st.sets(st.integers(997, history.times[-1] + 2), min_size=1, max_size=5)))
    for token, holding in fold_wallet(history.rows, history.settlements, boundaries).items():
        assert len(holding.snapshots) == len(boundaries)
        for boundary, snapshot in zip(boundaries, holding.snapshots, strict=True):
            seen = [row for row in history.rows if row.ts <= boundary]
            known = {t: s for t, s in history.settlements.items() if s.ts <= boundary}
            past = fold_wallet(seen, known).get(token)
            expected = Snapshot(past.held, past.cost, past.realized, past.bought_cost) if past else Snapshot(0, 0, 0, 0)
            assert snapshot == expected


@given(st.data())
@quick
def test_tokens_that_exchange_no_basis_fold_alone(ledger, data):
    """Slicing a wallet by token, or its rows into batches at any place, changes nothing."""
    history = data.draw(histories(ledger, kinds=(*PLAIN, "TRANSFER_IN", "TRANSFER_OUT")))
    together = fold_wallet(history.rows, history.settlements)
    for token, holding in together.items():
        rows = [row for row in history.rows if row.token == token]
        settlement = history.settlements.get(token)
        assert _state(fold_pair(rows, settlement)) == _state(holding)
        cut = data.draw(st.integers(0, len(rows)))
        batches = (row for batch in (rows[:cut], rows[cut:]) for row in batch)
        assert _state(fold_pair(batches, settlement)) == _state(holding)


@given(st.data())
@quick
def test_neighbouring_conversions_stay_apart(ledger, data):
    """Two conversions in a row are two events: folding them at once or one after the other is the same."""
    bases = [data.draw(sizes) for _ in range(QUESTIONS)]
    buys = [ledger.row(2, f"Q{q}N", Kind.BUY, 10**7, -basis) for q, basis in enumerate(bases)]
    first = ledger.conversion(4, "Q", QUESTIONS, 3, data.draw(st.integers(1, 10**7)))
    second = ledger.conversion(6, "Q", QUESTIONS, 3, data.draw(st.integers(1, 10**7)))
    gap = [ledger.row(5, "AY", Kind.BUY, 1, -1)]
    joined, apart = fold_wallet([*buys, *first, *second], {}), fold_wallet([*buys, *first, *gap, *second], {})
    apart.pop(ledger.token("AY"))
    assert {t: _state(h) for t, h in joined.items()} == {t: _state(h) for t, h in apart.items()}


@given(
    bases=st.lists(sizes, min_size=QUESTIONS, max_size=QUESTIONS),
    held=st.integers(1, 10**9),
    part=st.integers(1, 100),
    index_set=st.integers(1, 2**QUESTIONS - 1),
    fee_bips=st.sampled_from([0, 1, 200, 9_999]),
)
@quick
def test_a_conversion_conserves_basis_and_collateral(ledger, bases, held, part, index_set, fee_bips):
    """§2.3: basis before = basis after + collateral − realised; realised only as far as it must be."""
    amount = -(-held * part // 100)
    buys = [ledger.row(2, f"Q{q}N", Kind.BUY, held, -basis) for q, basis in enumerate(bases)]
    legs = ledger.conversion(4, "Q", QUESTIONS, index_set, amount, fee_bips)
    found = fold_wallet(buys + legs, {})
    burned = [q for q in range(QUESTIONS) if index_set >> q & 1]
    out = amount - amount * fee_bips // 10_000
    collateral = (len(burned) - 1) * out
    leaving = [bases[q] * amount // held if amount < held else bases[q] for q in burned]
    realised = sum(h.realized for h in found.values())
    assert sum(bases) == sum(h.cost for h in found.values()) + collateral - realised
    yes = [found[ledger.token(f"Q{q}Y")] for q in range(QUESTIONS) if q not in burned]
    assert [h.held for h in yes] == [out] * len(yes)
    expected = collateral - sum(leaving)
    assert realised == (max(expected, 0) if yes else expected)
    # The remainder of an uneven split goes to the lowest question.
    assert [h.cost for h in yes] == allocate(max(-expected, 0), len(yes) or 1)[: len(yes)]


@pytest.mark.parametrize(("total", "parts", "shares"), [(7, 3, [3, 2, 2]), (0, 2, [0, 0]), (1, 2, [1, 0]), (5, 1, [5])])
def test_an_uneven_amount_favours_the_lowest(total, parts, shares):
    assert allocate(total, parts) == shares
