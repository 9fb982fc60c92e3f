-- units: one row per (wallet, condition), or per neg-risk market where the wallet converted (accounting §3.5).
SELECT
    wallet, unit,
    arraySort(groupUniqArray(condition)) AS conditions,
    min(category) AS category,
    sum(realized) AS realized,
    if(countIf(p.unrealized IS NULL) > 0, NULL, sum(p.unrealized)) AS unrealized,
    countIf(p.unrealized IS NULL) AS unmarked,
    sum(cost) AS cost, sum(bought_cost) AS bought_cost, sum(fees) AS fees,
    sum(untracked_cash) AS untracked_cash, sum(redeemed_cash) AS redeemed_cash,
    max(status = 'OPEN') AS is_open,
    multiIf(is_open, '', realized >= 10000, 'WIN', realized <= -10000, 'LOSS', 'FLAT') AS result,
    if(is_open, toDateTime(0, 'UTC'), max(realized_ts)) AS closed_ts,
    min(first_ts) AS first_ts, max(last_ts) AS last_ts,
    sum(realized_1d) AS realized_1d, sum(realized_7d) AS realized_7d, sum(realized_30d) AS realized_30d,
    sum(realized_90d) AS realized_90d, sum(realized_180d) AS realized_180d,
    if(countIf(p.unrealized_1d IS NULL) > 0, NULL, sum(p.unrealized_1d)) AS unrealized_1d,
    if(countIf(p.unrealized_7d IS NULL) > 0, NULL, sum(p.unrealized_7d)) AS unrealized_7d,
    if(countIf(p.unrealized_30d IS NULL) > 0, NULL, sum(p.unrealized_30d)) AS unrealized_30d,
    if(countIf(p.unrealized_90d IS NULL) > 0, NULL, sum(p.unrealized_90d)) AS unrealized_90d,
    if(countIf(p.unrealized_180d IS NULL) > 0, NULL, sum(p.unrealized_180d)) AS unrealized_180d,
    sum(bought_cost_1d) AS bought_cost_1d, sum(bought_cost_7d) AS bought_cost_7d, sum(bought_cost_30d) AS bought_cost_30d,
    sum(bought_cost_90d) AS bought_cost_90d, sum(bought_cost_180d) AS bought_cost_180d
FROM positions AS p FINAL
WHERE /*wallets*/
GROUP BY wallet, unit
