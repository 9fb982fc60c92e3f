-- fill_prices: what the markets of scored_tokens traded at, one row per second with a trade, as the price of the first
-- outcome (that of the second is 1 - price). Inside a second the last transaction counts.
SELECT market, at, max((place, price_e6)).2 AS first_e6
FROM
(
    SELECT
        t.market AS market, f.place AS place, toUInt32(bitShiftRight(f.place, 80)) AS at,
        if(t.outcome = 0, f.level, 1000000 - f.level) AS price_e6
    FROM (/*trade_prices: token IN (SELECT token FROM scored_tokens)*/) AS f
    INNER JOIN scored_tokens AS t ON t.token = f.token
)
GROUP BY market, at
