-- closed_world: conditions of which everything is known from the chain, with what their wallets made and hold.
-- Left out are conditions where somebody stands outside: rows of other sources, transfers, migrations and conversions
-- (they move shares between conditions), shares whose arrival was not seen, pools of the AMM era. V1 fees are taken in
-- shares; whoever received them holds them, so that they count as holdings and are worth the payout (accounting §3.7).
WITH
    moves AS
    (
        SELECT
            t.condition AS condition, t.outcome AS outcome, sum(toInt128(l.ds)) AS held,
            max(toString(l.source) != 'chain' OR toString(l.kind) IN ('TRANSFER_IN', 'TRANSFER_OUT', 'MIGRATE', 'CONVERT')) AS is_open
        FROM ledger AS l FINAL
        INNER JOIN (SELECT token, condition, outcome FROM token_map FINAL WHERE /*wallets*/) AS t ON t.token = l.token
        GROUP BY condition, outcome
    ),
    charged AS
    (
        SELECT
            t.condition AS condition, t.outcome AS outcome,
            sum(if(o.fee_asset = 'shares', toInt128(o.fee_net), 0)) AS fee_shares,
            sum(if(o.fee_asset = 'shares', toInt128(0), o.fee_usdc)) AS fee_cash,
            max(o.exchange = 'FPMM' OR o.label != '') AS has_pool
        FROM observations AS o FINAL
        INNER JOIN (SELECT token, condition, outcome FROM token_map FINAL WHERE /*wallets*/) AS t ON t.token = o.token
        WHERE o.source = 'chain' AND toString(o.kind) IN ('BUY', 'SELL')
        GROUP BY condition, outcome
    ),
    made AS
    (
        SELECT
            condition, sum(toInt128(realized)) AS realized, count() AS holders,
            max(untracked_shares > 0 OR untracked_cash != 0 OR external_shares > 0 OR basis_out != 0) AS is_open
        FROM positions FINAL
        WHERE /*wallets*/
        GROUP BY condition
    )
SELECT
    m.condition AS condition,
    sumIf(m.held + c.fee_shares, m.outcome = 0) AS held_first,
    sumIf(m.held + c.fee_shares, m.outcome = 1) AS held_second,
    any(t.resolved) AS is_settled,
    any(p.realized) + sum(c.fee_cash) + sum(if(t.resolved, intDiv(c.fee_shares * t.numerator, greatest(t.denominator, 1)), 0)) AS total,
    any(p.holders) AS holders
FROM moves AS m
INNER JOIN made AS p ON p.condition = m.condition
LEFT JOIN charged AS c ON c.condition = m.condition AND c.outcome = m.outcome
INNER JOIN (SELECT condition, outcome, resolved, numerator, denominator FROM token_map FINAL WHERE /*wallets*/) AS t
    ON t.condition = m.condition AND t.outcome = m.outcome
GROUP BY m.condition
HAVING max(m.is_open OR p.is_open OR c.has_pool) = 0
