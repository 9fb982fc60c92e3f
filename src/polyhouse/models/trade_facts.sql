-- trade_facts: what is told of trades in each token of scored_tokens and needs no trade. A market closes for the closing price
-- (accounting 4.4) at its listed end, or an hour before the resolution if that comes first or no end is listed; at the start of
-- its game if that comes before. Here /*wallets*/ chooses nothing.
WITH
    games AS
    (
        SELECT
            condition,
            argMax(toUnixTimestamp(game_start_ts), transform(toString(source), ['gamma', 'chain', 'clob', 'file'], [4, 3, 2, 1], 0)) AS starts
        FROM markets FINAL
        WHERE toUnixTimestamp(game_start_ts) > 0
        GROUP BY condition
    ),
    series AS
    (
        SELECT condition FROM markets FINAL
        WHERE event_id IN (SELECT event_id FROM events FINAL WHERE series != '')
    )
SELECT
    t.token AS token, t.market AS market, t.outcome AS outcome, toString(m.category) AS category,
    t.resolved_at AS resolved_at,
    if(t.resolved_at > 0, toInt64(intDiv(toInt256(t.numerator) * 1000000, greatest(t.denominator, 1))), NULL) AS payout_e6,
    toInt64(t.closed) AS ends, if(t.opened > 0 AND t.closed > t.opened, toInt64(t.closed) - t.opened, 0) AS life,
    concat(multiIf(m.condition IN (SELECT condition FROM series), 'recurring', m.neg_risk_market != '', 'one_of_many', 'single'),
           multiIf(life = 0, '', life <= 604800, '_short', '_long')) AS kind,
    toUInt32(if(t.resolved_at > 0 AND t.closed = t.resolved_at, t.resolved_at - 3600, t.closed)) AS ends_at,
    if(g.starts > 0 AND (ends_at = 0 OR g.starts < ends_at), g.starts, ends_at) AS closes_at
FROM scored_tokens AS t
INNER JOIN
(
    SELECT token, condition, category, neg_risk_market FROM token_map FINAL
    WHERE token IN (SELECT token FROM scored_tokens)
) AS m ON m.token = t.token
LEFT JOIN games AS g ON g.condition = m.condition
