-- fills: trades of wallets (docs/entries.md), purchases and sales, one row per wallet, token and transaction; the rows of
-- metrics about roles, costs and times of trading. `side` is 1 for a purchase and -1 for a sale; `quote` is the price before
-- fees, in micro-USDC a share. `gap`: seconds since the wallet last traded in an earlier second, whatever the category;
-- -1 = never.
SELECT
    wallet, toString(t.category) AS category, toUInt32(t.at) AS at, toInt64(if(is_sale, -1, 1)) AS side,
    toString(t.role) AS role, toInt64(t.fills) AS fills, shares, volume,
    cityHash64(token) AS token_hash,
    toHour(t.at) AS hour, toUInt16(intDiv(toUInt32(t.at), 86400)) AS day,
    toInt64(intDiv(2 * toInt128(cash - side * fee) * 1000000 + shares, 2 * toInt128(shares))) AS quote,
    before_e6 IS NOT NULL AS has_before, ifNull(before_e6, 0) AS before,
    after_5m_e6 IS NOT NULL AS has_after, ifNull(after_5m_e6, 0) AS after_5m,
    day_open_e6 IS NOT NULL AND day_end_e6 IS NOT NULL AND (resolved_at = 0 OR toUInt32(t.at) < resolved_at) AS has_move,
    ifNull(day_end_e6, 0) - ifNull(day_open_e6, 0) AS day_move,
    max(toUInt32(t.at)) OVER earlier AS last_at,
    if(last_at = 0, -1, toInt64(toUInt32(t.at)) - last_at) AS gap /*named: , token, tx_key*/
FROM priced_trades AS t FINAL
WHERE /*wallets*/
WINDOW earlier AS (PARTITION BY wallet ORDER BY toUInt32(t.at) RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
