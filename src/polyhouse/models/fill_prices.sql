-- fill_prices: what the markets of scored_tokens traded at, one row per second with a trade, as the price of the first
-- outcome (that of the second is 1 - price). Inside a second the last transaction counts.
SELECT
    t.market AS market, toUInt32(p.ts) AS at,
    max((p.block, p.tx_index, p.pos, if(t.outcome = 0, p.price_e6, 1000000 - p.price_e6))).4 AS first_e6
FROM (SELECT * FROM token_prices FINAL WHERE source = 'fill' AND token IN (SELECT token FROM scored_tokens)) AS p
INNER JOIN scored_tokens AS t ON t.token = p.token
GROUP BY market, at
