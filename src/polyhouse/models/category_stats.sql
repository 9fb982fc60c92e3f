-- category_stats: what it is like to bet in a category (docs/specialists.md), from the category_parts of all wallets. A mean, a
-- median or a largest one of all is made of the values of all, never of those of parts.
SELECT
    s.scope AS category, s.span AS window,
    s.wallets AS wallets, s.traders AS traders, s.ranked AS ranked, s.winners AS winners,
    toUInt64(p.specialists) AS specialists, s.elites AS elites,
    if(s.ranked > 0, toNullable(s.median_omega), NULL) AS median_omega,
    if(s.elites > 0, toNullable(s.elite_omega), NULL) AS elite_omega,
    if(s.closings > 0, toNullable(s.clv_e12 / s.closings / 1000000000000), NULL) AS elite_clv,
    if(s.timed > 0, toNullable(s.per_hour), NULL) AS elite_per_hour,
    s.gains - s.losses_abs AS pnl, s.gains AS gains, s.losses_abs AS losses_abs, s.fees AS fees, s.volume AS volume,
    s.top10_volume AS top10_volume,
    if(s.volume > 0, toFloat64(s.squares) / (toFloat64(s.volume) * toFloat64(s.volume)), 0) AS volume_squares,
    s.top10_gains AS top10_gains
FROM
(
    SELECT
        scope, span,
        sum(c.wallets) AS wallets, sum(c.traders) AS traders, sum(c.ranked) AS ranked, sum(c.winners) AS winners,
        sum(length(c.elite_omegas)) AS elites, sum(length(c.per_hour)) AS timed,
        quantileExactInclusiveArray(0.5)(c.omegas) AS median_omega,
        quantileExactInclusiveArray(0.5)(c.elite_omegas) AS elite_omega,
        quantileExactInclusiveArray(0.5)(c.per_hour) AS per_hour,
        sum(c.clv_e12) AS clv_e12, sum(c.closings) AS closings,
        sum(c.gains) AS gains, sum(c.losses_abs) AS losses_abs, sum(c.fees) AS fees, sum(c.volume) AS volume,
        sum(toInt128(c.volume_squares)) AS squares,
        -arraySum(arraySlice(arraySort(groupArrayArray(c.top_volumes)), 1, 10)) AS top10_volume,
        -arraySum(arraySlice(arraySort(groupArrayArray(c.top_gains)), 1, 10)) AS top10_gains
    FROM category_parts AS c
    GROUP BY scope, span
) AS s
LEFT JOIN
(
    SELECT arrayJoin([toString(category), 'overall']) AS scope, uniqExact(wallet) AS specialists
    FROM category_specialists
    WHERE is_specialist
    GROUP BY scope
) AS p ON p.scope = s.scope
WHERE s.wallets > 0
