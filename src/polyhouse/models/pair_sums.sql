-- pair_sums: order-free sums of every (wallet, token) of one wallet slice, now and at the start of each window.
-- `ordered` marks the pairs whose split depends on order: any disposal, transfer, conversion, or a change after a
-- redemption (accounting §3.6). Those are computed by the fold; for the others these sums are the whole truth.
SELECT
    wallet, token,
    max(kind IN ('SELL', 'MERGE', 'TRANSFER_IN', 'TRANSFER_OUT', 'MIGRATE', 'CONVERT'))
        OR (countIf(kind = 'REDEEM') > 0 AND minIf(ts, kind = 'REDEEM') <= maxIf(ts, kind != 'REDEEM')) AS ordered,
    sum(toInt128(ds)) AS net_shares,
    sumIf(toInt128(du), kind != 'REDEEM') AS net_cash,
    sumIf(toInt128(ds), ds > 0) AS bought,
    -sumIf(toInt128(du), kind IN ('BUY', 'SPLIT')) AS bought_cost,
    -sumIf(toInt128(du), kind IN ('BUY', 'SPLIT') AND ds = 0) AS lost_at_once,
    sum(toInt128(fee)) AS fees,
    sumIf(toInt128(du), kind = 'REDEEM') AS redeemed_cash,
    maxIf(amount = -1, kind = 'REDEEM') AS redeemed_all,
    sumIf(amount, kind = 'REDEEM' AND amount > 0) AS redeemed_shares,
    min(ts) AS first_ts, max(ts) AS last_ts,
    maxIf(ts, kind != 'REDEEM') AS changed_ts,
    maxIf(ts, ds = 0 AND kind = 'BUY') AS lost_ts,
    sumIf(ds, ts <= {b_1d:UInt32}) AS shares_1d, sumIf(du, kind != 'REDEEM' AND ts <= {b_1d:UInt32}) AS cash_1d,
    sumIf(ds, ts <= {b_7d:UInt32}) AS shares_7d, sumIf(du, kind != 'REDEEM' AND ts <= {b_7d:UInt32}) AS cash_7d,
    sumIf(ds, ts <= {b_30d:UInt32}) AS shares_30d, sumIf(du, kind != 'REDEEM' AND ts <= {b_30d:UInt32}) AS cash_30d,
    sumIf(ds, ts <= {b_90d:UInt32}) AS shares_90d, sumIf(du, kind != 'REDEEM' AND ts <= {b_90d:UInt32}) AS cash_90d,
    sumIf(ds, ts <= {b_180d:UInt32}) AS shares_180d, sumIf(du, kind != 'REDEEM' AND ts <= {b_180d:UInt32}) AS cash_180d
FROM ledger FINAL
WHERE token != toFixedString('', 32) AND /*wallets*/
GROUP BY wallet, token
