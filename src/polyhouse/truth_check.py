"""Holds a store that was filled from the simulated Polymarket against the simulator's truth, number by number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from polyhouse.ports import Warehouse
from polyhouse.reads.totals import OVERALL

if TYPE_CHECKING:
    from polyhouse.sim.truth import Truth

_TOTALS = (
    "realized", "unrealized", "unrealized_marked", "unmarked", "fees", "untracked_cash", "redeemed_cash", "volume",
    "trades", "markets", "wins", "losses", "flats", "open_units", "gains", "losses_abs", "bought_cost",
)  # fmt: skip
_UNIT = ("realized", "unrealized", "cost", "bought_cost", "fees", "redeemed_cash", "untracked_cash", "category")
# Without redeemed_cash: a REST redemption names its condition, not its outcomes, so only the unit's sum is a fact.
_POSITION = (
    "shares", "external_shares", "cost", "realized", "unrealized", "fees", "bought", "bought_cost", "untracked_shares",
    "untracked_cash", "basis_out", "settled_shares", "settled_value",
)  # fmt: skip
_POSITION_WORDS = ("status", "category")
_SHOWN = 5

Key = tuple[str, ...]
Facts = dict[Key, Any]
Fact = tuple[str, Key, Any]


@dataclass(slots=True)
class Comparison:
    """Outcome over all wallets. ``inexact`` counts wallets by the reason why REST cannot express their history."""

    compared: int = 0
    equal: int = 0
    numbers: int = 0
    inexact: Counter[str] = field(default_factory=Counter)
    inexact_wallets: int = 0
    unflagged: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Every compared wallet is equal, and there is no wallet too many; ``unflagged`` is reported beside it."""
        return self.compared == self.equal and not self.differences


def compare(warehouse: Warehouse, truth: Truth, *, everyone: bool = False, income: bool = True) -> Comparison:
    """Compare every position, unit, category, window and total of the wallets that the store's sources can express.

    Args:
        warehouse: with built models.
        truth: of the same universe at the same moment.
        everyone: all wallets; by default those whose history REST can express. The others must be marked provisional.
        income: also rebates and rewards, which no chain log of these contracts shows.
    """
    ours, theirs = _by_wallet(_model_facts(warehouse)), _by_wallet(_truth_facts(truth))
    flagged = _flagged(warehouse)
    result = Comparison()
    for wallet, known in sorted(truth.wallets.items()):
        if not (everyone or known.rest_exact):
            result.inexact_wallets += 1
            result.inexact.update(known.rest_reasons)
            if wallet in ours and wallet not in flagged:
                result.unflagged.append(wallet)
            continue
        mine, right = ours.get(wallet, {}), theirs.get(wallet, {})
        if not income:
            mine, right = _without_income(mine), _without_income(right)
        result.compared += 1
        result.numbers += len(right)
        different = sorted(key for key in mine.keys() | right.keys() if _value(mine, key) != _value(right, key))
        if not different:
            result.equal += 1
        elif len(result.differences) < _SHOWN:
            key = different[0]
            result.differences.append(
                f"{wallet}: {len(different)} of {len(right)} numbers differ, first {' '.join(key)}: "
                f"{_value(mine, key)} instead of {_value(right, key)}"
            )
    strangers = sorted(ours.keys() - truth.wallets.keys())
    result.differences.extend(f"{wallet}: not in the truth at all" for wallet in strangers)
    return result


def _without_income(facts: Facts) -> Facts:
    return {key: value for key, value in facts.items() if key[-1] != "income"}


def _value(facts: Mapping[Key, Any], key: Key) -> Any:
    """A row that is missing on one side says the same as a row of zeros."""
    return facts.get(key, 0 if key[-1] not in {"status", "category", "result"} else None)


def _by_wallet(facts: Iterable[Fact]) -> dict[str, Facts]:
    sorted_facts: dict[str, Facts] = {}
    for wallet, key, value in facts:
        sorted_facts.setdefault(wallet, {})[key] = value
    return sorted_facts


def _model_facts(warehouse: Warehouse) -> Iterator[Fact]:
    names = ", ".join(_TOTALS)
    for row in _rows(warehouse, f"SELECT wallet, category, `window`, {names}, income FROM wallet_totals FINAL"):
        wallet, category, window, *values, income = row
        for name, value in zip(_TOTALS, values, strict=True):
            yield _hex(wallet), ("totals", category, window, name), value
        if category == OVERALL:
            yield _hex(wallet), ("totals", category, window, "income"), income
    for row in _rows(
        warehouse, f"SELECT wallet, unit, is_open, toString(result), toUnixTimestamp(closed_ts), {', '.join(_UNIT)}"
        " FROM units FINAL",
    ):  # fmt: skip
        wallet, unit, is_open, result, closed, *values = row
        yield _hex(wallet), ("unit", _hex(unit), "result"), None if is_open else result
        yield _hex(wallet), ("unit", _hex(unit), "closed_ts"), 0 if is_open else int(closed)
        for name, value in zip(_UNIT, values, strict=True):
            yield _hex(wallet), ("unit", _hex(unit), name), value
    numbers = ", ".join(_POSITION)
    for row in _rows(
        warehouse, f"SELECT wallet, token, toString(status), category, {numbers} FROM positions FINAL"
    ):  # fmt: skip
        wallet, token, status, category, *values = row
        yield from _position_facts(_hex(wallet), str(int.from_bytes(bytes(token), "big")), (status, category), values)


def _position_facts(wallet: str, token: str, words: Sequence[str], values: Sequence[Any]) -> Iterator[Fact]:
    if not any(values) and None not in values:
        return  # never held anything, e.g. the other outcome of a redemption: some list it, some do not
    for name, value in zip((*_POSITION_WORDS, *_POSITION), (*words, *values), strict=True):
        yield wallet, ("position", token, name), value


def _truth_facts(truth: Truth) -> Iterator[Fact]:
    for wallet, known in truth.wallets.items():
        yield from _totals_facts(wallet, OVERALL, "lifetime", known.totals)
    for (wallet, category), totals in truth.categories.items():
        yield from _totals_facts(wallet, category, "lifetime", totals)
    for (wallet, category, window), totals in truth.windows.items():
        yield from _totals_facts(wallet, category, window, totals)
    for (wallet, unit), facts in truth.units.items():
        yield wallet, ("unit", unit, "result"), facts.result
        yield wallet, ("unit", unit, "closed_ts"), facts.closed_ts
        for name in _UNIT:
            yield wallet, ("unit", unit, name), getattr(facts, name)
    for (wallet, token), position in truth.positions.items():
        values = [getattr(position, name) for name in _POSITION]
        yield from _position_facts(wallet, token, (position.status, position.category), values)


def _totals_facts(wallet: str, category: str, window: str, totals: Any) -> Iterator[Fact]:
    for name in _TOTALS:
        yield wallet, ("totals", category, window, name), getattr(totals, name)
    if category == OVERALL:
        yield wallet, ("totals", category, window, "income"), totals.income


def _flagged(warehouse: Warehouse) -> set[str]:
    rows = _rows(warehouse, "SELECT wallet FROM wallet_coverage FINAL WHERE notEmpty(provisional)")
    return {_hex(row[0]) for row in rows}


def _rows(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    return warehouse.query(sql).rows


def _hex(value: Any) -> str:
    return f"0x{bytes(value).hex()}"
