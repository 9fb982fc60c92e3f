"""The tables of results: metrics, scores, flags, intervals, specialists, categories, as the local store has them.

Each follows a table or view of the local store under its name and with its columns, which are read from there, so that
a new metric needs no entry here. Types are the dataset's own: money whole micro-units, ratios ``FLOAT64`` (``NUMERIC``
where the store keeps decimals), ids text, times UTC, ``window`` is ``period`` (a word that is reserved in BigQuery).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polyhouse.errors import PolyhouseError
from polyhouse.warehouse.bigquery.schema import Table

if TYPE_CHECKING:
    from polyhouse.ports import Warehouse

_BY_ADDRESS = "(SELECT *, toFixedString(unhex(substring(wallet_address, 3)), 20) AS wallet FROM {0})"
_LEFT_OUT = frozenset({"version", "is_deleted", "digest"})
_TEXTS = frozenset({"name", "meaning", "formula", "source", "undefined", "needs"})
_MONEY_SCALE = 6
_INTEGER = re.compile(r"U?Int\d+")
_DECIMAL = re.compile(r"Decimal\(\d+, (\d+)\)")
_WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)")


@dataclass(frozen=True, slots=True)
class Result:
    """One of them.

    Attributes:
        name: of the table in the dataset.
        key: the full identity of a row, in the names of the dataset.
        relation: local table or view whose rows and columns it has; '' = the one of the same name.
        is_final: it keeps several versions of a row.
        counted: local table whose rows tell how much there is to compare; '' = the one of the same name.
        of_all: a row may change whoever was built, because it depends on all wallets.
    """

    name: str
    key: tuple[str, ...]
    relation: str = ""
    is_final: bool = False
    counted: str = ""
    of_all: bool = False


RESULTS = (
    Result("wallet_metrics_complete", ("wallet", "period"), is_final=True),
    Result("wallet_metrics_by_category", ("wallet", "category", "period"), is_final=True),
    Result("wallet_scores", ("wallet_address",), counted="wallet_scores_v1"),
    Result("wallet_scores_by_category", ("wallet_address", "category"), counted="wallet_scores_v1"),
    Result("wallet_flags", ("wallet", "flag"), relation="wallet_flags_current", of_all=True),
    Result("wallet_intervals", ("wallet", "category", "period"), is_final=True),
    Result("category_specialists", ("category", "wallet"), of_all=True),
    Result("category_stats", ("category", "period")),
    Result("metric_catalogue", ("name",)),
)
"""In the order in which they are published. ``wallet_flags`` is of all wallets, because the control of false
discoveries is: a q-value moves when others are tested."""


def result_tables(local: Warehouse) -> tuple[Table, ...]:
    """The tables of results with the columns that the local store has today.

    Args:
        local: the store that computes.

    Raises:
        PolyhouseError: a column has a type that the dataset has no kind for.
    """
    return tuple(_table(result, local) for result in RESULTS)


def _table(result: Result, local: Warehouse) -> Table:
    relation = result.relation or result.name
    found = local.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
        " AND default_kind != 'MATERIALIZED' ORDER BY position",
        {"table": relation},
    ).rows
    columns: dict[str, str] = {}
    values = []
    for name, type_ in found:
        if name not in _LEFT_OUT:
            told = "period" if name == "window" else name
            columns[told], value = _column(str(name), str(type_))
            values.append(f"{value} AS {told}")
    wallet = next((name for name in ("wallet", "wallet_address") if name in columns), "")
    rows = _BY_ADDRESS.format(relation) if wallet == "wallet_address" else relation
    chosen = f"{' FINAL' if result.is_final else ''}{' WHERE /*wallets*/' if wallet else ''}"
    return Table(
        result.name, columns, result.key, cluster=(wallet or result.key[0],), wallet=wallet,
        source=f"SELECT {', '.join(values)} FROM (SELECT * FROM {rows}{chosen}) AS r",
        counted=result.counted or result.name, of_all=result.of_all, is_generated=True,
    )  # fmt: skip


def _column(name: str, type_: str) -> tuple[str, str]:
    """Kind of a column, and its value."""
    value, plain = f"r.{name}", type_
    while wrapped := _WRAPPED.fullmatch(plain):
        plain = wrapped[1]
    if plain == "FixedString(20)":
        return "address", f"lower(concat('0x', hex({value})))"
    if name == "wallet_address":
        return "address", value
    if plain == "Bool" or (plain == "UInt8" and name.startswith("is_")):
        return "flag", value
    if _INTEGER.fullmatch(plain):
        return "integer", value
    if plain == "Float64":
        return "ratio", value
    if plain == "String":
        return ("text" if name in _TEXTS else "word"), f"toString({value})"
    if plain.startswith("DateTime"):
        return "time", f"toUnixTimestamp({value})"
    if plain.startswith("Map("):
        return "document", f"toJSONString({value})"
    if decimal := _DECIMAL.fullmatch(plain):
        if int(decimal[1]) == _MONEY_SCALE:
            return "integer", f"toInt64({value} * 1000000)"
        return "decimal", f"toDecimal128({value}, 9)"
    raise PolyhouseError(f"The column {name} has the type {type_}, which BigQuery is not told of.")
