-- category_stats: what it is like to bet in a category (docs/specialists.md), from the totals of all wallets. `overall` is the
-- whole market. /*windows*/ are those of the metrics, /*clv*/ the mean gain of a wallet's entries against the close.
WITH
    rows AS
    (
        SELECT
            wallet, toString(category) AS scope, toString(window) AS span,
            trades, realized, unrealized, volume, fees, gains, losses_abs,
            toUInt64(wins) + losses + flats AS closed,
            toInt256(gains) - losses_abs AS net,
            closed >= 20 AND toInt128(gains) + losses_abs >= 100000000 AS is_ranked,
            closed > 50 AND toInt256(gains) + 50000000 > 2 * (toInt256(losses_abs) + 50000000) AS is_elite,
            toFloat64(toInt256(gains) + 50000000) / toFloat64(toInt256(losses_abs) + 50000000) AS omega
        FROM wallet_totals FINAL
        WHERE window IN (/*windows*/)
    ),
    elites AS
    (
        SELECT DISTINCT wallet FROM rows WHERE is_elite
    ),
    measured AS
    (
        SELECT wallet, toString(window) AS span, 'overall' AS scope, hours_held_mean, /*clv*/ AS clv
        FROM wallet_metrics_complete FINAL
        WHERE wallet IN (SELECT wallet FROM elites)
        UNION ALL
        SELECT wallet, toString(window) AS span, toString(category) AS scope, hours_held_mean, /*clv*/ AS clv
        FROM wallet_metrics_by_category FINAL
        WHERE wallet IN (SELECT wallet FROM elites)
    ),
    habits AS
    (
        SELECT
            scope, span,
            quantileExactInclusive(0.5)(toFloat64(r.net) / 1000000 / (m.hours_held_mean * r.closed)) AS per_hour,
            countIf(m.hours_held_mean > 0) AS timed,
            sum(toInt64(round(m.clv * 1000000000000))) AS clv_e12, count(m.clv) AS closings
        FROM (SELECT * FROM rows WHERE is_elite) AS r
        INNER JOIN measured AS m ON m.wallet = r.wallet AND m.scope = r.scope AND m.span = r.span
        WHERE m.hours_held_mean > 0
        GROUP BY scope, span
    )
SELECT
    s.scope AS category, s.span AS window,
    s.wallets AS wallets, s.traders AS traders, s.ranked AS ranked, s.winners AS winners,
    toUInt64(p.specialists) AS specialists, s.elites AS elites,
    if(s.ranked > 0, toNullable(s.median_omega), NULL) AS median_omega,
    if(s.elites > 0, toNullable(s.elite_omega), NULL) AS elite_omega,
    if(h.closings > 0, toNullable(h.clv_e12 / h.closings / 1000000000000), NULL) AS elite_clv,
    if(h.timed > 0, toNullable(h.per_hour), NULL) AS elite_per_hour,
    s.gains - s.losses_abs AS pnl, s.gains AS gains, s.losses_abs AS losses_abs, s.fees AS fees, s.volume AS volume,
    s.top10_volume AS top10_volume,
    if(s.volume > 0, toFloat64(s.volume_squares) / (toFloat64(s.volume) * toFloat64(s.volume)), 0) AS volume_squares,
    s.top10_gains AS top10_gains
FROM
(
    SELECT
        scope, span,
        countIf(trades > 0 OR closed > 0 OR realized != 0) AS wallets,
        countIf(trades > 0) AS traders,
        countIf(is_ranked) AS ranked, countIf(is_ranked AND net > 0) AS winners, countIf(is_elite) AS elites,
        quantileExactInclusiveIf(0.5)(omega, is_ranked) AS median_omega,
        quantileExactInclusiveIf(0.5)(omega, is_elite) AS elite_omega,
        sum(gains) AS gains, sum(losses_abs) AS losses_abs, sum(fees) AS fees, sum(volume) AS volume,
        sum(toInt128(rows.volume) * rows.volume) AS volume_squares,
        -arraySum(groupArraySorted(10)(-rows.volume)) AS top10_volume,
        -arraySum(groupArraySorted(10)(least(-toInt64(net), 0))) AS top10_gains
    FROM rows
    GROUP BY scope, span
) AS s
LEFT JOIN habits AS h ON h.scope = s.scope AND h.span = s.span
LEFT JOIN
(
    SELECT arrayJoin([toString(category), 'overall']) AS scope, uniqExact(wallet) AS specialists
    FROM category_specialists
    WHERE is_specialist
    GROUP BY scope
) AS p ON p.scope = s.scope
WHERE s.wallets > 0
