-- pair_states of the pairs that need no order: bought, perhaps settled, perhaps redeemed (accounting §§2.4, 3.3).
WITH
    t.resolved AS settled,
    if(settled, intDiv(p.net_shares * t.numerator, greatest(t.denominator, 1)), 0) AS value,
    toUnixTimestamp(t.resolved_ts) AS settled_at
SELECT
    p.wallet AS wallet, p.token AS token, false AS ordered,
    toInt64(p.net_shares) AS held,
    toInt64(if(settled, 0, -p.net_cash - p.lost_at_once)) AS cost,
    toInt64(0) AS external_shares,
    toInt64(if(settled, p.net_cash + value, -p.lost_at_once)) AS realized,
    toInt64(p.bought) AS bought, toInt64(p.bought_cost) AS bought_cost, toInt64(p.fees) AS fees,
    toInt64(0) AS untracked_shares, toInt64(0) AS untracked_cash, toInt64(0) AS basis_out,
    if(p.redeemed_all, held, least(p.redeemed_shares, held)) AS redeemed,
    toInt64(p.redeemed_cash) AS redeemed_cash,
    toInt64(if(settled, value, 0)) AS settled_value,
    p.first_ts AS first_ts, p.last_ts AS last_ts,
    if(settled AND p.net_shares > 0, greatest(t.resolved_ts, if(p.changed_ts > t.resolved_ts, p.changed_ts, p.lost_ts)), p.lost_ts)
        AS realized_ts,
    [p.shares_1d, p.shares_7d, p.shares_30d, p.shares_90d, p.shares_180d] AS held_at,
    arrayMap((cash, start) -> if(settled AND settled_at <= start, 0, -cash), cash_at, starts) AS cost_at,
    arrayMap((shares, cash, start) ->
        if(settled AND settled_at <= start, cash + toInt64(intDiv(toInt128(shares) * t.numerator, greatest(t.denominator, 1))), 0),
        held_at, cash_at, starts) AS realized_at,
    arrayMap(cash -> -cash, cash_at) AS bought_at
FROM
(
    SELECT
        *,
        [cash_1d, cash_7d, cash_30d, cash_90d, cash_180d] AS cash_at,
        [{b_1d:UInt32}, {b_7d:UInt32}, {b_30d:UInt32}, {b_90d:UInt32}, {b_180d:UInt32}] AS starts
    FROM pair_sums
    WHERE NOT ordered AND wallet NOT IN (SELECT wallet FROM joined_wallets)
) AS p
INNER JOIN (SELECT * FROM token_map FINAL) AS t ON t.token = p.token
