"""The ledger rows of a wallet in the order in which the models fold them, and the resolutions of their tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from polyhouse.ledger.fold import LedgerRow, Settlement
from polyhouse.models.joined import MOMENT
from polyhouse.ports import Warehouse
from polyhouse.reads.explain_scope import OF_WALLET, Scope, query

FACTS = (
    "toUnixTimestamp(ts) AS at, block, tx_index, pos, toInt8(kind) AS number, ds, du, fee, amount, convert_cash,"
    " lower(hex(tx)) AS tx_hex, toString(source) AS source_word, toString(kind) AS kind_word, volume, label, sub"
)
"""Columns of a ledger row."""

# The orders of models/pairs.py and models/joined.py.
_ALONE = f"{MOMENT.format(who='wallet, token')}, block, tx_index, pos, cls, sub, tx, row_key"
_JOINED = f"{MOMENT.format(who='wallet')}, block, tx_index, pos, cls, tx, if(block > 0, 0, row_key), sub"
_CHOSEN = "token IN (SELECT toFixedString(unhex(arrayJoin({tokens:Array(String)})), 32))"


@dataclass(frozen=True, slots=True)
class WalletLedger:
    """Ledger rows in the order of the fold.

    Attributes:
        rows: by column name (``FACTS``, ``token``, ``event``, ``part``).
        resolved: what ``token_map`` says of the tokens that are resolved.
    """

    rows: list[dict[str, Any]]
    resolved: dict[bytes, dict[str, Any]]

    @property
    def settlements(self) -> dict[bytes, Settlement]:
        """Resolutions by token."""
        return {
            token: Settlement(
                int(row["numerator"]), int(row["denominator"]), row["at"], row["block"], row["tx_index"], row["pos"]
            )
            for token, row in self.resolved.items()
        }

    def fold_rows(self) -> Iterator[LedgerRow]:
        """The rows as the fold takes them."""
        for row in self.rows:
            yield LedgerRow(
                bytes(row["token"]), row["at"], row["block"], row["tx_index"], row["pos"], row["number"], row["ds"],
                row["du"], row["fee"], row["amount"], row["convert_cash"], row["event"].encode(),
            )  # fmt: skip


def load_ledger(
    warehouse: Warehouse, scope: Scope, tokens: Sequence[bytes] | None = None, part: str = "0"
) -> WalletLedger:
    """The ledger rows of some tokens of the wallet, and of all that basis may have come from.

    Args:
        warehouse: with built models.
        scope: names the wallet.
        tokens: which; None = all.
        part: SQL on a row (alias l): what a number takes from it, as ``part`` of the row.
    """
    bound = scope.bound()
    is_joined = _is_joined(warehouse, scope)
    chosen = "token != toFixedString('', 32)"
    if tokens is not None:
        chosen = _CHOSEN
        wanted = {token.hex() for token in tokens}
        bound["tokens"] = _linked(warehouse, scope, wanted) if is_joined else sorted(wanted)
    rows = query(
        warehouse,
        f"SELECT token, {FACTS}, concat(hex(tx), toString(if(block > 0, pos, row_key))) AS event, {part} AS part"
        f" FROM ledger AS l FINAL WHERE {OF_WALLET} AND {chosen} ORDER BY {_JOINED if is_joined else _ALONE}",
        bound,
    )
    bound["tokens"] = sorted({bytes(row["token"]).hex() for row in rows})
    settled = query(
        warehouse,
        "SELECT token, condition, numerator, denominator, toUnixTimestamp(resolved_ts) AS at, resolved_block AS block,"
        f" resolved_tx_index AS tx_index, resolved_pos AS pos FROM token_map FINAL WHERE resolved AND {_CHOSEN}",
        bound,
    )
    return WalletLedger(rows, {bytes(row["token"]): row for row in settled})


def _is_joined(warehouse: Warehouse, scope: Scope) -> bool:
    sql = f"SELECT count() FROM ledger FINAL WHERE {OF_WALLET} AND kind IN ('CONVERT', 'MIGRATE')"
    return bool(warehouse.query(sql, {"wallet": scope.wallet.hex()}).rows[0][0])


def _linked(warehouse: Warehouse, scope: Scope, tokens: set[str]) -> list[str]:
    """The tokens with all that basis may have come from: those that conversions or migrations join to them."""
    events = query(
        warehouse,
        "SELECT groupUniqArray(lower(hex(token))) AS joined FROM ledger FINAL"
        f" WHERE {OF_WALLET} AND kind IN ('CONVERT', 'MIGRATE')"
        " GROUP BY tx, if(block > 0, toUInt64(pos), row_key)",
        scope.bound(),
    )
    linked, groups = set(tokens), [set(row["joined"]) for row in events]
    while True:
        near = [group for group in groups if group & linked and not group <= linked]
        if not near:
            return sorted(linked)
        linked.update(*near)
