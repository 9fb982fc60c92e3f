-- category_rows: totals of wallets in one category and window each, with what category_totals asks of them. `overall` is the
-- whole market. /*windows*/ are those of the metrics.
SELECT
    wallet, toString(category) AS scope, toString(window) AS span,
    trades, realized, unrealized, volume, fees, gains, losses_abs,
    toUInt64(wins) + losses + flats AS closed,
    toInt256(gains) - losses_abs AS net,
    closed >= 20 AND toInt128(gains) + losses_abs >= 100000000 AS is_ranked,
    closed > 50 AND toInt256(gains) + 50000000 > 2 * (toInt256(losses_abs) + 50000000) AS is_elite,
    toFloat64(toInt256(gains) + 50000000) / toFloat64(toInt256(losses_abs) + 50000000) AS omega
FROM wallet_totals FINAL
PREWHERE window IN (/*windows*/)
WHERE /*whose*/
