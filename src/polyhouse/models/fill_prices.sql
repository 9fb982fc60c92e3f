-- fill_prices: what the markets of scored_tokens traded at, one row per second with a trade, as the price of the first
-- outcome (that of the second is 1 - price). Which fill speaks for a transaction, and that self trades do not, is as in
-- token_map; inside a second the last transaction counts.
WITH bitShiftLeft(toUInt128(1), 120) AS better
SELECT market, at, max((place, price_e6)).2 AS first_e6
FROM
(
    SELECT
        t.market AS market, f.place AS place, toUInt32(bitShiftRight(f.place, 80)) AS at,
        if(t.outcome = 0, f.level, 1000000 - f.level) AS price_e6
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
            WHERE kind IN ('BUY', 'SELL') AND shares > 0 AND label = '' AND token IN (SELECT token FROM scored_tokens)
        )
        GROUP BY token, tx
        HAVING NOT (min(wallet) = max(wallet) AND min(kind) != max(kind)) AND level >= 0
    ) AS f
    INNER JOIN scored_tokens AS t ON t.token = f.token
)
GROUP BY market, at
