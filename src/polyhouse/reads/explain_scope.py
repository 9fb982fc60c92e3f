"""Of what a number is asked: a wallet or one of its units or positions, a category, a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polyhouse.domain.ids import format_address
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import money
from polyhouse.reads.totals import OVERALL

_DAY_SECONDS = 86_400
OF_WALLET = "wallet = toFixedString(unhex({wallet:String}), 20)"
"""SQL: the rows of the wallet."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Of what a number is asked.

    Attributes:
        wallet: 20 bytes.
        category: ``overall`` or one category; of the wallet's numbers only.
        window: ``1d`` … ``lifetime``.
        as_of: end of the window, Unix seconds.
        unit: condition or neg-risk market, b'' = the whole wallet.
        token: 32 bytes, b'' = no position.
    """

    wallet: bytes
    category: str = OVERALL
    window: str = "lifetime"
    as_of: int = 0
    unit: bytes = b""
    token: bytes = b""

    @property
    def begin(self) -> int:
        """Start of the window, Unix seconds: it holds what lies after it; −1 = the whole life."""
        if self.window == "lifetime":
            return -1
        return max(self.as_of - int(self.window.removesuffix("d")) * _DAY_SECONDS, 0)

    def bound(self) -> dict[str, Any]:
        """Parameters of the statements."""
        return {
            "wallet": self.wallet.hex(), "category": self.category, "unit": self.unit.hex(), "token": self.token.hex(),
            "begin": self.begin,
        }  # fmt: skip

    def after(self, column: str) -> str:
        """SQL: whether a time lies inside the window."""
        return "1" if self.begin < 0 else f"toInt64({column}) > {{begin:Int64}}"

    def units(self) -> str:
        """SELECT of the units."""
        conditions = [OF_WALLET]
        if self.category != OVERALL:
            conditions.append("category = {category:String}")
        if self.unit:
            conditions.append("hex(unit) = upper({unit:String})")
        return f"SELECT * FROM units FINAL WHERE {' AND '.join(conditions)}"

    def positions(self) -> str:
        """SELECT of the positions."""
        conditions = [OF_WALLET]
        if self.category != OVERALL:
            conditions.append("category = {category:String}")
        if self.unit:
            conditions.append("hex(unit) = upper({unit:String})")
        if self.token:
            conditions.append("token = toFixedString(unhex({token:String}), 32)")
        return f"SELECT * FROM positions FINAL WHERE {' AND '.join(conditions)}"


def query(warehouse: Warehouse, sql: str, bound: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of one statement by column name; parameters that it does not name are left out."""
    result = warehouse.query(sql, {name: value for name, value in bound.items() if f"{{{name}:" in sql})
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def shown(amount: int | None, measure: str) -> Any:
    """A number as documents show it: money and shares in whole units, counts as they are."""
    if amount is None:
        return None
    return int(amount) if measure == "count" else money(int(amount))


def newest_of(warehouse: Warehouse, scope: Scope) -> int:
    """Where the windows of the wallet's numbers end: the newest row of the build that made them; 0 = never built."""
    rows = warehouse.query(
        "SELECT toUnixTimestamp(as_of) FROM builds WHERE build = (SELECT max(version) FROM wallet_totals FINAL"
        f" WHERE {OF_WALLET})",
        {"wallet": scope.wallet.hex()},
    ).rows
    return int(rows[0][0]) if rows else 0


def check_exists(warehouse: Warehouse, scope: Scope) -> None:
    """Refuse wallets without numbers, and units and positions that the wallet does not have.

    Raises:
        BadInputError: there is no such thing.
    """
    if not (scope.unit or scope.token):
        if not scope.as_of:
            raise BadInputError(
                f"no numbers of wallet {format_address(scope.wallet)} are built",
                hint=f"polyhouse sync wallets {format_address(scope.wallet)}",
            )
        return
    table, rows = ("positions", scope.positions()) if scope.token else ("units", scope.units())
    if not query(warehouse, f"SELECT count() AS n FROM ({rows})", scope.bound())[0]["n"]:
        raise BadInputError(
            f"wallet {format_address(scope.wallet)} has no such one among its {table}",
            hint=f"polyhouse wallet {format_address(scope.wallet)} --json lists them",
        )
