-- order_free: total PnL of every unit from sums alone (accounting §3.6): cash + value of the net shares. It must equal
-- realised + unrealised of the ordered computation wherever nothing was sold unseen, transferred or migrated.
WITH
    valued AS
    (
        SELECT
            wallet, token,
            sumIf(toInt128(du), kind != 'REDEEM') AS cash,
            sum(toInt128(ds)) AS net_shares,
            max(kind IN ('MIGRATE', 'TRANSFER_IN', 'TRANSFER_OUT')) AS moved
        FROM ledger FINAL
        WHERE token != toFixedString('', 32) AND /*wallets*/
        GROUP BY wallet, token
    )
SELECT
    p.wallet AS wallet, p.unit AS unit,
    sum(v.cash + multiIf(t.resolved, intDiv(v.net_shares * t.numerator, t.denominator),
                         t.mark_e6 IS NULL, 0, intDiv(v.net_shares * ifNull(t.mark_e6, 0) - 999999 * (ifNull(t.mark_e6, 0) < 0), 1000000))) AS total,
    countIf(NOT t.resolved AND v.net_shares != 0 AND t.mark_e6 IS NULL) AS unmarked,
    max(v.moved OR p.untracked_shares > 0 OR p.untracked_cash != 0 OR p.external_shares > 0 OR p.basis_out != 0) AS untracked,
    sum(toInt128(p.realized) + ifNull(p.unrealized, 0)) AS ordered_total
FROM valued AS v
INNER JOIN (SELECT * FROM token_map FINAL) AS t ON t.token = v.token
INNER JOIN (SELECT * FROM positions FINAL WHERE /*wallets*/) AS p ON p.wallet = v.wallet AND p.token = v.token
GROUP BY p.wallet, p.unit
