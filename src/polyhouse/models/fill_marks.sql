-- fill_marks: what every token last traded at, now and at the start of each window (accounting §3.4); input of token_map.
-- Tokens that were resolved before the widest window are left out: nothing needs a mark of theirs.
WITH
    long_settled AS
    (
        SELECT t.token
        FROM tokens AS t FINAL
        INNER JOIN
        (
            SELECT condition, argMin(ts, (transform(toString(source), ['chain'], [0], 1), block, tx_index, pos, ts)) AS settled_at
            FROM resolutions FINAL
            WHERE length(numerators) = 2 AND arraySum(numerators) > 0
            GROUP BY condition
        ) AS s ON t.condition = s.condition
        WHERE s.settled_at <= toDateTime({b_180d:UInt32}, 'UTC')
    )
SELECT
    token, max(place) AS last_place, argMax(price, (place, price)) AS last_price,
    maxIf(place, at <= {b_1d:UInt32}) AS place_1d, argMaxIf(price, (place, price), at <= {b_1d:UInt32}) AS price_1d,
    maxIf(place, at <= {b_7d:UInt32}) AS place_7d, argMaxIf(price, (place, price), at <= {b_7d:UInt32}) AS price_7d,
    maxIf(place, at <= {b_30d:UInt32}) AS place_30d, argMaxIf(price, (place, price), at <= {b_30d:UInt32}) AS price_30d,
    maxIf(place, at <= {b_90d:UInt32}) AS place_90d, argMaxIf(price, (place, price), at <= {b_90d:UInt32}) AS price_90d,
    maxIf(place, at <= {b_180d:UInt32}) AS place_180d, argMaxIf(price, (place, price), at <= {b_180d:UInt32}) AS price_180d
FROM
(
    SELECT token, place, toUInt32(bitShiftRight(place, 80)) AS at, level AS price
    FROM (/*trade_prices: token NOT IN (SELECT token FROM long_settled)*/)
)
GROUP BY token
