"""Trades as rows of ``priced_trades``, and what the relations of it come to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple
from hashlib import sha256
from typing import Any

import pyarrow as pa
from bet_rows import AS_OF, staged_metrics
from plain_bets import DAY, same
from plain_trades import LAGS, NAMES, Trade

from polyhouse.metrics.catalogue import METRIC_WINDOWS, computed
from polyhouse.metrics.metric import Relation
from polyhouse.models.build import model_sql
from polyhouse.ports import Warehouse

ROLES = {"": 0, "TAKER": 1, "MAKER": 2, "DIRECT": 3}
Key = tuple[str, str, str]
Plain = Mapping[str, Callable[[Sequence[Trade], int, int], Any]]


def trade(number: int, *, day: float = 1, wallet: int = 0xA1, **changes: Any) -> Trade:
    """A trade so many days before the end of all windows, in a token of its own if none is named."""
    standing = 500_000 if "close_e6" in changes else None  # who knows the close knows the prices before it
    after = dict.fromkeys(LAGS, standing) | changes.pop("after", {})
    token = str(changes.pop("token", number + 1))
    at = changes.pop("at", AS_OF - round(day * DAY))
    return Trade("0x" + bytes([wallet]).hex() * 20, token, at, str(number), after=after, **changes)


def stage(warehouse: Warehouse, trades: Iterable[Trade]) -> None:
    """Put trades where the build would put them, in the order given."""
    warehouse.command("TRUNCATE TABLE priced_trades")
    rows = []
    for one in trades:
        row = dict(zip(NAMES, (getattr(one, name) for name in NAMES), strict=True))
        row |= {f"after_{lag}_e6": one.after[lag] for lag in LAGS}
        row |= {
            "wallet": bytes.fromhex(one.wallet[2:]), "token": int(one.token).to_bytes(32, "big"),
            "role": ROLES[one.role], "tx_key": int.from_bytes(sha256(repr(astuple(one)).encode()).digest()[:8], "big"),
            "version": 1, "is_deleted": 0,
        }  # fmt: skip
        rows.append(row)
    described = warehouse.query("SELECT name, type FROM system.columns WHERE table = 'priced_trades'").rows
    types = {name: _TYPES.get(str(kind).replace("Nullable(", "").rstrip(")")) for name, kind in described}
    types |= {"wallet": pa.binary(20), "token": pa.binary(32), "at": pa.uint32(), "role": pa.int8()}
    columns = {name: pa.array([row[name] for row in rows], type=types[name] or pa.string()) for name in types}
    warehouse.insert_arrow("priced_trades", pa.table(columns))


_TYPES = {
    "Int64": pa.int64(), "UInt32": pa.uint32(), "UInt64": pa.uint64(), "UInt8": pa.uint8(), "Bool": pa.bool_(),
}  # fmt: skip


def trades_of_store(warehouse: Warehouse) -> list[Trade]:
    """What the build made of them, by ``by_place``; without the transactions."""
    names = [*NAMES, *(f"after_{lag}_e6" for lag in LAGS)]
    chosen = ", ".join("toUnixTimestamp(at) AS at" if name == "at" else name for name in names)
    found = []
    for values in warehouse.query(f"SELECT {chosen} FROM priced_trades FINAL").rows:
        row = dict(zip(names, values, strict=True))
        after = {lag: row.pop(f"after_{lag}_e6") for lag in LAGS}
        token = str(int.from_bytes(bytes(row.pop("token")), "big"))
        found.append(Trade(wallet="0x" + bytes(row.pop("wallet")).hex(), token=token, after=after, **row))
    return sorted(found, key=by_place)


def by_place(trade: Trade) -> tuple[Any, ...]:
    return trade.wallet, trade.token, trade.at, trade.is_sale, trade.shares, trade.cash, trade.role


def measured(
    warehouse: Warehouse, relation: Relation, as_of: int = AS_OF, *, threads: int = 2
) -> dict[Key, dict[str, Any]]:
    """What the model file and the generated SELECT of a relation make of ``priced_trades``."""
    params = {f"b_{name}": as_of - days * DAY for name, days in METRIC_WINDOWS.items() if days} | {"as_of": as_of}
    warehouse.command(f"CREATE TABLE {relation.name} ENGINE = Memory AS {model_sql(relation.name, '1')}")
    found = staged_metrics(warehouse, relation, params, threads)
    warehouse.command(f"DROP TABLE {relation.name}")
    return {("0x" + wallet.hex(), scope, window): row for (wallet, scope, window), row in found.items()}


def expected(trades: Iterable[Trade], relation: str, plain: Plain, as_of: int) -> dict[Key, dict[str, Any]]:
    """The same by the plain calculation."""
    groups: defaultdict[Key, list[Trade]] = defaultdict(list)
    for one in trades:
        for name, days in METRIC_WINDOWS.items():
            if not days or one.at > as_of - days * DAY:
                for scope in ("overall", one.category):
                    groups[one.wallet, scope, name].append(one)
    minima = {metric.name: metric.minimum_sample for metric in computed(relation) if not metric.of_metrics}
    return {
        key: {f"{relation}_sample": len(members)}
        | {
            name: plain[name](members, as_of, METRIC_WINDOWS[key[2]]) if len(members) >= least else None
            for name, least in minima.items()
        }
        for key, members in groups.items()
    }


def differences(stored: Mapping[Key, Mapping[str, Any]], wanted: Mapping[Key, Mapping[str, Any]]) -> list[str]:
    """Where both disagree, in words."""
    found = [f"only in one: {key}" for key in stored.keys() ^ wanted.keys()]
    for key in stored.keys() & wanted.keys():
        found += [
            f"{key} {name}: {stored[key][name]!r}, plainly {value!r}"
            for name, value in wanted[key].items()
            if not same(stored[key][name], value)
        ]
    return found
