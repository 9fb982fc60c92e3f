-- day_marks: what every token was worth at the end of each day on which it or its complement traded (accounting §3.4): price
-- of the day's last fill, or 1 - price of the complement's last fill, whichever is later; own wins a tie. Which fill
-- speaks for a transaction, and that self trades do not, is as in fill_marks. Here /*wallets*/ chooses conditions.
WITH
    bitShiftLeft(toUInt128(1), 120) AS better,
    chosen AS
    (
        SELECT token, condition, outcome FROM token_map FINAL WHERE /*wallets*/
    ),
    closes AS
    (
        SELECT token, intDiv(toUInt32(bitShiftRight(place, 80)), 86400) AS day, max((place, level)) AS last
        FROM
        (
            SELECT token, max(order_key) % better AS place, argMax(level, (order_key, level)) AS level
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
                WHERE kind IN ('BUY', 'SELL') AND shares > 0 AND label = '' AND token IN (SELECT token FROM chosen)
            )
            GROUP BY token, tx
            HAVING NOT (min(wallet) = max(wallet) AND min(kind) != max(kind)) AND level >= 0
        )
        GROUP BY token, day
    )
SELECT told.1 AS token, c.day AS day, max((c.last.1, told.2, told.3)).3 AS price_e6
FROM closes AS c
LEFT JOIN -- shares of a pool have no complement
(
    SELECT t.token AS token, groupArray(o.token) AS others
    FROM chosen AS t
    INNER JOIN chosen AS o ON o.condition = t.condition
    WHERE o.outcome = 1 - t.outcome
    GROUP BY token
) AS p ON p.token = c.token
ARRAY JOIN arrayPushFront(arrayMap(other -> (other, false, 1000000 - c.last.2), p.others), (c.token, true, c.last.2)) AS told
GROUP BY token, day
