-- days: daily entries of wallets and their categories (docs/days.md), the rows of metrics that need a path or the capital.
-- A row belongs to a window by the beginning of its day, so that a window of N days holds N of them, today included.
-- Where a mark is unknown the equity of the row before stands, so the row changed nothing.
SELECT
    wallet, toString(category) AS category,
    toUInt32(toUnixTimestamp(toDateTime(day, 'UTC'))) AS at,
    toInt64(intDiv({as_of:UInt32}, 86400)) - toUInt16(day) AS ago,
    max(ago) OVER (PARTITION BY wallet, category) AS first_ago,
    toInt64(ifNull(d.pnl, 0)) AS change,
    at_risk_before, at_risk - at_risk_before AS risk_change, at_risk_peak,
    if(at_risk_peak > 0, intDiv(toInt128(change) * 1000000000000, at_risk_peak), 0) AS return_e12,
    worst, volume, fills
FROM wallet_days AS d FINAL
WHERE /*wallets*/
