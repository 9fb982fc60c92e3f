"""Trades and resolutions that the feed has not told, or told otherwise: kinds whose facts have a date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from polyhouse.domain.ids import format_condition
from polyhouse.feed.events import Change
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import decode, moment, money

_WALLETS = 20_000
# A better source may correct the time of a trade a little; it must not slip through the edge of the window.
_EDGE_SECONDS = 60

_TRADES = """
SELECT place, maxIf(digest, is_now) AS digest_now, maxIf(digest, NOT is_now) AS digest_told,
       max(happened) AS happened_at,
       argMax((wallet, token, tx, side, shares, cash, fee, volume, condition, outcome, category), is_now) AS facts,
       anyIf(body, NOT is_now) AS told
FROM
(
    SELECT sipHash64(l.wallet, l.token, l.tx, l.kind) AS place, true AS is_now,
           greatest(sipHash64(l.shares, l.cash, l.fee, l.volume, t.condition), 1) AS digest, l.happened AS happened,
           l.wallet AS wallet, l.token AS token, l.tx AS tx, toString(l.kind) AS side, l.shares AS shares,
           l.cash AS cash, l.fee AS fee, l.volume AS volume, t.condition AS condition, t.outcome AS outcome,
           toString(t.category) AS category, '' AS body
    FROM
    (
        SELECT wallet, token, tx, kind, abs(sum(r.ds)) AS shares, abs(sum(r.du)) AS cash, sum(r.fee) AS fee,
               sum(r.volume) AS volume, toUnixTimestamp(min(r.ts)) AS happened
        FROM ledger AS r FINAL
        WHERE kind IN ('BUY', 'SELL') AND ts > toDateTime({edge:UInt32}, 'UTC') AND /*wallets*/
        GROUP BY wallet, token, tx, kind
    ) AS l
    INNER JOIN (SELECT * FROM token_map FINAL) AS t ON t.token = l.token
    UNION ALL
    SELECT place, false, argMax(f.digest, id), toUnixTimestamp(argMax(f.ts, id)), any(wallet), toFixedString('', 32),
           toFixedString('', 32), '', 0, 0, 0, argMax(f.volume, id), argMax(f.condition, id), 0, '', argMax(f.body, id)
    FROM feed AS f
    WHERE kind = 'trade' AND ts > toDateTime({edge:UInt32}, 'UTC') AND /*wallets*/
    GROUP BY place
)
GROUP BY place
HAVING digest_now != digest_told AND happened_at > {since:UInt32}
ORDER BY happened_at, place
"""

_RESOLUTIONS = """
SELECT place, maxIf(digest, is_now) AS digest_now, maxIf(digest, NOT is_now) AS digest_told,
       max(happened) AS happened_at,
       argMax((condition, category, payouts), is_now) AS facts, anyIf(body, NOT is_now) AS told
FROM
(
    SELECT sipHash64(condition) AS place, true AS is_now,
           arraySort(groupArray((outcome, numerator, denominator))) AS payouts,
           greatest(sipHash64(payouts), 1) AS digest, toUnixTimestamp(max(resolved_ts)) AS happened, condition,
           toString(min(category)) AS category, '' AS body
    FROM token_map FINAL
    WHERE resolved AND NOT provisional AND resolved_ts > toDateTime({edge:UInt32}, 'UTC')
    GROUP BY condition
    UNION ALL
    SELECT place, false, [], argMax(f.digest, id), toUnixTimestamp(argMax(f.ts, id)), any(f.condition), '',
           argMax(f.body, id)
    FROM feed AS f
    WHERE kind = 'resolution' AND ts > toDateTime({edge:UInt32}, 'UTC')
    GROUP BY place
)
GROUP BY place
HAVING digest_now != digest_told AND happened_at > {since:UInt32}
ORDER BY happened_at, place
"""


def trade_changes(warehouse: Warehouse, wallets: Sequence[bytes] | None, since: int) -> Iterator[Change]:
    """Trades after ``since`` (Unix seconds) of these wallets (None = all): one a wallet, token, transaction, side."""
    if wallets is None:
        yield from _trades(warehouse, "1", {}, since)
        return
    for start in range(0, len(wallets), _WALLETS):
        named = {"wallets": [wallet.hex() for wallet in wallets[start : start + _WALLETS]]}
        chosen = "wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))"
        yield from _trades(warehouse, chosen, named, since)


def _trades(warehouse: Warehouse, chosen: str, named: dict[str, Any], since: int) -> Iterator[Change]:
    bound = named | {"since": since, "edge": max(since - _EDGE_SECONDS, 0)}
    for place, now, told, happened, facts, body in warehouse.query(_TRADES.replace("/*wallets*/", chosen), bound).rows:
        wallet, token, tx, side, shares, cash, fee, volume, condition, outcome, category = facts
        known = decode(body) if body else None
        shown = {
            "wallet": f"0x{bytes(wallet).hex()}", "tx": f"0x{bytes(tx).hex()}",
            "token_id": str(int.from_bytes(token, "big")), "condition_id": format_condition(condition),
            "outcome_index": outcome, "category": category.decode(), "side": side.decode(), "shares": money(shares),
            "cash": money(cash),
            "fee": money(fee), "volume": money(volume), "at": moment(happened),
        }  # fmt: skip
        yield Change(
            "trade", place, now, shown if now else known or {}, bytes(wallet), bytes(condition), happened, volume,
            is_known=told != 0,
        )  # fmt: skip


def resolution_changes(warehouse: Warehouse, since: int) -> Iterator[Change]:
    """Markets that resolved after ``since`` (Unix seconds), with what a share of each outcome paid."""
    bound = {"since": since, "edge": max(since - _EDGE_SECONDS, 0)}
    for place, now, told, happened, facts, body in warehouse.query(_RESOLUTIONS, bound).rows:
        condition, category, payouts = facts
        shown = {
            "condition_id": format_condition(condition), "category": category.decode(), "at": moment(happened),
            "payouts": [{"outcome_index": o, "numerator": str(n), "denominator": str(d)} for o, n, d in payouts],
        }  # fmt: skip
        yield Change(
            "resolution", place, now, shown if now else decode(body), condition=bytes(condition), ts=happened,
            is_known=told != 0,
        )  # fmt: skip
