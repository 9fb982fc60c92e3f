-- fill_marks: what every token last traded at, now and at the start of each window (accounting §3.4); input of token_map.
-- Tokens that were resolved before the widest window are left out: nothing needs a mark of theirs. A place is time, block
-- and log in one number; of equal places the higher price counts. Here /*wallets*/ chooses tokens.
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
    token,
    max(last).1 AS last_place, max(last).2 AS last_price,
    maxIf(last, before <= {b_1d:UInt32}).1 AS place_1d, maxIf(last, before <= {b_1d:UInt32}).2 AS price_1d,
    maxIf(last, before <= {b_7d:UInt32}).1 AS place_7d, maxIf(last, before <= {b_7d:UInt32}).2 AS price_7d,
    maxIf(last, before <= {b_30d:UInt32}).1 AS place_30d, maxIf(last, before <= {b_30d:UInt32}).2 AS price_30d,
    maxIf(last, before <= {b_90d:UInt32}).1 AS place_90d, maxIf(last, before <= {b_90d:UInt32}).2 AS price_90d,
    maxIf(last, before <= {b_180d:UInt32}).1 AS place_180d, maxIf(last, before <= {b_180d:UInt32}).2 AS price_180d
FROM
(
    SELECT
        token,
        -- the earliest of the window starts, and of now, that is not before the fill
        multiIf(ts <= {b_180d:UInt32}, {b_180d:UInt32}, ts <= {b_90d:UInt32}, {b_90d:UInt32}, ts <= {b_30d:UInt32}, {b_30d:UInt32},
                ts <= {b_7d:UInt32}, {b_7d:UInt32}, ts <= {b_1d:UInt32}, {b_1d:UInt32}, 4294967295) AS before,
        max((bitShiftLeft(toUInt128(toUInt32(ts)), 80) + bitShiftLeft(toUInt128(block), 48)
                 + bitShiftLeft(toUInt128(tx_index), 32) + pos, price_e6)) AS last
    FROM token_prices FINAL
    WHERE source = 'fill' AND token NOT IN (SELECT token FROM long_settled) AND /*wallets*/
    GROUP BY token, before
    SETTINGS optimize_aggregation_in_order = 1
)
GROUP BY token
