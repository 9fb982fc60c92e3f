"""Invariants of the truth on whole universes (accounting §3.7), and windows worked out by hand."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from polyhouse.errors import BadInputError
from polyhouse.sim.model import Log, SimEvent, SimMarket, Transaction
from polyhouse.sim.truth import DAY, Truth, compute_truth
from polyhouse.sim.truth_reading import Fill, Pairs, Reader
from polyhouse.sim.universe import Universe


@pytest.fixture(scope="module", params=[11, 12])
def world(request: pytest.FixtureRequest) -> tuple[Universe, list[Transaction], Truth]:
    universe = Universe(seed=request.param, wallets=120, fills=7_000)
    history = list(universe.transactions())
    return universe, history, compute_truth(history, universe.events, universe.neg_risk_markets)


def reader_of(universe: Universe) -> Reader:
    tokens = {m.condition_id: m.token_ids for e in universe.events for m in e.markets}
    questions = {
        name: ([m.token_ids for e in universe.events for m in e.markets if m.neg_risk_market_id == name], bips)
        for name, (_, bips) in universe.neg_risk_markets.items()
    }
    return Reader(tokens, questions)


def test_no_shortfall_and_no_open_position_without_a_mark(world: tuple[Universe, list[Transaction], Truth]) -> None:
    _, _, truth = world
    assert len(truth.positions) > 2_000
    for position in truth.positions.values():
        assert position.unrealized is not None
        assert position.shares >= 0
        assert position.external_shares >= 0
        assert position.cost >= 0
        assert position.cost == 0 or position.shares > 0
    untracked = {wallet for (wallet, _), p in truth.positions.items() if p.untracked_shares}
    assert not untracked, "nobody sells what it does not have"
    for wallet in truth.wallets.values():
        assert wallet.totals.unrealized is not None


def test_realized_is_cash_and_basis_and_settlement(world: tuple[Universe, list[Transaction], Truth]) -> None:
    """Per wallet: Σ realised = Σ trading cash + Σ open basis + Σ settled value + Σ basis out − Σ untracked cash."""
    universe, history, truth = world
    reader = reader_of(universe)
    cash: defaultdict[str, int] = defaultdict(int)
    for tx in history:
        for event in reader.read(tx):
            if isinstance(event, Fill):
                cash[event.wallet] += -event.cash if event.buy else event.cash
            elif isinstance(event, Pairs):
                cash[event.wallet] -= event.sign * event.amount
            elif type(event).__name__ == "Conversion":
                _, bips = reader._questions[event.market]
                legs = event.index_set.bit_count()
                cash[event.wallet] += (legs - 1) * (event.amount - event.amount * bips // 10_000)
    expected: defaultdict[str, int] = defaultdict(int, cash)
    for (wallet, _), p in truth.positions.items():
        expected[wallet] += p.cost + p.settled_value + p.basis_out - p.untracked_cash
    assert {w: x.totals.realized for w, x in truth.wallets.items()} == {w: expected[w] for w in truth.wallets}


def test_settled_conditions_are_zero_sum(world: tuple[Universe, list[Transaction], Truth]) -> None:
    """Σ realised + fees = 0 up to dust; V1 share fees are worth what the fee receiver's shares pay."""
    universe, history, truth = world
    moved = {w for w, x in truth.wallets.items() if not x.rest_exact}
    market_of = {t: m for e in universe.events for m in e.markets for t in m.token_ids}
    kept: defaultdict[str, int] = defaultdict(int)  # condition → fees at their final worth
    for tx in history:
        refunds: defaultdict[str, list[int]] = defaultdict(list)
        for log in tx.logs:
            if log.t == "FeeRefunded":
                refunds[log.fields["order"]].append(log.fields["refund"])
        for log in tx.logs:
            f = log.fields
            if log.t != "OrderFilled" or not f["fee"]:
                continue
            v1 = f["v"] == 1
            fee = f["fee"] - (refunds[f["order"]].pop(0) if v1 else 0)
            token = f["token"] if not v1 else f["taker_asset"] if f["maker_asset"] == "0" else f["maker_asset"]
            market = market_of[token]
            numerators = truth.resolutions.get(market.condition_id)
            if numerators:
                in_shares = v1 and f["maker_asset"] == "0"
                share = numerators[market.token_ids.index(token)]
                kept[market.condition_id] += fee * share // sum(numerators) if in_shares else fee
    realized: defaultdict[str, int] = defaultdict(int)
    members: defaultdict[str, set[str]] = defaultdict(set)
    for (wallet, _), p in truth.positions.items():
        realized[p.condition] += p.realized
        members[p.condition].add(wallet)
    checked = 0
    for condition in truth.resolutions:
        if condition in realized and not members[condition] & moved:
            assert abs(realized[condition] + kept[condition]) <= 4 * len(members[condition])
            checked += 1
    assert checked > 60


def test_sums_agree_on_every_level(world: tuple[Universe, list[Transaction], Truth]) -> None:
    _, _, truth = world
    for wallet, row in truth.wallets.items():
        parts = [t for (w, _), t in truth.categories.items() if w == wallet]
        units = [u for (w, _), u in truth.units.items() if w == wallet]
        for name in ("realized", "fees", "volume", "trades", "wins", "losses", "flats", "open_units", "gains",
                     "losses_abs", "bought_cost", "redeemed_cash", "markets"):  # fmt: skip
            assert sum(getattr(part, name) for part in parts) == getattr(row.totals, name), name
        assert sum(u.realized for u in units) == row.totals.realized
        assert sum(u.unrealized or 0 for u in units) == row.totals.unrealized
        assert row.totals.gains - row.totals.losses_abs == sum(u.realized for u in units if not u.is_open)
        assert len(units) == row.totals.wins + row.totals.losses + row.totals.flats + row.totals.open_units


def test_transfers_only_explain_and_never_change(world: tuple[Universe, list[Transaction], Truth]) -> None:
    """With all transfers in the logs the truth is the same: no transaction leaves an unexplained residual."""
    universe, _, truth = world
    full = Universe(seed=universe.seed, wallets=120, fills=7_000, with_transfers=True)
    assert compute_truth(full.transactions(), full.events, full.neg_risk_markets) == truth


def test_only_conversions_and_transfers_are_beyond_rest(world: tuple[Universe, list[Transaction], Truth]) -> None:
    universe, history, truth = world
    reader = reader_of(universe)
    expected: defaultdict[str, set[str]] = defaultdict(set)
    for tx in history:
        for event in reader.read(tx):
            name = type(event).__name__
            if name in ("Moved", "Conversion"):
                expected[event.wallet].add("transfer" if name == "Moved" else "conversion")
    found = {w: set(x.rest_reasons) for w, x in truth.wallets.items() if not x.rest_exact}
    assert found == expected
    assert 2 <= len(found) <= len(truth.wallets) // 4


def test_lifetime_equals_the_windows_of_a_young_world(world: tuple[Universe, list[Transaction], Truth]) -> None:
    """A window that is longer than the whole history has everything in it."""
    universe, history, _ = world
    young = [tx for tx in history if tx.ts < universe.start + 150 * DAY]
    truth = compute_truth(young, universe.events, universe.neg_risk_markets)
    exact = {wallet for wallet, row in truth.wallets.items() if row.rest_exact}
    for wallet in exact:
        assert truth.windows[wallet, "overall", "180d"] == truth.wallets[wallet].totals
    for (wallet, category), totals in truth.categories.items():
        assert wallet not in exact or truth.windows[wallet, category, "180d"] == totals
    for key, unit in truth.units.items():
        # Only what came or went by transfer alone is never booked, hence closed at no time.
        assert unit.is_open or unit.closed_ts > 0 or key[0] not in exact


def test_windows_are_differences_of_truths(world: tuple[Universe, list[Transaction], Truth]) -> None:
    """Realised, unrealised, fees, volume and trades of a window = truth now − truth at its beginning."""
    universe, history, truth = world
    for name, days in (("7d", 7), ("90d", 90)):
        boundary = truth.as_of - days * DAY
        earlier = compute_truth(
            [tx for tx in history if tx.ts <= boundary], universe.events, universe.neg_risk_markets, windows=False
        )
        for wallet, row in truth.wallets.items():
            window = truth.windows[wallet, "overall", name]
            before = earlier.wallets.get(wallet)
            for field in ("realized", "unrealized", "fees", "volume", "trades", "income", "redeemed_cash"):
                start = getattr(before.totals, field) if before else 0
                assert getattr(window, field) == getattr(row.totals, field) - start, field


PLAIN: dict[str, Any] = {"neg_risk": False, "neg_risk_market_id": "", "created_ts": 0, "start_ts": 0, "end_ts": 0}


def market(name: str) -> SimMarket:
    return SimMarket(
        1, name, "q", "", "", ("Yes", "No"), (name + "Y", name + "N"), 1, question_index=0, fee_rate="0", **PLAIN
    )


EVENTS = [
    SimEvent(
        1, "e", "E", ((1, "Politics", "politics"),), None, neg_risk_fee_bips=0,
        markets=(market("A"), market("B")), **PLAIN,
    )
]  # fmt: skip


def trade(day: int, wallet: str, token: str, side: str, shares: int, cash: int) -> Transaction:
    gave, got = (cash, shares) if side == "BUY" else (shares, cash)
    fields: dict[str, Any] = {
        "v": 2, "ex": "EX2", "order": "o", "maker": wallet, "taker": "OPR", "side": side, "token": token,
        "maker_amount": gave * 10**6, "taker_amount": got * 10**6, "fee": 0,
    }  # fmt: skip
    return Transaction(f"t{day}", day, 0, day * DAY, (Log("OrderFilled", 1, fields),))


def resolve(day: int, condition: str) -> Transaction:
    log = Log("ConditionResolution", 1, {"condition": condition, "numerators": [1, 0]})
    return Transaction(f"r{day}", day, 0, day * DAY, (log,))


def test_windows_by_hand() -> None:
    """Day 100: 100 shares at 0.40. Day 120: 50 sold at 0.60 (+10). Day 128: the mark falls to 0.20 by another wallet.
    Day 129: B bought at 0.50. Day 130: B resolved in favour (+50), and a last fill.
    """
    history = [
        trade(100, "w", "AY", "BUY", 100, 40),
        trade(120, "w", "AY", "SELL", 50, 30),
        trade(128, "x", "AY", "BUY", 10, 2),
        trade(129, "w", "BY", "BUY", 100, 50),
        resolve(130, "B"),
        trade(131, "x", "AN", "BUY", 10, 7),
    ]
    truth = compute_truth(history, EVENTS, {})
    assert truth.as_of == 131 * DAY
    assert truth.marks["AY"] == 300_000, "the complement's fill is later than the token's own"
    whole = truth.wallets["w"].totals
    assert (whole.realized, whole.unrealized) == (60_000_000, -5_000_000)
    assert (whole.first_trade_ts, whole.last_trade_ts) == (100 * DAY, 129 * DAY)
    assert (whole.wins, whole.open_units, whole.trades, whole.markets) == (1, 1, 3, 2)
    day = truth.windows["w", "overall", "1d"]
    assert (day.realized, day.trades, day.wins) == (0, 0, 0), "the booking of day 130 is at the edge, hence outside"
    assert day.unrealized == 5_000_000, "0.20 at the beginning, 0.30 now, 50 shares"
    week = truth.windows["w", "politics", "7d"]
    assert (week.realized, week.trades, week.wins, week.volume) == (50_000_000, 1, 1, 50_000_000)
    assert week.unrealized == -15_000_000, "0.60 at the beginning"
    month = truth.windows["w", "overall", "30d"]
    assert (month.realized, month.unrealized, month.trades) == (60_000_000, -5_000_000, 2)


def test_unknown_tokens_are_an_error() -> None:
    with pytest.raises(BadInputError, match="CY"):
        compute_truth([trade(1, "w", "CY", "BUY", 1, 1)], EVENTS, {})
    with pytest.raises(BadInputError, match="'C'"):
        split = Log("PositionSplit", 1, {"src": "CTF", "stakeholder": "w", "condition": "C", "amount": 1})
        compute_truth([Transaction("t", 1, 0, 1, (split,))], EVENTS, {})
