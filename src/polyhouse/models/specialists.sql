-- specialists: every (wallet, category) that is tested for being a specialist, with the sums of everybody's first bets on events
-- (category_edges; category_sums are those of all wallets) and what its closed bets came to (tested_totals). /*least*/ events,
-- /*share*/ of the stake; models/specialists.py does the test.
WITH
    sums AS
    (
        SELECT wallet, category, events, payout_e9 - price_e9 AS edge_e9, spread_e9 FROM category_edges FINAL WHERE /*whose*/
    )
SELECT
    e.wallet AS wallet, toString(e.category) AS category,
    w.first_category = e.category AS is_primary,
    toUInt32(t.closed) AS closed, e.events AS events, e.payout_e9 AS payout_e9, e.price_e9 AS price_e9,
    e.spread_e9 AS spread_e9, e.bound_e9 AS bound_e9, e.slope_e9 AS slope_e9,
    toInt64(r.events) - e.events AS rest_events, r.edge_e9 - (e.payout_e9 - e.price_e9) AS rest_edge_e9,
    r.spread_e9 - e.spread_e9 AS rest_spread_e9,
    toInt64(c.events) - e.events AS others_events, c.edge_e9 - (e.payout_e9 - e.price_e9) AS others_edge_e9,
    t.bought_cost AS staked, w.staked AS staked_all, w.closed AS closed_all,
    t.gains - t.losses_abs AS net, t.gains AS gains, t.losses_abs AS losses_abs
FROM (SELECT * FROM category_edges FINAL WHERE events >= /*least*/ AND /*whose*/) AS e
INNER JOIN (SELECT wallet, sum(events) AS events, sum(edge_e9) AS edge_e9, sum(spread_e9) AS spread_e9 FROM sums GROUP BY wallet) AS r
    ON r.wallet = e.wallet
INNER JOIN (SELECT category, sum(events) AS events, sum(edge_e9) AS edge_e9 FROM category_sums GROUP BY category) AS c
    ON c.category = e.category
INNER JOIN tested_totals AS t ON t.wallet = e.wallet AND t.category = e.category
INNER JOIN
(
    -- the category with the most closed bets; of equal ones that with the larger stake, then the first by name
    SELECT
        wallet, sumIf(bought_cost, category = 'overall') AS staked, sumIf(closed, category = 'overall') AS closed,
        tupleElement(min((category = 'overall', -toInt64(totals.closed), -bought_cost, toString(category))), 4) AS first_category
    FROM tested_totals AS totals
    GROUP BY wallet
) AS w ON w.wallet = e.wallet
WHERE toInt128(t.bought_cost) * 1000000 >= toInt128(w.staked) * /*share*/
ORDER BY category, wallet
