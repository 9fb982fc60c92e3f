-- category_totals: sums over the wallets of one engine by category and window, the values of those of which a median or the
-- largest are taken, and who is elite. They are made of category_rows.
SELECT
    scope, span,
    countIf(trades > 0 OR closed > 0 OR realized != 0) AS wallets,
    countIf(trades > 0) AS traders,
    countIf(is_ranked) AS ranked, countIf(is_ranked AND net > 0) AS winners,
    groupArrayIf(omega, is_ranked) AS omegas, groupArrayIf(omega, is_elite) AS elite_omegas,
    groupArrayIf((wallet, net, closed), is_elite) AS elites,
    sum(gains) AS gains, sum(losses_abs) AS losses_abs, sum(fees) AS fees, sum(volume) AS volume,
    toString(sum(toInt128(rows.volume) * rows.volume)) AS volume_squares, -- wider than what shards hand each other
    groupArraySorted(10)(-rows.volume) AS top_volumes,
    groupArraySorted(10)(least(-toInt64(net), 0)) AS top_gains
FROM (/*rows*/) AS rows
GROUP BY scope, span
