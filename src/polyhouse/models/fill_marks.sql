-- fill_marks: what every token last traded at, now and at the start of each window (accounting §3.4); input of token_map.
-- Tokens that were resolved before the widest window are left out: nothing needs a mark of theirs.
WITH
    bitShiftLeft(toUInt128(1), 120) AS better,
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
    -- one row per transaction: its last fill, unless one wallet stands on both sides (a self trade). The source
    -- that knows the order of fills best speaks for a transaction (a market's feed better than a wallet's);
    -- equal places are told apart by price, so that the mark does not depend on the order of arrival.
    SELECT
        token,
        max(order_key) % better AS place,
        toUInt32(bitShiftRight(place, 80)) AS at,
        argMax(level, (order_key, level)) AS price
    FROM
    (
        SELECT
            token, tx, wallet, kind,
            bitShiftLeft(toUInt128(toUInt32(ts)), 80) + bitShiftLeft(toUInt128(block), 48)
                + bitShiftLeft(toUInt128(tx_index), 32) + pos + better * transform(toString(source), ['chain', 'trades', 'activity'], [3, 2, 1], 0) AS order_key,
            multiIf(price_e12 > 0 AND price_e12 % 1000000 != 500000, intDiv(price_e12 + 500000, 1000000),
                    shares_gross > refund_shares,
                    toInt64(intDiv(2 * toInt128(usdc_gross - refund_usdc) * 1000000 + (shares_gross - refund_shares),
                                   2 * (shares_gross - refund_shares))),
                    -1) AS level
        FROM observations FINAL
        WHERE kind IN ('BUY', 'SELL') AND shares > 0 AND label = ''
          AND token NOT IN (SELECT token FROM long_settled)
    )
    GROUP BY token, tx
    HAVING NOT (min(wallet) = max(wallet) AND min(kind) != max(kind)) AND price >= 0
)
GROUP BY token
