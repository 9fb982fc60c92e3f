-- fill_marks: what every token last traded at, now and at the start of each window (accounting §3.4); input of token_map.
-- Tokens that were resolved before the widest window are left out: nothing needs a mark of theirs. A place is time, block
-- and log in one number; of equal places the higher price counts. The last prices of days tell it, but for the days on which a
-- window begins: all windows begin at the same time of day. Here /*wallets*/ chooses tokens.
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
    toUInt128(bitShiftRight(last, 64)) AS last_place, toInt64(bitAnd(last, 18446744073709551615)) AS last_price,
    toUInt128(bitShiftRight(at_1d, 64)) AS place_1d, toInt64(bitAnd(at_1d, 18446744073709551615)) AS price_1d,
    toUInt128(bitShiftRight(at_7d, 64)) AS place_7d, toInt64(bitAnd(at_7d, 18446744073709551615)) AS price_7d,
    toUInt128(bitShiftRight(at_30d, 64)) AS place_30d, toInt64(bitAnd(at_30d, 18446744073709551615)) AS price_30d,
    toUInt128(bitShiftRight(at_90d, 64)) AS place_90d, toInt64(bitAnd(at_90d, 18446744073709551615)) AS price_90d,
    toUInt128(bitShiftRight(at_180d, 64)) AS place_180d, toInt64(bitAnd(at_180d, 18446744073709551615)) AS price_180d
FROM
(
    SELECT
        token, max(newest) AS last,
        maxIf(newest, ts <= {b_1d:UInt32}) AS at_1d, maxIf(newest, ts <= {b_7d:UInt32}) AS at_7d,
        maxIf(newest, ts <= {b_30d:UInt32}) AS at_30d, maxIf(newest, ts <= {b_90d:UInt32}) AS at_90d,
        maxIf(newest, ts <= {b_180d:UInt32}) AS at_180d
    FROM
    (
        SELECT
            token, ts,
            -- place and price in one number, which is the largest at a third of the cost of the largest pair
            bitShiftLeft(toUInt256(toUInt32(ts)), 144) + bitShiftLeft(toUInt256(block), 112)
                + bitShiftLeft(toUInt256(tx_index), 96) + bitShiftLeft(toUInt256(pos), 64) + toUInt64(price_e6) AS newest
        FROM
        (
            SELECT token, ts, block, tx_index, pos, price_e6 FROM token_days FINAL
            UNION ALL
            SELECT token, ts, block, tx_index, pos, price_e6 FROM token_prices FINAL
            PREWHERE source = 'fill' AND intDiv(toUInt32(ts), 86400) IN (
                intDiv({b_1d:UInt32}, 86400), intDiv({b_7d:UInt32}, 86400), intDiv({b_30d:UInt32}, 86400),
                intDiv({b_90d:UInt32}, 86400), intDiv({b_180d:UInt32}, 86400))
        )
        WHERE token NOT IN (SELECT token FROM long_settled) AND /*wallets*/
    )
    GROUP BY token
)
