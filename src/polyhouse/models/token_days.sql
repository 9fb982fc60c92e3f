-- token_days: what every token last traded at on each day, from the fills of the price history. Of equal places the higher price
-- counts, so that nothing depends on the order in which rows are read. Here /*wallets*/ chooses among token_prices.
SELECT
    token, day,
    toDateTime(toUInt32(bitAnd(bitShiftRight(newest, 144), 4294967295)), 'UTC') AS ts,
    toUInt32(bitAnd(bitShiftRight(newest, 112), 4294967295)) AS block,
    toUInt16(bitAnd(bitShiftRight(newest, 96), 65535)) AS tx_index,
    toUInt32(bitAnd(bitShiftRight(newest, 64), 4294967295)) AS pos,
    toInt64(bitAnd(newest, 18446744073709551615)) AS price_e6
FROM
(
    SELECT
        token, toDate(ts) AS day,
        -- place and price in one number, which is the largest at a third of the cost of the largest pair
        max(bitShiftLeft(toUInt256(toUInt32(ts)), 144) + bitShiftLeft(toUInt256(block), 112)
                + bitShiftLeft(toUInt256(tx_index), 96) + bitShiftLeft(toUInt256(pos), 64) + toUInt64(price_e6)) AS newest
    FROM /*history*/ FINAL
    PREWHERE source = 'fill' AND /*wallets*/
    GROUP BY token, day
)
