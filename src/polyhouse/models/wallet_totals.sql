-- wallet_totals: per wallet × category × window; category 'overall' is the whole wallet, window 'lifetime' its whole life.
-- Windows are differences of cumulative values (accounting §3.8): realised inside the window, change of the unrealised
-- value over it, fills inside it, and the results of the units that closed inside it. untracked_cash and open_units
-- describe the wallet as it stands, in every window. Each array holds lifetime, 1d, 7d, 30d, 90d, 180d.
WITH
    arrayWithConstant(6, toInt64(0)) AS zeros,
    parts AS
    (
        -- what became of the units
        SELECT
            wallet, toString(category) AS category,
            sumForEach([realized, realized_1d, realized_7d, realized_30d, realized_90d, realized_180d]) AS realized,
            sumForEach([ifNull(u.unrealized, 0), ifNull(u.unrealized_1d, 0), ifNull(u.unrealized_7d, 0), ifNull(u.unrealized_30d, 0), ifNull(u.unrealized_90d, 0), ifNull(u.unrealized_180d, 0)]) AS marked,
            sumForEach(arrayMap(x -> toInt64(x), [u.unrealized IS NULL, u.unrealized_1d IS NULL, u.unrealized_7d IS NULL, u.unrealized_30d IS NULL, u.unrealized_90d IS NULL, u.unrealized_180d IS NULL])) AS unmarked,
            sumForEach(arrayMap(x -> toInt64(x AND result = 'WIN'), inside)) AS wins,
            sumForEach(arrayMap(x -> toInt64(x AND result = 'LOSS'), inside)) AS losses,
            sumForEach(arrayMap(x -> toInt64(x AND result = 'FLAT'), inside)) AS flats,
            sumForEach(arrayMap(x -> if(x AND NOT is_open AND u.realized > 0, u.realized, 0), inside)) AS gains,
            sumForEach(arrayMap(x -> if(x AND NOT is_open AND u.realized < 0, -u.realized, 0), inside)) AS losses_abs,
            sumForEach([bought_cost, bought_cost_1d, bought_cost_7d, bought_cost_30d, bought_cost_90d, bought_cost_180d]) AS bought_cost,
            zeros AS fees, zeros AS volume, zeros AS trades, zeros AS markets, zeros AS redeemed_cash, zeros AS income,
            sum(untracked_cash) AS untracked_cash, sum(toInt64(is_open)) AS open_units,
            toDateTime(0, 'UTC') AS first_trade_ts, toDateTime(0, 'UTC') AS last_trade_ts
        FROM (SELECT *, [true, closed_ts > toDateTime({b_1d:UInt32}, 'UTC'), closed_ts > toDateTime({b_7d:UInt32}, 'UTC'), closed_ts > toDateTime({b_30d:UInt32}, 'UTC'), closed_ts > toDateTime({b_90d:UInt32}, 'UTC'), closed_ts > toDateTime({b_180d:UInt32}, 'UTC')] AS inside FROM units FINAL WHERE /*wallets*/) AS u
        GROUP BY wallet, category

        UNION ALL
        -- what moved
        SELECT
            wallet, if(m.token = toFixedString('', 32), '', toString(t.category)) AS category,
            zeros, zeros, zeros, zeros, zeros, zeros, zeros, zeros, zeros,
            sumForEach(m.fees) AS fees,
            sumForEach(m.volume) AS volume,
            sumForEach(m.trades) AS trades,
            arrayMap(x -> toInt64(x), [uniqExactIf(t.condition, m.trades[1] > 0), uniqExactIf(t.condition, m.trades[2] > 0), uniqExactIf(t.condition, m.trades[3] > 0), uniqExactIf(t.condition, m.trades[4] > 0), uniqExactIf(t.condition, m.trades[5] > 0), uniqExactIf(t.condition, m.trades[6] > 0)]) AS markets,
            sumForEach(m.redeemed_cash) AS redeemed_cash,
            sumForEach(m.income) AS income,
            toInt64(0), toInt64(0),
            minIf(m.first_trade_ts, m.first_trade_ts > toDateTime(0, 'UTC')), max(m.last_trade_ts)
        FROM pair_sums AS m
        LEFT JOIN (SELECT token, condition, category FROM token_map FINAL) AS t ON t.token = m.token
        GROUP BY wallet, category
    )
SELECT
    wallet, category, window,
    sum(a.realized[place]) AS realized,
    if(sum(a.unmarked[place]) > 0, NULL, toNullable(sum(a.marked[place]))) AS unrealized,
    sum(a.marked[place]) AS unrealized_marked,
    toUInt32(sum(a.unmarked[place])) AS unmarked,
    sum(a.fees[place]) AS fees, sum(a.income[place]) AS income, sum(a.untracked_cash) AS untracked_cash,
    sum(a.redeemed_cash[place]) AS redeemed_cash, sum(a.volume[place]) AS volume,
    toUInt64(sum(a.trades[place])) AS trades, toUInt32(sum(a.markets[place])) AS markets,
    toUInt32(sum(a.wins[place])) AS wins, toUInt32(sum(a.losses[place])) AS losses, toUInt32(sum(a.flats[place])) AS flats,
    toUInt32(sum(a.open_units)) AS open_units,
    sum(a.gains[place]) AS gains, sum(a.losses_abs[place]) AS losses_abs, sum(a.bought_cost[place]) AS bought_cost,
    minIf(a.first_trade_ts, a.first_trade_ts > 0) AS first_trade_ts, max(a.last_trade_ts) AS last_trade_ts
FROM
(
    SELECT p.* EXCEPT (category), scope AS category
    FROM parts AS p
    ARRAY JOIN if(p.category = '', ['overall'], ['overall', p.category]) AS scope
) AS a
ARRAY JOIN [1, 2, 3, 4, 5, 6] AS place, ['lifetime', '1d', '7d', '30d', '90d', '180d'] AS window
GROUP BY wallet, category, window
