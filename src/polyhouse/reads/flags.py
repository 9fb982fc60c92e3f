"""Flags of one wallet: what each says, what it rests on, and how sure it is (docs/flags.md)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from polyhouse.metrics.exact import NO_SAMPLE, OK
from polyhouse.metrics.flags import FLAGS, LUCKY, MINIMUM, Q_LEVEL, TESTED, THRESHOLD
from polyhouse.metrics.specialists import MIN_EVENTS
from polyhouse.models.questions import Row
from polyhouse.ports import Warehouse
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

        self._steps: dict[str, tuple[list[float], list[float]]] = {}
        sql = "SELECT toString(flag) AS flag, p_upto, q_value FROM flag_levels ORDER BY flag, p_upto"
        batches = list(warehouse.query_columns(sql))
        if batches:
            steps = pa.Table.from_batches(batches)
            flags = [_word(flag) for flag in steps.column("flag").to_pylist()]
            upto, q_values = steps.column("p_upto").to_pylist(), steps.column("q_value").to_pylist()
            for flag in TESTED:
                first, end = bisect_left(flags, flag), bisect_right(flags, flag)
                self._steps[flag] = upto[first:end], q_values[first:end]

    def q_value(self, flag: str, p_value: float) -> float:
        """The q-value of a p-value: that of the smallest step that is not below it; 1 above all of them."""
        upto, q_values = self._steps.get(flag, ([], []))
        place = bisect_left(upto, p_value)
        return q_values[place] if place < len(upto) else 1.0


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
    rows = warehouse.query("SELECT wallet, toString(flag), p_value FROM wallet_flags FINAL WHERE meets").rows
    return sorted(
        (bytes(wallet), flag)
        for wallet, flag, p in rows
        if _passes(flag, None if p is None else levels.q_value(flag, p))
    )


def _passes(flag: str, q_value: float | None) -> bool:
    """Whether a flag whose other conditions hold is given, as in ``wallet_flags_current``: lucky is what chance
    explains, the other tested flags what it does not.
    """
    return flag not in TESTED if q_value is None else (q_value > Q_LEVEL) is (flag == LUCKY)


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
        "is_flagged": row["meets"] and _passes(name, q_value), "status": row["status"],
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
