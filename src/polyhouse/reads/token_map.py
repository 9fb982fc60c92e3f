"""How much of what was traded has a known market: by tokens, and by the cash of their fills."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any
from weakref import WeakKeyDictionary

from polyhouse.ports import Warehouse

_NINE_PLACES = Decimal("0.000000001")
# A fill without a market is no row of the ledger, so the source that speaks for it is chosen here, in the ledger's
# order: the best source, its earliest time, a dump with amounts before one with prices. FINAL costs four times as much
# as the count itself, so only tokens that lost a row are looked at with it.
_FIGURES = """
    SELECT
        (
            SELECT uniqExact(token) FROM
            (
                SELECT token FROM ledger
                WHERE kind IN ('BUY', 'SELL') AND label = ''
                  AND token NOT IN (SELECT token FROM ledger WHERE is_deleted = 1)
                UNION ALL
                SELECT token FROM ledger FINAL
                WHERE kind IN ('BUY', 'SELL') AND label = ''
                  AND token IN (SELECT token FROM ledger WHERE is_deleted = 1)
            )
        ) AS mapped,
        (SELECT sum(volume) FROM wallet_totals FINAL
         WHERE category = 'overall' AND `window` = 'lifetime') AS mapped_cash,
        uniqExact(token) AS unmapped,
        sum(cash) AS unmapped_cash
    FROM
    (
        SELECT token, argMin(cash, rank) AS cash
        FROM
        (
            SELECT wallet, token, tx,
                   (toUInt8(source), toUInt32(ts), source = 'dump' AND price_e12 > 0) AS rank,
                   sum(toInt128(usdc_gross) - refund_usdc) AS cash
            FROM observations FINAL
            WHERE kind IN ('BUY', 'SELL') AND label = ''
              AND (wallet, token) IN (SELECT wallet, token FROM unmapped FINAL WHERE reason = 'unknown_token')
            GROUP BY wallet, token, tx, rank
        )
        GROUP BY wallet, token, tx
    )
"""

# The figures change with a build only, and a server is asked for its status often.
_kept: WeakKeyDictionary[Warehouse, tuple[int, dict[str, Any]]] = WeakKeyDictionary()


def token_map(warehouse: Warehouse) -> dict[str, Any]:
    """The ``token_map`` part of the status document, as of the last build.

    ``traded_tokens`` have a fill; ``mapped_tokens`` of them have a known market; ``cash_share_mapped`` is the share of
    those in the volume of all fills (both roles): cut after nine places, so that 1 means everything, and null without
    any volume.
    """
    build = int(warehouse.query("SELECT max(build) FROM builds").rows[0][0])
    kept = _kept.get(warehouse)
    if kept is None or kept[0] != build:
        kept = _kept[warehouse] = (build, _computed(warehouse))
    return dict(kept[1])


def _computed(warehouse: Warehouse) -> dict[str, Any]:
    result = warehouse.query(_FIGURES)
    row = {name: int(value or 0) for name, value in zip(result.columns, result.rows[0], strict=True)}
    cash = row["mapped_cash"] + row["unmapped_cash"]
    share = None
    if cash:
        share = Decimal(row["mapped_cash"] * 10**9 // cash).scaleb(-9).quantize(_NINE_PLACES, ROUND_DOWN)
    return {
        "traded_tokens": row["mapped"] + row["unmapped"],
        "mapped_tokens": row["mapped"],
        "cash_share_mapped": share,
    }


def in_words(coverage: dict[str, Any]) -> str:
    """The same as a sentence."""
    share = coverage["cash_share_mapped"]
    tokens = f"{coverage['mapped_tokens']:,} of {coverage['traded_tokens']:,} traded tokens have a known market"
    return tokens if share is None else f"{tokens}, with {(share * 100).normalize():f} % of the cash of all fills"
