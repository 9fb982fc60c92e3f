-- priced_fills: what a fill was priced at, of every source, superseded rows too; input of token_prices. The printed price,
-- rounded; where it is not printed or lies in the middle between two, cash before fees over shares. Here /*wallets*/ chooses
-- among all rows of observations.
SELECT
    token, sipHash64(tx) AS tx_key, sipHash64(wallet) AS wallet_key, source, ts, row_key, kind = 'SELL' AS is_sale,
    block, tx_index, pos,
    multiIf(price_e12 > 0 AND price_e12 % 1000000 != 500000, intDiv(price_e12 + 500000, 1000000),
            shares_gross > refund_shares,
            toInt64(intDiv(2 * toInt128(usdc_gross - refund_usdc) * 1000000 + (shares_gross - refund_shares),
                           2 * (shares_gross - refund_shares))),
            -1) AS price_e6,
    version
FROM observations
WHERE kind IN ('BUY', 'SELL') AND shares > 0 AND label = '' AND /*wallets*/
