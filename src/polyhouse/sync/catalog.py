"""What there is to do, read from the warehouse in bounded memory: chunks by key, slices by id range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from polyhouse.ports import Warehouse

CHUNK = 20_000
_ROWS_PER_SLICE = 100_000


@dataclass(frozen=True, slots=True)
class MarketRef:
    """One condition: its market number (0 = unknown) and the time of its resolution (0 = not resolved)."""

    market_id: int
    condition: bytes
    resolved_ts: int = 0

    @property
    def label(self) -> str:
        """Short stable name: the market number, or the condition where no number is known."""
        return str(self.market_id) if self.market_id else "0x" + self.condition.hex()

    @property
    def condition_text(self) -> str:
        """The condition as upstreams spell it."""
        return "0x" + self.condition.hex()


_MARKETS = """
SELECT condition, max(market_id) AS number, max(closed) AS is_closed, max(end_ts) AS end
FROM markets_current
WHERE condition != ''
GROUP BY condition
"""

_IN_ORDER = "SETTINGS optimize_aggregation_in_order = 1"


def market_chunks(warehouse: Warehouse, *, chunk: int = CHUNK) -> Iterator[list[MarketRef]]:
    """All markets ordered by (market number, condition), in chunks, each with the time of its resolution."""
    number, condition = -1, b""
    while True:
        picked = f"""
            SELECT condition, number FROM ({_MARKETS})
            WHERE number > {{number:Int64}} OR (number = {{number:Int64}} AND condition > unhex({{after:String}}))
            ORDER BY number, condition LIMIT {{chunk:UInt32}}
        """
        params = {"number": number, "after": condition.hex(), "chunk": chunk}
        markets = warehouse.query(f"{picked} {_IN_ORDER}", params).rows
        if not markets:
            return
        resolved = warehouse.query(
            f"""
            SELECT condition, max(ts) AS ts FROM resolutions_current
            WHERE NOT provisional AND condition IN (SELECT condition FROM ({picked})) GROUP BY condition {_IN_ORDER}
            """,
            params,
        )
        times = {bytes(row[0]): int(row[1]) for row in resolved.rows}
        refs = [MarketRef(int(row[1]), bytes(row[0]), times.get(bytes(row[0]), 0)) for row in markets]
        yield refs
        if len(refs) < chunk:
            return
        number, condition = refs[-1].market_id, refs[-1].condition


def unresolved_chunks(warehouse: Warehouse, now: int, *, chunk: int = CHUNK) -> Iterator[list[str]]:
    """Conditions of markets that ended or closed and have no final payout yet, in chunks ordered by condition.

    What is resolved while the chunks are read simply does not come again.
    """
    after = ""
    while True:
        rows = warehouse.query(
            f"""
            SELECT condition FROM ({_MARKETS})
            WHERE (is_closed OR (toUnixTimestamp(end) > 0 AND toUnixTimestamp(end) <= {{now:UInt32}}))
              AND condition > unhex({{after:String}})
              AND condition NOT IN (
                SELECT condition FROM resolutions_current
                WHERE NOT provisional AND condition > unhex({{after:String}}))
            ORDER BY condition LIMIT {{chunk:UInt32}} {_IN_ORDER}
            """,
            {"now": now, "after": after, "chunk": chunk},
        ).rows
        if rows:
            yield ["0x" + bytes(row[0]).hex() for row in rows]
        if len(rows) < chunk:
            return
        after = bytes(rows[-1][0]).hex()


def unlisted_conditions(warehouse: Warehouse, *, limit: int) -> list[str]:
    """Conditions that the order book or a token lookup knows and the events walk did not bring, at most ``limit``."""
    rows = warehouse.query(
        """
        SELECT DISTINCT condition FROM (
            SELECT condition FROM markets_current WHERE source != 'gamma'
            UNION ALL SELECT condition FROM tokens_current)
        WHERE condition != '' AND condition NOT IN (SELECT condition FROM markets_current WHERE source = 'gamma')
        ORDER BY condition LIMIT {limit:UInt32}
        """,
        {"limit": limit},
    ).rows
    return ["0x" + bytes(row[0]).hex() for row in rows]


def redeemed_unresolved(warehouse: Warehouse, *, limit: int) -> list[str]:
    """Conditions that somebody redeemed, so that they are resolved, and whose payout or state is not known.

    Both come with one answer; of a run that was killed between them one may be there. At most ``limit``.
    """
    found: list[str] = []
    known = int(warehouse.query("SELECT count() FROM resolutions").rows[0][0])
    # In ranges of conditions: what is known of all markets at once would not fit a loader's memory.
    for low, high in slices(known, 32, rows_per_slice=500_000):
        rows = warehouse.query(
            """
            SELECT DISTINCT condition FROM observations
            WHERE kind = 'REDEEM' AND source != 'chain' AND condition != ''
              AND condition BETWEEN unhex({low:String}) AND unhex({high:String})
              AND (condition NOT IN (
                    SELECT condition FROM resolutions_current WHERE NOT provisional
                      AND condition BETWEEN unhex({low:String}) AND unhex({high:String}))
                OR condition NOT IN (
                    SELECT condition FROM market_states_current
                    WHERE condition BETWEEN unhex({low:String}) AND unhex({high:String})))
            ORDER BY condition LIMIT {limit:UInt32}
            """,
            {"low": low.hex(), "high": high.hex(), "limit": limit - len(found)},
        ).rows
        found += ["0x" + bytes(row[0]).hex() for row in rows]
        if len(found) >= limit:
            break
    return found


def unmapped_tokens(warehouse: Warehouse, *, limit: int) -> list[str]:
    """Tokens of observations that no source mapped to a condition, as decimals, at most ``limit``."""
    found: list[str] = []
    known = int(warehouse.query("SELECT count() FROM tokens").rows[0][0])
    for low, high in slices(known, 32, rows_per_slice=1_000_000):
        rows = warehouse.query(
            """
            SELECT DISTINCT token FROM observations_current
            WHERE token != toFixedString('', 32) AND token BETWEEN unhex({low:String}) AND unhex({high:String})
              AND source != 'chain'
              AND token NOT IN (
                SELECT token FROM tokens_current
                WHERE token BETWEEN unhex({low:String}) AND unhex({high:String}))
            ORDER BY token LIMIT {limit:UInt32}
            """,
            {"low": low.hex(), "high": high.hex(), "limit": limit - len(found)},
        ).rows
        found += [str(int.from_bytes(row[0], "big")) for row in rows]
        if len(found) >= limit:
            break
    return found


@dataclass(frozen=True, slots=True)
class Gap:
    """A wallet whose trades feed shows a transaction that its own ledger lacks.

    ``is_behind``: the transaction lies so far before the newest ledger row that reading on would not bring it, and it
    was seen after the ledger was read: the wallet must be read from the beginning. ``ts``: its second.
    """

    wallet: bytes
    is_behind: bool
    ts: int = 0


def wallets_with_gaps(warehouse: Warehouse, *, overlap_seconds: int = 600) -> Iterator[Gap]:
    """Wallets with trades that no better source confirms, slice by slice."""
    total = int(warehouse.query("SELECT count() FROM observations").rows[0][0])
    for low, high in slices(total, 20):
        rows = warehouse.query(
            """
            SELECT wallet, min(gap_ts) AS oldest, max(gap_run) AS seen_run, max(ledger_ts) AS newest,
                   max(ledger_run) AS read_run
            FROM (
                SELECT wallet,
                       countIf(source IN ('activity', 'chain')) AS better,
                       if(better = 0, toUnixTimestamp(max(ts)), 4294967295) AS gap_ts,
                       if(better = 0, max(run), 0) AS gap_run,
                       toUnixTimestamp(maxIf(ts, source = 'activity')) AS ledger_ts,
                       maxIf(run, source = 'activity') AS ledger_run
                FROM observations -- not the _current view: a row that stands twice changes none of these figures
                WHERE source IN ('trades', 'activity', 'chain')
                  AND wallet BETWEEN unhex({low:String}) AND unhex({high:String})
                GROUP BY wallet, token, tx)
            GROUP BY wallet HAVING seen_run > 0
            ORDER BY wallet SETTINGS optimize_aggregation_in_order = 1, max_threads = 1
            """,
            {"low": low.hex(), "high": high.hex()},
        ).rows
        for wallet, oldest, seen_run, newest, read_run in rows:
            is_behind = int(oldest) < int(newest) - overlap_seconds and int(seen_run) > int(read_run)
            yield Gap(bytes(wallet), is_behind, int(oldest))


def top_wallets(warehouse: Warehouse, count: int) -> list[bytes]:
    """The wallets of the largest volume, as far as observations tell."""
    rows = warehouse.query(
        """
        SELECT wallet FROM observations_current WHERE kind IN ('BUY', 'SELL')
        GROUP BY wallet ORDER BY sum(toInt128(usdc_gross)) DESC, wallet LIMIT {count:UInt32}
        """,
        {"count": count},
    ).rows
    return [bytes(row[0]) for row in rows]


def market_count(warehouse: Warehouse) -> int:
    """Known conditions."""
    return int(warehouse.query("SELECT uniqExact(condition) FROM markets WHERE condition != ''").rows[0][0])


def markets_started_before(warehouse: Warehouse, horizon: int) -> int:
    """Conditions whose market began before ``horizon`` (Unix seconds)."""
    return int(
        warehouse.query(
            """
            SELECT uniqExact(condition) FROM markets_current
            WHERE toUnixTimestamp(start_ts) > 0 AND toUnixTimestamp(start_ts) < {horizon:UInt32}
            """,
            {"horizon": max(0, horizon)},
        ).rows[0][0]
    )


def find_markets(warehouse: Warehouse, wanted: Sequence[str]) -> list[MarketRef]:
    """Markets by number or by 0x… condition, in order of (number, condition); unknown ones are left out."""
    numbers = [int(text) for text in wanted if text.isdigit()]
    conditions = [text.removeprefix("0x") for text in wanted if text.startswith("0x")]
    rows = warehouse.query(
        f"""
        SELECT condition, number FROM ({_MARKETS})
        WHERE (number > 0 AND number IN {{numbers:Array(UInt64)}}) OR hex(condition) IN {{conditions:Array(String)}}
        ORDER BY number, condition
        """,
        {"numbers": numbers, "conditions": [text.upper() for text in conditions]},
    ).rows
    return [MarketRef(int(row[1]), bytes(row[0])) for row in rows]


_GIVEN_WALLETS = """(
    SELECT toFixedString(unhex(substring({ids:String}, number * 40 + 1, 40)), 20) FROM numbers({count:UInt64}))
"""


def _given(wallets: Sequence[bytes]) -> dict[str, object]:
    return {"ids": "".join(wallet.hex() for wallet in wallets), "count": len(wallets)}


def row_count(warehouse: Warehouse, wallets: Sequence[bytes]) -> int:
    """Observations of these wallets (of all, if none are given): what a dry run estimates pages from."""
    if not wallets:
        return int(warehouse.query("SELECT count() FROM observations").rows[0][0])
    sql = f"SELECT count() FROM observations WHERE wallet IN {_GIVEN_WALLETS}"
    return int(warehouse.query(sql, _given(wallets)).rows[0][0])


def fill_figures(warehouse: Warehouse, wallets: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
    """Wallet → (fills in its own ledger, time of the newest one); wallets without fills are left out."""
    rows = warehouse.query(
        f"""
        SELECT wallet, uniqExact(token, ts, tx, row_key) AS fills, toUnixTimestamp(max(ts)) AS newest
        FROM observations -- counting keys costs a fraction of the memory that merging all parts on read does
        WHERE wallet IN {_GIVEN_WALLETS} AND source = 'activity' AND kind IN ('BUY', 'SELL') GROUP BY wallet
        SETTINGS max_threads = 1
        """,
        _given(wallets),
    ).rows
    return {bytes(row[0]): (int(row[1]), int(row[2])) for row in rows}


def positions_not_of_run(
    warehouse: Warehouse, wallets: Sequence[bytes], run: int, gone: str
) -> list[tuple[bytes, bytes, bytes]]:
    """(wallet, token, condition) of reported positions that ``run`` did not see and that are not marked ``gone``."""
    rows = warehouse.query(
        f"""
        SELECT wallet, token, condition FROM reported_positions_current
        WHERE wallet IN {_GIVEN_WALLETS} AND run != {{run:UInt64}} AND status != {{gone:String}}
        ORDER BY wallet, token SETTINGS max_threads = 1
        """,
        {**_given(wallets), "run": run, "gone": gone},
    ).rows
    return [(bytes(row[0]), bytes(row[1]), bytes(row[2])) for row in rows]


def slices(rows: int, width: int, *, rows_per_slice: int = _ROWS_PER_SLICE) -> list[tuple[bytes, bytes]]:
    """Inclusive id ranges that cut a table of ``rows`` rows into even parts; ``width`` = bytes of the id."""
    count = min(4096, max(1, -(-rows // rows_per_slice)))
    edges = [number * 65_536 // count for number in range(count + 1)]
    rest = width - 2
    return [
        (low.to_bytes(2, "big") + bytes(rest), (high - 1).to_bytes(2, "big") + b"\xff" * rest)
        for low, high in pairwise(edges)
    ]
