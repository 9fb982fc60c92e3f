"""``token_prices``: the price history of every token, kept from build to build (docs/prices.md).

A build reads what arrived since the one before: the engine numbers inserts. So it does not matter who is built, in
which order rows arrived, or what version they carry. When the rules change, everything is read again.

A token trades among wallets of all shards. Each shard therefore keeps ``priced_fills``, of everybody, for the tokens
that it owns, makes their prices, and copies those of the others: ``token_prices`` is the same on every shard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from polyhouse.models.build import Build, model_sql
from polyhouse.models.gather import copy_of_others, insert_of_all, rows_of_all

FILLS, POINTS = "observations", "price_points"
_RULES = ("priced_fills", "token_prices", "point_prices", "token_days")
# Transactions of all prices are looked at, mostly for a few: their numbers alone at a fifth of the cost of pairs.
_CHANGED = (
    "tx_key IN (SELECT tx_key FROM changed_prices) AND (token, tx_key) IN (SELECT token, tx_key FROM changed_prices)"
)
_POINTED = "token IN (SELECT token FROM pointed_tokens)"
_COMPLETE = "(SELECT max(version) FROM price_builds)"
"""Up to which version the history is complete; 0 while it is made anew."""
_ANEW = 4
"""Above one row in so many that arrived, everything is read again: cheaper than looking up what each one changes."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """Up to which insert the history follows its sources, and by which rules."""

    rules: str
    fills: int
    points: int

    def is_continued_by(self, newer: _Reach) -> bool:
        return self.rules == newer.rules and self.fills <= newer.fills and self.points <= newer.points


def keep_prices(run: Build) -> None:
    """Bring the price history to the rows that are stored now; nothing is written if none arrived and none went."""
    known, now = _known(run), _reach(run)
    is_still = known == now and not run.warehouse.query("SELECT count() FROM price_changes").rows[0][0]
    if all(run.peers.share("price history is still", is_still)):
        return
    is_due = known is None or not known.is_continued_by(now) or _arrived(run, known, now) * _ANEW > _stored(run)
    of_all = run.peers.share("price history", (is_due, known, now))
    if any(due for due, _, _ in of_all):
        _make_anew(run, [(0, reach.fills) for _, _, reach in of_all])
    else:
        assert known is not None
        _catch_up(run, known, now, [(before.fills, reach.fills) for _, before, reach in of_all])
    run.truncate("price_changes")
    run.warehouse.command(
        "INSERT INTO price_builds VALUES ({version:UInt64}, {rules:String}, {fills:UInt64}, {points:UInt64})",
        {"version": run.version, "rules": now.rules, "fills": now.fills, "points": now.points},
    )


def _known(run: Build) -> _Reach | None:
    rows = run.warehouse.query("SELECT rules, fills_to, points_to FROM price_builds ORDER BY version DESC LIMIT 1").rows
    if not rows:
        return None
    rules, fills, points = rows[0]
    return _Reach(rules, max(fills - run.peers.late_inserts, 0), max(points - run.peers.late_inserts, 0))


def _reach(run: Build) -> _Reach:
    rules = "".join(model_sql(model, "") for model in _RULES)
    if not run.peers.is_alone:
        rules += run.peers.owned()
    digest = hashlib.sha256(rules.encode()).hexdigest()[:16]
    points = run.warehouse.query(f"SELECT max(_block_number) FROM {POINTS}").rows[0][0]
    return _Reach(digest, run.rows_to, int(points))


def _since(low: int, high: int) -> str:
    """Condition on rows of a source: inserted after one and up to another insert."""
    return f"_block_number > {low} AND _block_number <= {high}"


def _arrived(run: Build, known: _Reach, now: _Reach) -> int:
    where = _since(known.fills, now.fills)
    return int(run.warehouse.query(f"SELECT count() FROM {FILLS} WHERE {where}").rows[0][0])


def _stored(run: Build) -> int:
    return int(run.warehouse.query("SELECT count() FROM priced_fills").rows[0][0])


def _fills(run: Build, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The SELECT, for each shard, of the fills of the tokens that this one owns, inserted there in a span."""
    return [run.sql("priced_fills", f"{_since(low, high)} AND {run.peers.owned()}") for low, high in spans]


def _make_anew(run: Build, spans: Sequence[tuple[int, int]]) -> None:
    """Readers see the old history until the new one is complete; after a kill it is made anew again."""
    run.truncate("price_builds", "priced_fills")
    run.write_beside("token_prices", "token_days")
    insert_of_all(run, "priced_fills", _fills(run, spans))
    run.insert("token_prices", "1")
    run.insert_rows(_of_history(run, "point_prices", run.peers.owned(), "token_prices__next"), "token_prices__next")
    copy_of_others(run, "token_prices", _COMPLETE)
    run.insert_rows(_of_history(run, "token_days", "1", "token_prices__next"), "token_days__next")
    run.put_in_place("token_prices", "token_days")
    run.drop_beside("token_prices", "token_days")


def _catch_up(run: Build, known: _Reach, now: _Reach, spans: Sequence[tuple[int, int]]) -> None:
    arrived = rows_of_all(run, "arrived_fills", _fills(run, spans))
    run.copy_rows(f"SELECT * FROM {arrived}", "priced_fills")
    run.stage_rows(
        "changed_prices",
        f"SELECT DISTINCT token, tx_key FROM {arrived} UNION DISTINCT SELECT token, tx_key FROM price_changes",
    )
    run.stage_rows(
        "pointed_tokens",
        f"SELECT DISTINCT token FROM {POINTS} WHERE {run.peers.owned()} AND ({_since(known.points, now.points)}"
        f" OR token IN (SELECT token FROM changed_prices))",
    )
    run.insert("token_prices", _CHANGED)
    _bury(run, f"{_CHANGED} AND source = 'fill'")
    run.insert_rows(_of_history(run, "point_prices", _POINTED, "token_prices"), "token_prices")
    _bury(run, f"source = 'point' AND {_POINTED}")
    copy_of_others(run, "token_prices", _COMPLETE)
    _catch_up_days(run)


def _catch_up_days(run: Build) -> None:
    """Find the last price of every day anew on which a price came or went, also by a build that was killed."""
    run.stage_rows(
        "changed_days",
        f"SELECT DISTINCT token, toDate(ts) AS day FROM token_prices WHERE source = 'fill' AND version > {_COMPLETE}",
    )
    changed = "token IN (SELECT token FROM changed_days) AND (token, {}) IN (SELECT token, day FROM changed_days)"
    since = "ts >= (SELECT toDateTime(min(day), 'UTC') FROM changed_days)"
    run.insert_rows(
        _of_history(run, "token_days", f"{since} AND {changed.format('toDate(ts)')}", "token_prices"), "token_days"
    )
    run.warehouse.command(
        f"INSERT INTO token_days (token, day, version, is_deleted) SELECT token, day, {run.version}, 1"
        f" FROM token_days FINAL PREWHERE {changed.format('day')} WHERE version < {run.version}"
    )


def _of_history(run: Build, model: str, chosen: str, history: str) -> str:
    """What a model file selects from the price history, which stands in one table or the other."""
    return run.sql(model, chosen).replace("/*history*/", history)


def _bury(run: Build, where: str) -> None:
    """Tombstones for prices that were not found again; ``where`` asks for columns of the key."""
    run.warehouse.command(
        f"INSERT INTO token_prices SELECT p.* REPLACE ({run.version} AS version, 1 AS is_deleted)"
        f" FROM token_prices AS p FINAL PREWHERE {where} WHERE p.version < {run.version}"
    )
