"""Holds a store that was filled from the simulated Polymarket against the simulator's own truth.

Used by ``polyhouse demo`` and by the tests: every number of every wallet, unit, position, category and window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from polyhouse.domain.ids import format_address, format_condition, format_token
from polyhouse.ports import Warehouse
from polyhouse.sim.truth import Truth
from polyhouse.sim.truth_totals import Totals

_TOTALS = (
    "realized", "unrealized", "unrealized_marked", "unmarked", "income", "untracked_cash", "redeemed_cash", "trades",
    "markets", "wins", "losses", "flats", "open_units", "gains", "losses_abs", "bought_cost",
)  # fmt: skip
_FEE_DEPENDENT = ("fees", "volume")
_POSITION = (
    "shares", "external_shares", "cost", "realized", "unrealized", "bought", "bought_cost", "untracked_shares",
    "untracked_cash", "basis_out", "settled_value", "status",
)  # fmt: skip
_UNIT = ("realized", "unrealized", "is_open", "result", "closed_ts", "category")


@dataclass(slots=True)
class Comparison:
    """Outcome of a comparison.

    Attributes:
        compared: wallets that were held against the truth.
        equal: those without any difference.
        differences: ``wallet what: ours … truth …``, all of them.
        provisional: reason → wallets that were left out because they are marked with it.
    """

    compared: int = 0
    equal: int = 0
    differences: list[str] = field(default_factory=list)
    provisional: Counter[str] = field(default_factory=Counter)
    left_out: int = 0


def compare(warehouse: Warehouse, truth: Truth, *, fee_tolerance: int = 0) -> Comparison:
    """Compare every wallet that is not provisional; a wallet that one side lacks differs.

    Args:
        warehouse: with built models.
        truth: of the same universe at the same moment.
        fee_tolerance: micro-USDC per fill by which fees and volumes may differ. REST prints prices with ten decimals,
            so the fee inside a large fill is known to about ``shares / 2·10¹⁰`` (accounting §1.10); PnL stays exact.
    """
    result = Comparison()
    provisional = {
        format_address(bytes(wallet)): reasons
        for wallet, reasons in warehouse.query("SELECT wallet, provisional FROM wallet_coverage FINAL").rows
        if reasons
    }
    for reasons in provisional.values():
        result.provisional.update(reasons)
    found: dict[str, list[str]] = {wallet: [] for wallet in truth.wallets if wallet not in provisional}
    result.left_out = len(provisional)
    for wallet, text in _differences(warehouse, truth, fee_tolerance):
        if wallet not in provisional:
            found.setdefault(wallet, []).append(text)
    result.compared = len(found)
    result.equal = sum(not texts for texts in found.values())
    result.differences = [f"{wallet} {text}" for wallet, texts in found.items() for text in texts]
    return result


def _differences(warehouse: Warehouse, truth: Truth, fee_tolerance: int) -> Iterator[tuple[str, str]]:
    yield from _totals(warehouse, truth, fee_tolerance)
    yield from _against(
        "position",
        _rows(
            warehouse,
            "SELECT wallet, token, toString(status) AS status, " + ", ".join(_POSITION[:-1]) + " FROM positions FINAL",
            lambda token: format_token(bytes(token)),
        ),
        truth.positions,
        _POSITION,
    )
    yield from _against(
        "unit",
        _rows(
            warehouse,
            "SELECT wallet, unhex(hex(unit)), realized, unrealized, is_open, nullIf(toString(result), '') AS result,"
            " toUnixTimestamp(closed_ts) AS closed_ts, toString(category) AS category FROM units FINAL",
            lambda unit: format_condition(_raw(unit)),
        ),
        truth.units,
        _UNIT,
    )


def _raw(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("latin-1")


def _rows(warehouse: Warehouse, sql: str, name: Callable[[Any], str]) -> dict[tuple[str, str], dict[str, Any]]:
    found = warehouse.query(sql)
    return {
        (format_address(bytes(row[0])), name(row[1])): dict(zip(found.columns[2:], row[2:], strict=True))
        for row in found.rows
    }


def _against(
    what: str, ours: dict[tuple[str, str], dict[str, Any]], theirs: dict[tuple[str, str], Any], fields: Iterable[str]
) -> Iterator[tuple[str, str]]:
    for key in ours.keys() | theirs.keys():
        wallet, name = key
        if key not in ours or key not in theirs:
            if what == "position" and _never_held(ours.get(key) or asdict(theirs[key])):
                continue
            yield wallet, f"{what} {name}: only in {'the store' if key in ours else 'the truth'}"
            continue
        for column in fields:
            got, want = ours[key][column], getattr(theirs[key], column)
            if got != want:
                yield wallet, f"{what} {name} {column}: ours {got} truth {want}"


def _never_held(position: dict[str, Any]) -> bool:
    """A redemption names both outcomes of a condition; the one that never arrived is no position."""
    return not (position["bought"] or position["external_shares"] or position["untracked_shares"])


def _totals(warehouse: Warehouse, truth: Truth, fee_tolerance: int) -> Iterator[tuple[str, str]]:
    expected: dict[tuple[str, str, str], Totals] = dict(truth.windows)
    expected |= {(w, "overall", "lifetime"): wallet.totals for w, wallet in truth.wallets.items()}
    expected |= {(w, category, "lifetime"): totals for (w, category), totals in truth.categories.items()}
    found = warehouse.query(
        "SELECT wallet, category, window, * EXCEPT (wallet, category, window) FROM wallet_totals FINAL"
    )
    ours = {
        (format_address(bytes(row[0])), row[1], row[2]): dict(zip(found.columns[3:], row[3:], strict=True))
        for row in found.rows
    }
    empty = Totals()
    for key in ours.keys() | expected.keys():
        if not truth.windows and key[2] != "lifetime":
            continue
        got, want = ours.get(key), expected.get(key, empty)
        label = f"{key[1]} {key[2]}"
        if got is None:
            if want != empty:
                yield key[0], f"{label}: only in the truth"
            continue
        for column in _TOTALS:
            if got[column] != getattr(want, column):
                yield key[0], f"{label} {column}: ours {got[column]} truth {getattr(want, column)}"
        slack = fee_tolerance * max(want.trades, 1)
        for column in _FEE_DEPENDENT:
            if abs(got[column] - getattr(want, column)) > slack:
                yield key[0], f"{label} {column}: ours {got[column]} truth {getattr(want, column)}"
