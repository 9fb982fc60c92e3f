-- entries: purchases of wallets (docs/entries.md), the rows of metrics about prices. A purchase is what a wallet bought of one
-- token in one transaction, before the outcome was known; it belongs to the window of its time. Prices in micro-USDC a
-- share: `price` includes fees, `quote` does not. The gains on the close look ahead: they are what a copier would have left.
SELECT
    wallet, toString(t.category) AS category, toString(t.kind) AS kind, toUInt32(t.at) AS at, outcome,
    shares, cash, fee,
    toInt64(intDiv(2 * toInt128(cash) * 1000000 + shares, 2 * toInt128(shares))) AS price,
    toInt64(intDiv(2 * toInt128(cash - fee) * 1000000 + shares, 2 * toInt128(shares))) AS quote,
    least(intDiv(price, 100000), 9) AS bin,
    earliness_e6 IS NOT NULL AS has_life, ifNull(earliness_e6, 0) AS earliness,
    day_before_e6 IS NOT NULL AS has_reference, ifNull(day_before_e6, 0) AS reference,
    resolved_at > 0 AS is_resolved,
    ifNull(payout_e6, 0) AS payout,
    intDiv(shares, 1000000) * payout + intDiv(shares % 1000000 * payout, 1000000) AS worth, -- in products of 64 bits
    -- prices at the ends of what can be known: a logarithm of 0 has no value
    least(greatest(price / 1000000, 0.001), 0.999) AS chance,
    toInt64(round(-1e9 * (payout / 1000000 * log(chance) + (1 - payout / 1000000) * log(1 - chance)))) AS log_loss_e9,
    close_e6 IS NOT NULL AS has_close, ifNull(close_e6, 0) AS close,
    has_close AND toUInt32(t.at) + 30 < closes_at AS has_30s, ifNull(after_30s_e6, 0) AS after_30s,
    has_close AND toUInt32(t.at) + 120 < closes_at AS has_2m, ifNull(after_2m_e6, 0) AS after_2m,
    has_close AND toUInt32(t.at) + 300 < closes_at AS has_5m, ifNull(after_5m_e6, 0) AS after_5m,
    -- what is left to gain on the close at each moment of the half-life: nothing after it
    if(has_close, close - quote, 0) AS left_0,
    if(has_30s, close - after_30s, 0) AS left_30s,
    if(has_2m, close - after_2m, 0) AS left_2m,
    if(has_5m, close - after_5m, 0) AS left_5m,
    if(has_close AND toUInt32(t.at) + 3600 < closes_at, close - ifNull(after_1h_e6, 0), 0) AS left_1h,
    if(has_close AND toUInt32(t.at) + 21600 < closes_at, close - ifNull(after_6h_e6, 0), 0) AS left_6h,
    if(has_close AND toUInt32(t.at) + 86400 < closes_at, close - ifNull(after_1d_e6, 0), 0) AS left_1d /*named: , token, tx_key*/
FROM priced_trades AS t FINAL
WHERE NOT is_sale AND (resolved_at = 0 OR toUInt32(t.at) < resolved_at) AND /*wallets*/
