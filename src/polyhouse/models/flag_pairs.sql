-- flag_pairs: what each wallet did in each outcome token, from its priced trades; input of the flags (docs/flags.md). `first`
-- is the first purchase before the outcome was known: (time, transaction, cash, shares); shares 0 = there is none.
SELECT
    p.wallet AS wallet, t.market AS market, p.outcome AS outcome, p.category AS category,
    p.resolved_at AS resolved_at, p.payout_e6 AS payout_e6, p.buys AS buys, p.sells AS sells,
    p.bought AS bought, p.sold AS sold, p.fills AS fills, p.maker_fills AS maker_fills, p.known_fills AS known_fills,
    (toUInt32(bitShiftRight(p.packed, 192)), toUInt64(bitShiftRight(p.packed, 128)), toInt64(bitShiftRight(p.packed, 64)),
     toInt64(p.packed)) AS first
FROM
(
    SELECT
        wallet, token, any(s.outcome) AS outcome, toString(any(s.category)) AS category,
        any(s.resolved_at) AS resolved_at, any(ifNull(s.payout_e6, 0)) AS payout_e6,
        countIf(NOT is_sale) AS buys, countIf(is_sale) AS sells,
        sumIf(shares, NOT is_sale) AS bought, sumIf(shares, is_sale) AS sold,
        sum(toUInt64(s.fills)) AS fills, sumIf(toUInt64(s.fills), role = 'MAKER') AS maker_fills,
        sumIf(toUInt64(s.fills), role IN ('MAKER', 'TAKER')) AS known_fills,
        -- one number, in the order of the tuple: the smallest of numbers is found at three quarters of the cost
        minIf(bitOr(bitShiftLeft(toUInt256(bitOr(bitShiftLeft(toUInt128(toUnixTimestamp(at)), 64), toUInt128(tx_key))), 128),
                    toUInt256(bitOr(bitShiftLeft(toUInt128(cash), 64), toUInt128(shares)))),
              NOT is_sale AND (s.resolved_at = 0 OR toUnixTimestamp(at) < s.resolved_at)) AS packed
    FROM priced_trades AS s FINAL
    WHERE /*wallets*/
    GROUP BY wallet, token
) AS p
INNER JOIN
(
    SELECT token, cityHash64(condition) AS market FROM token_map FINAL
    WHERE token IN (SELECT token FROM priced_trades WHERE /*wallets*/)
) AS t ON t.token = p.token
