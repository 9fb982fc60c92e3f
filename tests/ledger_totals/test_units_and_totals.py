"""Values, units and totals computed on columns equal the same rules written out row by row."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyhouse.ledger.columns import EXTRA, ROW, LedgerColumns
from polyhouse.ledger.day_series import NO_MARK
from polyhouse.ledger.states import SNAPSHOT, STATE, Folded
from polyhouse.ledger.totals import BY_WINDOW, OVERALL, sum_totals
from polyhouse.ledger.units import sum_units
from polyhouse.ledger.valuation import TokenFacts, value_pairs, worth

BOUNDARIES = [900, 700, 400]  # newest first
NOW = 1_000
RESULTS = {"WIN": 1, "LOSS": 2, "FLAT": 3}
enough = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
amount = st.one_of(st.integers(-30_000, 30_000), st.integers(-(10**14), 10**14))
shares = st.one_of(st.just(0), st.integers(0, 10**9), st.integers(0, 2**53))
mark = st.one_of(st.just(NO_MARK), st.integers(-200_000, 1_200_000))


@given(shares, st.integers(-(10**6), 2 * 10**6))
@enough
def test_worth_is_the_floor_of_the_exact_product(held: int, price: int) -> None:
    assert worth(np.array([held]), np.array([price])).tolist() == [held * price // 10**6]


@st.composite
def pair(draw: Any) -> dict[str, Any]:
    state = {name: draw(amount) for name in STATE}
    state |= {name: draw(st.integers(0, NOW)) for name in ("first_ts", "last_ts", "realized_ts")}
    state |= {"held": draw(shares), "external": draw(shares)}
    state["burned"] = draw(st.integers(0, state["held"]))
    rows = [
        {"ts": draw(st.integers(1, NOW)), "kind": kind, "du": draw(amount), "fee": draw(st.integers(0, 50)),
         "volume": draw(st.integers(0, 10**9)) if kind < 3 else 0, "is_fill": int(kind < 3 and draw(st.booleans()))}
        for kind in draw(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=4))
    ]  # fmt: skip
    return {
        "wallet": draw(st.integers(0, 2)), "market": draw(st.sampled_from([-1, 9])),
        "condition": draw(st.integers(0, 3)), "state": state, "rows": rows,
        "resolved_ts": draw(st.one_of(st.none(), st.integers(1, NOW))),
        "marks": [draw(mark) for _ in range(1 + len(BOUNDARIES))],
        "then": [[draw(shares), draw(amount), draw(amount), draw(amount)] for _ in BOUNDARIES],
    }  # fmt: skip


def _sorted(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As a slice holds them: wallets have their places; every condition has one category and one market."""
    places = {wallet: place for place, wallet in enumerate(sorted({one["wallet"] for one in pairs}))}
    for one in pairs:
        one["wallet"] = places[one["wallet"]]
        one["category"] = one["condition"] % 2
        one["unit"] = 9 if one["condition"] < 2 and one["wallet"] == 1 else one["condition"]
    return sorted(pairs, key=lambda one: one["wallet"])


def _unrealized(held: int, cost: int, price: int, is_resolved: bool) -> int | None:
    if is_resolved or not held:
        return 0
    return None if price == NO_MARK else held * price // 10**6 - cost


def _plain_windows(one: dict[str, Any]) -> dict[str, list[Any]]:
    """Whole life first, then each window, newest first."""
    state, resolved = one["state"], one["resolved_ts"]
    now = _unrealized(state["held"], state["cost"], one["marks"][0], resolved is not None)
    found = {"realized": [state["realized"]], "bought_cost": [state["bought_cost"]], "unrealized": [now]}
    for start, price, then in zip(BOUNDARIES, one["marks"][1:], one["then"], strict=True):
        held, cost, realized, bought = then
        before = _unrealized(held, cost, price, resolved is not None and resolved <= start)
        found["realized"].append(state["realized"] - realized)
        found["bought_cost"].append(state["bought_cost"] - bought)
        found["unrealized"].append(None if now is None or before is None else now - before)
    return found


def _plain_units(pairs: list[dict[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    members = defaultdict(list)
    for one in pairs:
        members[one["wallet"], one["unit"]].append(one)
    units = {}
    for key, parts in members.items():
        values = [_plain_windows(one) for one in parts]
        sums = {}
        for name in ("realized", "bought_cost", "unrealized"):
            columns = list(zip(*(value[name] for value in values), strict=True))
            sums[name] = [None if None in column else sum(column) for column in columns]
        is_open = any(
            one["resolved_ts"] is None and one["state"]["held"] > one["state"]["burned"] for one in parts
        )  # fmt: skip
        realized = sums["realized"][0]
        result = "WIN" if realized >= 10_000 else "LOSS" if realized <= -10_000 else "FLAT"
        units[key] = sums | {
            "conditions": sorted({one["condition"] for one in parts}),
            "category": min(one["category"] for one in parts),
            "is_open": is_open, "result": "" if is_open else result,
            "closed_ts": 0 if is_open else max(one["state"]["realized_ts"] for one in parts),
            "untracked_cash": sum(one["state"]["untracked_cash"] for one in parts),
        }  # fmt: skip
    return units


def _plain_totals(pairs: list[dict[str, Any]], units: dict[Any, Any]) -> dict[tuple[int, int], dict[str, list[int]]]:
    starts = [0, *BOUNDARIES]
    totals: dict[Any, Any] = defaultdict(lambda: {name: [0] * len(starts) for name in BY_WINDOW})
    traded = defaultdict(set)
    for one in pairs:
        for row in one["rows"]:
            for place, start in enumerate(starts):
                if row["ts"] > start:
                    for scope in (OVERALL, one["category"]):
                        into = totals[one["wallet"], scope]
                        into["fees"][place] += row["fee"]
                        into["volume"][place] += row["volume"]
                        into["trades"][place] += row["is_fill"]
                        into["redeemed_cash"][place] += row["du"] if row["kind"] == 5 else 0
                        if row["is_fill"]:
                            traded[one["wallet"], scope, place].add(one["condition"])
    for (wallet, scope, place), conditions in traded.items():
        totals[wallet, scope]["markets"][place] = len(conditions)
    for (wallet, _), unit in units.items():
        for place, start in enumerate(starts):
            for scope in (OVERALL, unit["category"]):
                into = totals[wallet, scope]
                into["realized"][place] += unit["realized"][place]
                into["bought_cost"][place] += unit["bought_cost"][place]
                into["unrealized_marked"][place] += unit["unrealized"][place] or 0
                into["unmarked"][place] += unit["unrealized"][place] is None
                if unit["result"] and (place == 0 or unit["closed_ts"] > start):
                    into[{"WIN": "wins", "LOSS": "losses", "FLAT": "flats"}[unit["result"]]][place] += 1
                    into["gains"][place] += max(unit["realized"][0], 0)
                    into["losses_abs"][place] += max(-unit["realized"][0], 0)
    return dict(totals)


@given(st.lists(pair(), min_size=1, max_size=8))
@enough
def test_units_and_totals_equal_the_rules_written_out(drawn: list[dict[str, Any]]) -> None:
    pairs = _sorted(drawn)

    def column(name: str) -> Any:
        return np.array([one[name] for one in pairs], dtype=np.int64)

    state = np.array([[one["state"][name] for name in STATE] for one in pairs], dtype=np.int64)
    then = np.array([one["then"][::-1] for one in pairs], dtype=np.int64).reshape(len(pairs), -1, len(SNAPSHOT))
    resolution = [(0, 0, 0) if one["resolved_ts"] is None else (1, 1, one["resolved_ts"]) for one in pairs]
    facts = TokenFacts(
        column("condition"), column("market"), column("category"), column("condition"),
        np.array([[*known, 0, 0, 0] for known in resolution]), np.array([one["marks"] for one in pairs]),
    )  # fmt: skip
    boundaries = np.array(BOUNDARIES)
    valued = value_pairs(Folded(state, then), facts, boundaries)
    units = sum_units(column("wallet"), column("unit"), column("condition"), column("category"), valued)
    want = _plain_units(pairs)
    keys = list(zip(units.wallet.tolist(), units.name.tolist(), strict=True))
    assert keys == sorted(want)
    for place, key in enumerate(keys):
        low, high = units.condition_starts[place], units.condition_starts[place + 1]
        unknown = units.unmarked[place] > 0
        assert units.conditions[low:high].tolist() == want[key]["conditions"]
        assert units.realized[place].tolist() == want[key]["realized"]
        assert units.bought_cost[place].tolist() == want[key]["bought_cost"]
        found = [None if no else value for no, value in zip(unknown, units.unrealized[place].tolist(), strict=True)]
        assert found == want[key]["unrealized"]
        assert units.result[place] == RESULTS.get(want[key]["result"], 0)
        assert units.closed_ts[place] == want[key]["closed_ts"]

    rows = [row for one in pairs for row in one["rows"]]
    ledger = LedgerColumns(
        np.zeros((len(pairs), 20), np.uint8), np.zeros((len(pairs), 32), np.uint8),
        np.cumsum([0, *(len(one["rows"]) for one in pairs)]),
        np.array([[row.get(name, 0) for name in ROW] for row in rows]),
        np.array([[row.get(name, 0) for name in EXTRA] for row in rows]),
    )  # fmt: skip
    totals = sum_totals(ledger, column("wallet"), column("condition"), column("category"), units, boundaries)
    plain = _plain_totals(pairs, want)
    scopes = list(zip(totals.wallet.tolist(), totals.category.tolist(), strict=True))
    assert sorted(scopes) == sorted(plain)
    for place, scope in enumerate(scopes):
        for name in BY_WINDOW:
            assert totals.by_window[name][place].tolist() == plain[scope][name], (scope, name)
        mine = [
            unit for (wallet, _), unit in want.items() if wallet == scope[0] and scope[1] in (OVERALL, unit["category"])
        ]
        assert totals.untracked_cash[place] == sum(unit["untracked_cash"] for unit in mine)
        assert totals.open_units[place] == sum(unit["is_open"] for unit in mine)
        fills = [
            row["ts"] for one in pairs if one["wallet"] == scope[0] and scope[1] in (OVERALL, one["category"])
            for row in one["rows"] if row["is_fill"]
        ]  # fmt: skip
        assert totals.first_trade[place] == min(fills, default=0)
        assert totals.last_trade[place] == max(fills, default=0)
