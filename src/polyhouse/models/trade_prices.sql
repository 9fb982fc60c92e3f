-- trade_prices: at what a transaction traded each token, for the models that name it (they choose the tokens). Not a table.
-- One row per token and transaction: its last fill, unless one wallet stands on both sides (a self trade). The source that
-- knows the order of fills best speaks for a transaction (a market's feed better than a wallet's); equal places are told
-- apart by price, so that nothing depends on the order of arrival. `place` sorts by time, block and log: its seconds are
-- place >> 80. `level`: price in micro-USDC a share.
WITH bitShiftLeft(toUInt128(1), 120) AS better
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
    WHERE kind IN ('BUY', 'SELL') AND shares > 0 AND label = '' AND /*tokens*/
)
GROUP BY token, tx
HAVING NOT (min(wallet) = max(wallet) AND min(kind) != max(kind)) AND level >= 0
