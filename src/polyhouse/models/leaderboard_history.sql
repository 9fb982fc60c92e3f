-- leaderboard_history: the first /*places*/ of every board (category and window) by omega and by PnL, of wallets with enough
-- closed bets to be ranked (accounting §4.1), values as fractions, equal ones by address, as reads/leaderboard.py ranks.
WITH
    toInt256('100000000000000000000000000000000000000') AS scale,
    ranked AS
    (
        SELECT
            wallet, toString(category) AS scope, toString(window) AS span, realized + unrealized AS pnl,
            gains + 50000000 AS gained, losses_abs + 50000000 AS lost
        FROM wallet_totals FINAL
        WHERE toUInt64(wins) + losses + flats >= 20 AND toInt128(gains) + losses_abs >= 100000000
    )
SELECT
    toDate(toDateTime({as_of:UInt32}, 'UTC'), 'UTC') AS day, scope AS category, span AS window, sort,
    toUInt32(row_number() OVER (PARTITION BY scope, span, sort ORDER BY key DESC, wallet)) AS rank, wallet, above, below,
    toDateTime({as_of:UInt32}, 'UTC') AS as_of
FROM
(
    SELECT scope, span, 'omega' AS sort, intDiv(toInt256(gained) * scale, toInt256(lost)) AS key, wallet, gained AS above, lost AS below
    FROM ranked
    UNION ALL
    SELECT scope, span, 'pnl' AS sort, toInt256(assumeNotNull(pnl)), wallet, assumeNotNull(pnl), toInt64(1000000)
    FROM ranked
    WHERE pnl IS NOT NULL
)
ORDER BY scope, span, sort, rank
LIMIT /*places*/ BY scope, span, sort
