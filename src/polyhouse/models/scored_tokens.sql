-- scored_tokens: outcome tokens of some conditions with the life of their market and their resolution. A life ends with
-- what comes first, the listed end or the resolution; 0 = unknown. Here /*wallets*/ chooses conditions.
WITH
    lives AS
    (
        SELECT
            condition,
            argMaxIf(toUnixTimestamp(start_ts), priority, toUnixTimestamp(start_ts) > 0) AS opened,
            argMaxIf(toUnixTimestamp(end_ts), priority, toUnixTimestamp(end_ts) > 0) AS ended
        FROM
        (
            SELECT condition, start_ts, end_ts, transform(toString(source), ['gamma', 'chain', 'clob', 'file'], [4, 3, 2, 1], 0) AS priority
            FROM markets FINAL
            WHERE /*wallets*/
        )
        GROUP BY condition
    )
SELECT
    t.token AS token,
    toUInt32(dense_rank() OVER (ORDER BY t.condition)) AS market, -- short keys make fast joins
    t.outcome AS outcome,
    l.opened AS opened,
    multiIf(resolved_at = 0, l.ended, l.ended = 0, resolved_at, least(resolved_at, l.ended)) AS closed,
    if(t.resolved, toUnixTimestamp(t.resolved_ts), 0) AS resolved_at,
    t.numerator AS numerator, t.denominator AS denominator
FROM (SELECT * FROM token_map FINAL WHERE /*wallets*/) AS t
LEFT JOIN lives AS l ON l.condition = t.condition
