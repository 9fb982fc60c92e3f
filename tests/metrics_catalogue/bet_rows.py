"""Bets made by hand as rows of the relation, and bets of a store from its positions."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import pyarrow as pa
from plain_bets import DAY, USD, Bet, Window, of_wallet, same
from plain_bets import PLAIN as OF_BETS
from plain_copies import PLAIN as OF_COPIES
from plain_trades import Trade

from polyhouse.metrics.bets_relation import RELATION
from polyhouse.metrics.catalogue import METRIC_WINDOWS, computed
from polyhouse.metrics.metric import Relation
from polyhouse.models import metric_evaluation, metric_tables
from polyhouse.models.metric_rows import Measured, by_place, joined
from polyhouse.models.metric_values import Windows, gather, values_of
from polyhouse.ports import Warehouse

AS_OF = 1_790_000_000
PLAIN = OF_BETS | OF_COPIES
Bets = dict[bytes, list[Bet]]


def bet(number: int, realized: float, stake: float = 10, *, day: float = 1, **changes: Any) -> Bet:
    """A bet that closed so many days before the end of all windows; amounts in USDC."""
    at = AS_OF - round(day * DAY)
    opened = changes.pop("opened", at - 5 * 3_600)
    changes.setdefault("copied", (round(realized * USD),) * 3)
    return Bet(
        changes.pop("category", "sports"), number.to_bytes(32, "big"), opened, at, round(realized * USD),
        round(stake * USD), **changes,
    )  # fmt: skip


def random_bets(seed: int, count: int) -> list[Bet]:
    """Bets of every kind: on several outcomes, unresolved, free, flat, at the same second, in all windows."""
    dice = random.Random(seed)
    bets = []
    for number in range(count):
        at = AS_OF - dice.choice([dice.randrange(200 * DAY), dice.randrange(40) * DAY])
        opened = at - dice.choice([0, dice.randrange(3_600), dice.randrange(30 * DAY)])
        stake = dice.choice([0, dice.randrange(1, 10 * USD), dice.randrange(1, 9_000 * USD)])
        realized = dice.choice([-stake, dice.randrange(-9_999, 9_999), round(stake * dice.uniform(-1, 2)) + 1])
        resolved = dice.choice([0, at, at + dice.randrange(9 * DAY), opened - 1])
        shares = stake + dice.randrange(1, 9 * USD)
        priced = bool(stake and resolved > opened and dice.random() < 0.7)
        payout = dice.choice([Fraction(0), Fraction(1), Fraction(1, 2)])
        bets.append(
            Bet(
                dice.choice(["sports", "crypto", "other"]), number.to_bytes(32, "big"), opened, at, realized, stake,
                dice.choice([0, dice.randrange(USD)]), resolved,
                (shares, stake, int(shares * payout)) if priced else None,
                tuple(dice.choice([Fraction(0), Fraction(1), Fraction(1, 3)]) for _ in range(dice.randrange(3))),
                tuple(realized - dice.randrange(-USD, 2 * USD) for _ in range(3)),
            )
        )  # fmt: skip
    return bets


def stage(warehouse: Warehouse, wallets: Mapping[bytes, Iterable[Bet]]) -> None:
    """Put bets where the model file would put them, in the order given."""
    warehouse.command("DROP TABLE IF EXISTS bets")
    warehouse.command(
        "CREATE TABLE bets (wallet FixedString(20), category String, at UInt32, opened UInt32, realized Int64,"
        " stake Int64, fees Int64, copied_30s Int64, copied_2m Int64, copied_5m Int64, resolved_at UInt32,"
        " entry_shares Int64, entry_cost Int64, entry_payout Int64,"
        " held_sides UInt32, held_payout_e9 Int64, since UInt32, is_early Bool,"
        " close_place UInt32, open_place UInt32) ENGINE = Memory"
    )
    rows = []
    for wallet, given in wallets.items():
        bets = of_wallet(list(given))
        close = {id(b): n for n, b in enumerate(sorted(bets, key=lambda b: (b.at, b.unit)), 1)}
        start = {id(b): n for n, b in enumerate(sorted(bets, key=lambda b: (b.opened, b.unit)), 1)}
        rows += [
            {
                "wallet": wallet, "category": b.category, "at": b.at, "opened": b.opened, "realized": b.realized,
                "stake": b.stake, "fees": b.fees, "resolved_at": b.resolved_at,
                **dict(zip(("entry_shares", "entry_cost", "entry_payout"), b.entry or (0, 0, 0), strict=True)),
                **dict(zip(("copied_30s", "copied_2m", "copied_5m"), b.copied, strict=True)),
                "held_sides": len(b.payouts), "held_payout_e9": sum(int(p * 10**9) for p in b.payouts),
                "since": b.since, "is_early": b.resolved_at - b.opened >= b.middle_lead,
                "close_place": close[id(b)], "open_place": start[id(b)],
            }
            for b in bets
        ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    warehouse.insert_arrow("bets", table.set_column(0, "wallet", table.column("wallet").cast(pa.binary(20))))


def measured(
    warehouse: Warehouse, as_of: int = AS_OF, *, threads: int = 2
) -> dict[tuple[bytes, str, str], dict[str, Any]]:
    """What the generated SELECT makes of the staged rows, by wallet, category and window."""
    params = {f"b_{name}": as_of - days * DAY for name, days in METRIC_WINDOWS.items() if days} | {"as_of": as_of}
    return staged_metrics(warehouse, RELATION, params, threads)


def staged_metrics(
    warehouse: Warehouse, relation: Relation, params: Mapping[str, int], threads: int
) -> dict[tuple[bytes, str, str], dict[str, Any]]:
    """The same of any relation whose rows are staged."""

    def used(sql: str) -> dict[str, int]:
        return {name: value for name, value in params.items() if f"{{{name}:" in sql}

    plan = metric_tables.plan_of(relation)
    settings = f"SETTINGS max_threads = {threads}"
    rows = f"{plan.rows_sql.replace('/*rows*/', relation.name)} {settings}"
    gathered = gather(warehouse.query_columns(rows, used(rows)))
    if gathered is None:
        return {}
    values = values_of(
        gathered, plan.calls, Windows.of(params), has_overall=relation.has_overall, by_window=plan.by_window
    )
    staged, table = metric_evaluation.staged_values(relation, values), metric_evaluation.values_table(relation)
    warehouse.command(f"DROP TABLE IF EXISTS {table}")
    warehouse.command(f"CREATE TABLE {table} ({metric_evaluation.declared(staged)}) ENGINE = Memory")
    warehouse.insert_arrow(table, staged)
    sql = metric_evaluation.measured_sql(relation, staged)
    evaluated = by_place(warehouse.query_columns(f"{sql} {settings}", used(sql)))
    found = joined({relation.name: Measured(values.select(metric_evaluation.KEYS), evaluated)})
    names = [relation.sample_column, *(metric.name for metric in computed(relation.name) if not metric.of_metrics)]
    rows = pa.table(dict(found.keys) | {name: found.column(name) for name in names}).to_pylist()
    return {(row["wallet"], row["category"].decode(), row["window"].decode()): _decoded(row) for row in rows}


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.decode() if isinstance(value, bytes) and name != "wallet" else value
            for name, value in row.items()}  # fmt: skip


def keyed(result: Any) -> dict[tuple[bytes, str, str], dict[str, Any]]:
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    return {
        (bytes(row["wallet"]), row.get("category") or row.get("scope", "overall"), row["window"]): row for row in rows
    }


def bets_in_windows(wallets: Mapping[bytes, Iterable[Bet]], as_of: int) -> dict[tuple[bytes, str, str], list[Bet]]:
    """The bets of every wallet, category (and ``overall``) and window."""
    groups: defaultdict[tuple[bytes, str, str], list[Bet]] = defaultdict(list)
    for wallet, given in wallets.items():
        for b in of_wallet(list(given)):
            for name, days in METRIC_WINDOWS.items():
                if Window(as_of, days).holds(b):
                    for scope in ("overall", b.category):
                        groups[wallet, scope, name].append(b)
    return dict(groups)


def expected(wallets: Mapping[bytes, Iterable[Bet]], as_of: int) -> dict[tuple[bytes, str, str], dict[str, Any]]:
    """The same by the plain calculation."""
    minima = {metric.name: metric.minimum_sample for metric in computed("bets") if not metric.of_metrics}
    return {
        key: {"bets_sample": len(bets)}
        | {
            name: PLAIN[name](bets, Window(as_of, METRIC_WINDOWS[key[2]])) if len(bets) >= least else None
            for name, least in minima.items()
        }
        for key, bets in bets_in_windows(wallets, as_of).items()
    }


def differences(
    stored: Mapping[tuple[bytes, str, str], Mapping[str, Any]],
    wanted: Mapping[tuple[bytes, str, str], Mapping[str, Any]],
) -> list[str]:
    """Where both disagree, in words."""
    found = [f"only in one: {key}" for key in stored.keys() ^ wanted.keys()]
    for key in stored.keys() & wanted.keys():
        found += [
            f"{key[1]} {key[2]} {name}: {stored[key][name]!r}, plainly {value!r}"
            for name, value in wanted[key].items()
            if not same(stored[key][name], value)
        ]
    return found


def bets_of_store(warehouse: Warehouse, trades: Iterable[Trade] = ()) -> Bets:
    """The bets of all wallets, worked out from the published positions and resolutions, and from their trades."""
    late = _late(trades)
    tokens = {
        bytes(token): (numerator, denominator, ts)
        for token, numerator, denominator, ts in warehouse.query(
            "SELECT token, numerator, denominator, toUnixTimestamp(resolved_ts) FROM token_map FINAL WHERE resolved"
        ).rows
    }
    result = warehouse.query(
        "SELECT wallet, token, lower(hex(unit)) AS unit_hex, lower(hex(condition)) AS condition_hex,"
        " toString(category) AS category, realized, bought_cost, bought, fees, toString(status) AS status,"
        " settled_shares, toUnixTimestamp(first_ts) AS first, toUnixTimestamp(last_ts) AS last,"
        " toUnixTimestamp(realized_ts) AS booked FROM positions FINAL"
    )
    units: defaultdict[tuple[bytes, str], list[dict[str, Any]]] = defaultdict(list)
    for values in result.rows:
        row = dict(zip(result.columns, values, strict=True))
        row["token"] = bytes(row["token"])
        if row["condition_hex"] != row["token"].hex():  # a pool's shares
            units[bytes(row["wallet"]), row["unit_hex"]].append(row)
    found: Bets = defaultdict(list)
    for (wallet, unit), rows in units.items():
        costs = [late[wallet, row["token"]] for row in rows]
        made = _bet(unit, rows, tokens, tuple(map(sum, zip(*costs, strict=True))))
        if made is not None:
            found[wallet].append(made)
    return found


def _late(trades: Iterable[Trade]) -> defaultdict[tuple[bytes, bytes], list[int]]:
    """(wallet, token) → what trading 30 seconds, 2 and 5 minutes later would have cost."""
    late: defaultdict[tuple[bytes, bytes], list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in trades:
        costs = late[bytes.fromhex(one.wallet[2:]), int(one.token).to_bytes(32, "big")]
        paid = one.cash - one.side * one.fee
        for place, lag in enumerate(("30s", "2m", "5m")):
            price = one.after[lag]
            costs[place] += 0 if price is None else one.side * (one.shares * price // USD - paid)
    return late


def _bet(
    unit: str, rows: list[dict[str, Any]], tokens: Mapping[bytes, tuple[int, int, int]], late: tuple[int, ...]
) -> Bet | None:
    realized, stake = sum(r["realized"] for r in rows), sum(r["bought_cost"] for r in rows)
    if any(r["status"] == "OPEN" for r in rows) or not (stake or realized):
        return None
    opened = min(r["first"] for r in rows)
    resolved = [tokens[r["token"]] for r in rows if r["token"] in tokens]
    resolved_at = max(ts for _, _, ts in resolved) if len(resolved) == len(rows) else 0
    entry = None
    if len(rows) == 1 and resolved_at > opened and 0 < stake < rows[0]["bought"]:
        numerator, denominator, _ = resolved[0]
        entry = (rows[0]["bought"], stake, rows[0]["bought"] * numerator // denominator)
    payouts = tuple(Fraction(*tokens[r["token"]][:2]) for r in rows if r["settled_shares"] > 0)
    at = max(r["booked"] for r in rows) or max(r["last"] for r in rows)
    return Bet(
        min(r["category"] for r in rows), bytes.fromhex(unit), opened, at, realized, stake,
        sum(r["fees"] for r in rows), resolved_at, entry, payouts, tuple(realized - cost for cost in late),
    )  # fmt: skip
