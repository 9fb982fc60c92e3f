-- positions: one row per (wallet, token) ever held, valued (accounting §§3.4, 3.5). Values are floored; intDiv rounds towards
-- zero, which differs where a mark is negative (the complement traded above 1).
SELECT
    p.wallet AS wallet, p.token AS token, t.condition AS condition, t.outcome AS outcome,
    if(t.neg_risk_market != '' AND (p.wallet, t.neg_risk_market) IN (SELECT wallet, market FROM converted),
       t.neg_risk_market, t.condition) AS unit,
    t.category AS category,
    p.held - p.redeemed AS shares,
    p.external_shares AS external_shares,
    p.cost AS cost, p.bought AS bought, p.bought_cost AS bought_cost, p.fees AS fees,
    p.realized AS realized,
    multiIf(t.resolved OR p.held = 0, toNullable(toInt64(0)), t.mark_e6 IS NULL, NULL,
            toInt64(intDiv(toInt128(p.held) * t.mark_e6 - 999999 * (t.mark_e6 < 0), 1000000)) - p.cost) AS unrealized,
    p.untracked_shares AS untracked_shares, p.untracked_cash AS untracked_cash, p.basis_out AS basis_out,
    if(t.resolved, p.held, 0) AS settled_shares,
    p.settled_value AS settled_value, p.redeemed_cash AS redeemed_cash,
    t.mark_e6 AS mark_e6, t.mark_source AS mark_source,
    multiIf(NOT t.resolved AND shares > 0, 'OPEN', t.resolved AND (shares > 0 OR p.external_shares > 0), 'SETTLED', 'CLOSED')
        AS status,
    p.first_ts AS first_ts, p.last_ts AS last_ts, p.realized_ts AS realized_ts,
    p.realized - p.realized_at[1] AS realized_1d,
    p.realized - p.realized_at[2] AS realized_7d,
    p.realized - p.realized_at[3] AS realized_30d,
    p.realized - p.realized_at[4] AS realized_90d,
    p.realized - p.realized_at[5] AS realized_180d,
    unrealized - multiIf(
        p.held_at[1] = 0 OR (t.resolved AND toUnixTimestamp(t.resolved_ts) <= {b_1d:UInt32}), toNullable(toInt64(0)),
        t.mark_1d IS NULL, NULL,
        toInt64(intDiv(toInt128(p.held_at[1]) * t.mark_1d - 999999 * (t.mark_1d < 0), 1000000)) - p.cost_at[1]) AS unrealized_1d,
    unrealized - multiIf(
        p.held_at[2] = 0 OR (t.resolved AND toUnixTimestamp(t.resolved_ts) <= {b_7d:UInt32}), toNullable(toInt64(0)),
        t.mark_7d IS NULL, NULL,
        toInt64(intDiv(toInt128(p.held_at[2]) * t.mark_7d - 999999 * (t.mark_7d < 0), 1000000)) - p.cost_at[2]) AS unrealized_7d,
    unrealized - multiIf(
        p.held_at[3] = 0 OR (t.resolved AND toUnixTimestamp(t.resolved_ts) <= {b_30d:UInt32}), toNullable(toInt64(0)),
        t.mark_30d IS NULL, NULL,
        toInt64(intDiv(toInt128(p.held_at[3]) * t.mark_30d - 999999 * (t.mark_30d < 0), 1000000)) - p.cost_at[3]) AS unrealized_30d,
    unrealized - multiIf(
        p.held_at[4] = 0 OR (t.resolved AND toUnixTimestamp(t.resolved_ts) <= {b_90d:UInt32}), toNullable(toInt64(0)),
        t.mark_90d IS NULL, NULL,
        toInt64(intDiv(toInt128(p.held_at[4]) * t.mark_90d - 999999 * (t.mark_90d < 0), 1000000)) - p.cost_at[4]) AS unrealized_90d,
    unrealized - multiIf(
        p.held_at[5] = 0 OR (t.resolved AND toUnixTimestamp(t.resolved_ts) <= {b_180d:UInt32}), toNullable(toInt64(0)),
        t.mark_180d IS NULL, NULL,
        toInt64(intDiv(toInt128(p.held_at[5]) * t.mark_180d - 999999 * (t.mark_180d < 0), 1000000)) - p.cost_at[5]) AS unrealized_180d,
    p.bought_cost - p.bought_at[1] AS bought_cost_1d,
    p.bought_cost - p.bought_at[2] AS bought_cost_7d,
    p.bought_cost - p.bought_at[3] AS bought_cost_30d,
    p.bought_cost - p.bought_at[4] AS bought_cost_90d,
    p.bought_cost - p.bought_at[5] AS bought_cost_180d
FROM pair_states AS p
INNER JOIN (SELECT * FROM token_map FINAL) AS t ON t.token = p.token
WHERE /*wallets*/
