-- bets: closed units of wallets (accounting §3.5), the rows of most metrics. A unit counts if anything was put into it or
-- realised; shares of AMM pools are their own condition and no bet. Its close is the last booking; a unit that realised
-- nothing closed with its last event.
WITH
    closed AS
    (
        SELECT
            p.wallet AS wallet, p.unit AS unit,
            min(p.category) AS category,
            toUInt32(if(max(p.realized_ts) > 0, max(p.realized_ts), max(p.last_ts))) AS at,
            toUInt32(min(p.first_ts)) AS opened,
            sum(p.realized) AS realized, sum(p.bought_cost) AS stake, sum(p.fees) AS fees,
            if(countIf(t.denominator = 0) = 0, max(toUInt32(t.resolved_ts)), 0) AS resolved_at,
            -- one outcome, bought before it resolved and below 1: its price is a chance
            count() = 1 AND resolved_at > opened AND stake > 0 AND stake < sum(p.bought) AS is_priced,
            if(is_priced, sum(p.bought), 0) AS entry_shares,
            if(is_priced, stake, 0) AS entry_cost,
            if(is_priced, sum(toInt64(intDiv(toInt256(p.bought) * t.numerator, greatest(t.denominator, 1)))), 0) AS entry_payout,
            realized - ifNull(sum(d.late_30s), 0) AS copied_30s, realized - ifNull(sum(d.late_2m), 0) AS copied_2m,
            realized - ifNull(sum(d.late_5m), 0) AS copied_5m,
            toUInt32(countIf(p.settled_shares > 0)) AS held_sides,
            sum(if(p.settled_shares > 0, toInt64(intDiv(toInt256(t.numerator) * 1000000000, greatest(t.denominator, 1))), 0)) AS held_payout_e9
        FROM (SELECT * FROM positions FINAL WHERE condition != toString(token) AND /*wallets*/) AS p
        LEFT JOIN
        (
            SELECT token, numerator, denominator, resolved_ts FROM token_map FINAL
            WHERE resolved AND token IN (SELECT token FROM positions WHERE /*wallets*/)
        ) AS t ON t.token = p.token
        LEFT JOIN -- what trading so much later would have cost (docs/entries.md)
        (
            WITH intDiv(shares, 1000000) AS lots, shares % 1000000 AS rest -- whole shares and the rest: products of 64 bits
            SELECT
                wallet, token,
                sum(if(after_30s_e6 IS NULL, 0, if(is_sale, -1, 1) * (lots * after_30s_e6 + intDiv(rest * after_30s_e6, 1000000) - cash) + fee)) AS late_30s,
                sum(if(after_2m_e6 IS NULL, 0, if(is_sale, -1, 1) * (lots * after_2m_e6 + intDiv(rest * after_2m_e6, 1000000) - cash) + fee)) AS late_2m,
                sum(if(after_5m_e6 IS NULL, 0, if(is_sale, -1, 1) * (lots * after_5m_e6 + intDiv(rest * after_5m_e6, 1000000) - cash) + fee)) AS late_5m
            FROM priced_trades FINAL
            WHERE /*wallets*/
            GROUP BY wallet, token
        ) AS d ON d.wallet = p.wallet AND d.token = p.token
        GROUP BY p.wallet, p.unit
        HAVING max(p.status = 'OPEN') = 0 AND (stake > 0 OR realized != 0)
    )
SELECT
    wallet, category, at, opened, realized, stake, fees, resolved_at,
    entry_shares, entry_cost, entry_payout, held_sides, held_payout_e9,
    toInt64(copied_30s) AS copied_30s, toInt64(copied_2m) AS copied_2m, toInt64(copied_5m) AS copied_5m,
    min(opened) OVER (PARTITION BY wallet) AS since,
    -- the upper one of two medians: what is equal stands on one side
    toInt64(resolved_at) - opened >= quantileExactHighIf(0.5)(toInt64(resolved_at) - opened, resolved_at >= opened AND resolved_at > 0)
        OVER (PARTITION BY wallet) AS is_early,
    toUInt32(row_number() OVER (PARTITION BY wallet ORDER BY at, unit)) AS close_place,
    toUInt32(row_number() OVER (PARTITION BY wallet ORDER BY opened, unit)) AS open_place /*named: , unit*/
FROM closed
