-- day_marks: what every token was worth at the end of each day on which it or its complement traded (accounting §3.4): price
-- of the day's last fill, or 1 - price of the complement's last fill, whichever is later; own wins a tie. Here
-- /*wallets*/ chooses conditions.
WITH
    chosen AS
    (
        SELECT token, condition, outcome FROM token_map FINAL WHERE /*wallets*/
    ),
    closes AS
    (
        SELECT token, toUInt16(toDate(ts)) AS day, max((ts, block, tx_index, pos, price_e6)) AS last
        FROM token_prices FINAL
        WHERE source = 'fill' AND token IN (SELECT token FROM chosen)
        GROUP BY token, day
        SETTINGS optimize_aggregation_in_order = 1
    )
SELECT told.1 AS token, c.day AS day, max(((c.last.1, c.last.2, c.last.3, c.last.4), told.2, told.3)).3 AS price_e6
FROM closes AS c
LEFT JOIN -- shares of a pool have no complement
(
    SELECT t.token AS token, groupArray(o.token) AS others
    FROM chosen AS t
    INNER JOIN chosen AS o ON o.condition = t.condition
    WHERE o.outcome = 1 - t.outcome
    GROUP BY token
) AS p ON p.token = c.token
ARRAY JOIN arrayPushFront(arrayMap(other -> (other, false, 1000000 - c.last.5), p.others), (c.token, true, c.last.5)) AS told
GROUP BY token, day
