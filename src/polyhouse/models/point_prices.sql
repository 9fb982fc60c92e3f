-- point_prices: published prices of tokens that did not trade: rows of token_prices beside the fills. A point counts where the
-- token had no fill in the interval that it stands for, its own second included; of several of one second the one of the
-- shortest interval counts, then the higher price. Here /*wallets*/ chooses tokens.
SELECT
    p.token AS token, p.at AS ts, 'point' AS source,
    toUInt32(0) AS block, toUInt16(0) AS tx_index, toUInt32(0) AS pos, toUInt64(0) AS tx_key,
    -p.finest.2 AS price_e6
FROM
(
    SELECT token, ts AS at, min((resolution_seconds, -price_e6)) AS finest
    FROM price_points FINAL
    WHERE /*wallets*/
    GROUP BY token, ts
) AS p
ASOF LEFT JOIN
(
    SELECT token, ts FROM /*history*/ FINAL WHERE source = 'fill' AND /*wallets*/
) AS f ON f.token = p.token AND f.ts <= p.at
WHERE toUInt32(f.ts) + p.finest.1 <= toUInt32(p.at)
