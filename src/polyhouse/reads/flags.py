"""Flags of one wallet: what each says, what it rests on, and how sure it is (docs/flags.md)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from polyhouse.metrics.exact import NO_SAMPLE, OK
from polyhouse.metrics.flags import FLAGS, LUCKY, MINIMUM, Q_LEVEL, TESTED, THRESHOLD
from polyhouse.metrics.specialists import MIN_EVENTS
from polyhouse.models.questions import Row
from polyhouse.ports import Warehouse
from polyhouse.reads.board_columns import Array, read_columns
from polyhouse.reads.boards import boards_of
from polyhouse.reads.exact import shortest
from polyhouse.reads.parts import in_order
from polyhouse.reads.scores import NOT_COMPUTED

MEANINGS: Mapping[str, str] = {
    "skilled": "won more often than the prices it paid say, in more than one category",
    "lucky": "a good result that hangs on its best bet and that chance explains",
    "insider": "early, against the price, and right: more often than chance explains; no accusation",
    "bot": "trades like a machine: even intervals, all hours, both sides, many fills",
    "market_maker": "makes prices on both sides rather than taking a view",
    "wash_trader": "trades back and forth with partners who trade with it, without taking a position",
    "specialist": "better in one category than elsewhere, and than others there",
}
"""Flag → what it says of a wallet."""

FLAG_WORDS = tuple(sorted(FLAGS))
"""Flags in the order in which rows name them."""
_NUMBER = f"toUInt8(indexOf({list(FLAG_WORDS)}, toString(flag)))"
_SPECIALIST_INPUTS = ("edge", "rest_shrunk", "category_edge", "stake_share", "p_category", "p_rest")
_SPECIALIST_COLUMNS = (
    "is_specialist", "edge_shrunk", "p_value", "q_value", "events", *_SPECIALIST_INPUTS
)  # fmt: skip


def flags(levels: Levels, rows: Sequence[Row], specialists: Sequence[Row], *, known: bool) -> list[dict[str, Any]]:
    """Every flag of a wallet, and ``specialist`` for each category in which it was tested.

    Each has ``flag``, ``category`` (of specialists, else None), ``is_flagged``, ``status``, ``value`` against
    ``threshold``, ``p_value``, ``q_value`` (both None where nothing is tested), ``sample`` against ``minimum_sample``,
    ``inputs`` and ``meaning``. Without a sample ``status`` is NO_SAMPLE; NOT_COMPUTED if no build has seen the wallet.

    Args:
        levels: of the same build or a newer one.
        rows: of ``models.wallet_documents``.
        specialists: of ``Specialists``.
        known: whether a build has seen the wallet.
    """
    stored = {row["flag"]: row for row in rows}
    found = [_flag(name, stored.get(name), levels, known=known) for name in FLAGS]
    return found + [_specialist(row) for row in in_order(specialists, "q_value", "category")]


class Levels:
    """q-values by p-value, in steps, for each tested flag: the table ``flag_levels`` in memory.

    Args:
        warehouse: the open warehouse.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        import pyarrow as pa

        sql = f"SELECT {_NUMBER} AS number, p_upto, q_value FROM flag_levels ORDER BY flag, p_upto"
        batches = list(warehouse.query_columns(sql))
        self._steps: dict[str, tuple[Array, Array]] = {}
        if batches:
            steps = pa.Table.from_batches(batches)
            numbers, upto, q_values = (steps.column(name).to_numpy() for name in ("number", "p_upto", "q_value"))
            for number, word in enumerate(FLAG_WORDS, start=1):
                first, end = np.searchsorted(numbers, number), np.searchsorted(numbers, number, side="right")
                self._steps[word] = upto[first:end], np.append(q_values[first:end], 1.0)

    def q_value(self, flag: str, p_value: float) -> float:
        """The q-value of a p-value: that of the smallest step that is not below it; 1 above all of them."""
        return float(self.q_values(flag, np.array([p_value]))[0])

    def q_values(self, flag: str, p_values: Array) -> Array:
        """The same of many p-values; NaN of NaN."""
        upto, q_values = self._steps.get(flag, (np.zeros(0), np.ones(1)))
        return np.where(np.isnan(p_values), np.nan, q_values[np.searchsorted(upto, p_values)])


def levels_of(warehouse: Warehouse, build: int) -> Levels:
    """The levels as of a build, or as of a newer one."""
    return boards_of(warehouse).once("flag levels", build, lambda: Levels(warehouse))


class Specialists:
    """Who was tested for being a specialist: the table ``category_specialists`` in memory, by wallet.

    Args:
        warehouse: the open warehouse.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        import pyarrow as pa

        sql = (
            f"SELECT wallet, toString(category) AS category, {', '.join(_SPECIALIST_COLUMNS)} FROM category_specialists"
        )
        batches = list(warehouse.query_columns(f"{sql} ORDER BY wallet"))
        self._rows = pa.Table.from_batches(batches).combine_chunks() if batches else None
        self._wallets: list[bytes] = [] if self._rows is None else self._rows.column("wallet").to_pylist()

    def of(self, wallet: bytes) -> list[Row]:
        """The tests of a wallet (20 bytes), one row per category."""
        if self._rows is None:
            return []
        first, end = bisect_left(self._wallets, wallet), bisect_right(self._wallets, wallet)
        rows: list[Row] = self._rows.slice(first, end - first).to_pylist()
        return [row | {"category": _word(row["category"])} for row in rows]


def specialists_of(warehouse: Warehouse, build: int) -> Specialists:
    """Who was tested as of a build, or as of a newer one."""
    return boards_of(warehouse).once("specialists by wallet", build, lambda: Specialists(warehouse))


def flagged(warehouse: Warehouse, levels: Levels) -> list[tuple[bytes, str]]:
    """Every wallet with each flag that it carries, in order: the rows of ``wallet_flags_current`` that are flagged,
    without the join that this view is.
    """
    wallets, flags = flag_columns(warehouse, levels)
    pairs = zip(wallets.tolist(), flags.tolist(), strict=True)
    return [(wallet.ljust(20, b"\0"), FLAG_WORDS[flag]) for wallet, flag in pairs]


def flag_columns(warehouse: Warehouse, levels: Levels) -> tuple[Array, Array]:
    """The same as columns: wallets as boards have them, and places of their flags in ``FLAG_WORDS``."""
    rows = read_columns(
        warehouse, {"number": _NUMBER, "p": "toFloat64(ifNull(p_value, nan))"},
        "FROM wallet_flags FINAL WHERE meets ORDER BY wallet, flag", {},
    )  # fmt: skip
    passes = np.zeros(len(rows["wallet"]), bool)
    for number, word in enumerate(FLAG_WORDS, start=1):
        of_flag = rows["number"] == number
        passes[of_flag] = _passing(word, levels.q_values(word, rows["p"][of_flag]))
    return rows["wallet"][passes], rows["number"][passes].astype(np.int64) - 1


def _passing(flag: str, q_values: Array) -> Array:
    """Which flags whose other conditions hold are given, as in ``wallet_flags_current``: lucky is what chance explains,
    the other tested flags what it does not. NaN: not tested.
    """
    tested: Array = (q_values > Q_LEVEL) == (flag == LUCKY)
    return np.where(np.isnan(q_values), flag not in TESTED, tested)


def _flag(name: str, row: Row | None, levels: Levels, *, known: bool) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "flag": name, "category": None, "is_flagged": False if known else None,
        "status": NO_SAMPLE if known else NOT_COMPUTED, "value": None, "threshold": shortest(THRESHOLD[name]),
        "p_value": None, "q_value": None, "sample": 0, "minimum_sample": MINIMUM[name], "inputs": {},
        "meaning": MEANINGS[name],
    }  # fmt: skip
    if row is None:
        return empty
    q_value = None if row["p_value"] is None else levels.q_value(name, row["p_value"])
    return empty | {
        "is_flagged": row["meets"] and bool(_passing(name, np.array(q_value, float))), "status": row["status"],
        **{column: _number(row[column]) for column in ("value", "threshold", "p_value")},
        "q_value": _number(q_value), "sample": row["sample"], "minimum_sample": row["minimum_sample"],
        "inputs": {key: shortest(value) for key, value in row["inputs"].items()},
    }  # fmt: skip


def _specialist(row: Row) -> dict[str, Any]:
    """A test for specialists as a flag: its value is the shrunk edge, which must exceed that elsewhere."""
    return {
        "flag": "specialist", "category": row["category"], "is_flagged": bool(row["is_specialist"]),
        "status": OK, "value": shortest(row["edge_shrunk"]), "threshold": shortest(max(row["rest_shrunk"], 0.0)),
        "p_value": shortest(row["p_value"]), "q_value": shortest(row["q_value"]),
        "sample": row["events"], "minimum_sample": MIN_EVENTS,
        "inputs": {name: shortest(row[name]) for name in _SPECIALIST_INPUTS}, "meaning": MEANINGS["specialist"],
    }  # fmt: skip


def _word(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _number(value: float | None) -> Decimal | None:
    return None if value is None else shortest(value)
