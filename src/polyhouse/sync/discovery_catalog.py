"""What discovery reads from the warehouse, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polyhouse.ports import Warehouse
from polyhouse.sync.catalog import CHUNK, MarketRef, slices

_ACTIVE = """
SELECT condition, max(market_id) AS number FROM markets_current WHERE condition != ''
GROUP BY condition HAVING NOT max(closed)
"""
_IN_ORDER = "SETTINGS optimize_aggregation_in_order = 1"
_GIVEN = """(
    SELECT toFixedString(unhex(substring({ids:String}, number * 40 + 1, 40)), 20) FROM numbers({count:UInt64}))
"""


def active_count(warehouse: Warehouse) -> int:
    """Markets that no source calls closed."""
    return int(warehouse.query(f"SELECT count() FROM ({_ACTIVE})").rows[0][0])


def active_chunks(warehouse: Warehouse, *, chunk: int = CHUNK) -> Iterator[list[MarketRef]]:
    """Those markets, ordered by (market number, condition), in chunks."""
    number, condition = -1, b""
    while True:
        rows = warehouse.query(
            f"""
            SELECT condition, number FROM ({_ACTIVE})
            WHERE number > {{number:Int64}} OR (number = {{number:Int64}} AND condition > unhex({{after:String}}))
            ORDER BY number, condition LIMIT {{chunk:UInt32}} {_IN_ORDER}
            """,
            {"number": number, "after": condition.hex(), "chunk": chunk},
        ).rows
        if rows:
            yield [MarketRef(int(row[1]), bytes(row[0])) for row in rows]
        if len(rows) < chunk:
            return
        number, condition = int(rows[-1][1]), bytes(rows[-1][0])


def ledger_slices(warehouse: Warehouse) -> list[tuple[bytes, bytes]]:
    """Ranges of addresses that cut the ledger into even parts."""
    return slices(int(warehouse.query("SELECT count() FROM observations").rows[0][0]), 20)


def ledger_wallets(warehouse: Warehouse, low: bytes, high: bytes) -> list[bytes]:
    """Wallets of one range that any observation speaks of."""
    rows = warehouse.query(
        """
        SELECT DISTINCT wallet FROM observations
        WHERE wallet BETWEEN unhex({low:String}) AND unhex({high:String}) ORDER BY wallet
        """,
        {"low": low.hex(), "high": high.hex()},
    ).rows
    return [bytes(row[0]) for row in rows]


def traded(warehouse: Warehouse, wallets: Sequence[bytes]) -> set[bytes]:
    """Those of the addresses that any observation speaks of."""
    rows = warehouse.query(f"SELECT DISTINCT wallet FROM observations WHERE wallet IN {_GIVEN}", _given(wallets)).rows
    return {bytes(row[0]) for row in rows}


def links_of(warehouse: Warehouse, owners: Sequence[bytes]) -> set[tuple[bytes, bytes, str, str]]:
    """(owner, wallet, kind, source) of the links of these owners."""
    rows = warehouse.query(
        f"SELECT DISTINCT owner, wallet, kind, source FROM wallet_links WHERE owner IN {_GIVEN}", _given(owners)
    ).rows
    return {(bytes(row[0]), bytes(row[1]), str(row[2]), str(row[3])) for row in rows}


def owner_chunks(warehouse: Warehouse, *, chunk: int = 5_000) -> Iterator[list[tuple[bytes, str]]]:
    """(signer, source) of all signers that are known, in chunks."""
    after, source = "", ""
    while True:
        rows = warehouse.query(
            """
            SELECT DISTINCT owner, source FROM wallet_links
            WHERE kind = 'eoa' AND ({after:String} = '' OR (owner, source) > (unhex({after:String}), {source:String}))
            ORDER BY owner, source LIMIT {chunk:UInt32}
            """,
            {"after": after, "source": source, "chunk": chunk},
        ).rows
        if rows:
            yield [(bytes(row[0]), str(row[1])) for row in rows]
        if len(rows) < chunk:
            return
        after, source = bytes(rows[-1][0]).hex(), str(rows[-1][1])


def conditions_of(warehouse: Warehouse, tokens: Sequence[bytes]) -> dict[bytes, bytes]:
    """Token → condition, for tokens that are mapped."""
    rows = warehouse.query(
        """
        SELECT token, condition FROM tokens_current
        WHERE token IN (SELECT toFixedString(unhex(arrayJoin({tokens:Array(String)})), 32))
        """,
        {"tokens": [token.hex() for token in tokens]},
    ).rows
    return {bytes(row[0]): bytes(row[1]) for row in rows}


def tokens_of(warehouse: Warehouse, conditions: Sequence[bytes]) -> dict[bytes, bytes]:
    """Token → condition, for all tokens of these conditions."""
    rows = warehouse.query(
        "SELECT token, condition FROM tokens_current WHERE hex(condition) IN {conditions:Array(String)}",
        {"conditions": [condition.hex().upper() for condition in conditions]},
    ).rows
    return {bytes(row[0]): bytes(row[1]) for row in rows}


def listed(warehouse: Warehouse, token: bytes, since: int) -> int:
    """How many holders of a token its list named since a time."""
    rows = warehouse.query(
        """
        SELECT count() FROM reported_holders_current
        WHERE token = unhex({token:String}) AND toUnixTimestamp(seen_at) >= {since:UInt32} AND shares > 0
        """,
        {"token": token.hex(), "since": since},
    ).rows
    return int(rows[0][0])


def unlisted_holders(warehouse: Warehouse, token: bytes, condition: bytes, since: int) -> int:
    """Wallets whose position in a token is published and that the token's list of holders does not name.

    A wallet that holds both outcomes is netted in that list and may rightly be missing: it does not count.
    """
    rows = warehouse.query(
        """
        WITH recent AS (
            SELECT wallet, token FROM reported_positions_current
            WHERE condition = unhex({condition:String}) AND toUnixTimestamp(seen_at) >= {since:UInt32} AND shares > 0)
        SELECT uniqExact(wallet) FROM recent
        WHERE token = unhex({token:String})
          AND wallet NOT IN (SELECT wallet FROM recent WHERE token != unhex({token:String}))
          AND wallet NOT IN (
            SELECT wallet FROM reported_holders_current
            WHERE token = unhex({token:String}) AND toUnixTimestamp(seen_at) >= {since:UInt32})
        """,
        {"token": token.hex(), "condition": condition.hex(), "since": since},
    ).rows
    return int(rows[0][0])


def _given(wallets: Sequence[bytes]) -> dict[str, object]:
    return {"ids": "".join(wallet.hex() for wallet in wallets), "count": len(wallets)}
