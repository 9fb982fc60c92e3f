-- token_prices: at what each transaction traded each token (docs/prices.md). Its last fill, unless one wallet stands on both
-- sides (a self trade). The source that knows the order of fills best speaks for a transaction (a market's feed better than
-- a wallet's); equal places are told apart by price, so that nothing depends on the order of arrival. A place is time,
-- block and log in one number. Here /*wallets*/ chooses among priced_fills.
WITH bitShiftLeft(toUInt128(1), 120) AS better
SELECT
    token,
    toDateTime(toUInt32(bitAnd(bitShiftRight(last.1, 80), 4294967295)), 'UTC') AS ts,
    'fill' AS source,
    toUInt32(bitAnd(bitShiftRight(last.1, 48), 4294967295)) AS block,
    toUInt16(bitAnd(bitShiftRight(last.1, 32), 65535)) AS tx_index,
    toUInt32(bitAnd(last.1, 4294967295)) AS pos,
    tx_key,
    last.2 AS price_e6
FROM
(
    SELECT
        token, tx_key, max((order_key, price_e6)) AS last,
        min(wallet_key) = max(wallet_key) AND min(is_sale) != max(is_sale) AS is_self_trade
    FROM
    (
        SELECT
            token, tx_key, wallet_key, is_sale, price_e6,
            bitShiftLeft(toUInt128(toUInt32(ts)), 80) + bitShiftLeft(toUInt128(block), 48)
                + bitShiftLeft(toUInt128(tx_index), 32) + pos
                + better * transform(toString(source), ['chain', 'trades', 'activity'], [3, 2, 1], 0) AS order_key
        FROM priced_fills FINAL PREWHERE /*wallets*/
    )
    GROUP BY token, tx_key
    SETTINGS optimize_aggregation_in_order = 1
)
WHERE NOT is_self_trade AND price_e6 >= 0
