-- category_parts: what category_stats is made of, of the wallets of one engine: category_totals, and what the elite wallets are
-- like; measured are their metrics (category_measured).
WITH
    measured AS (/*measured*/),
    elite AS
    (
        SELECT scope, span, e.1 AS wallet, e.2 AS net, e.3 AS closed FROM category_totals ARRAY JOIN elites AS e
    ),
    habits AS
    (
        SELECT
            scope, span,
            groupArray(toFloat64(r.net) / 1000000 / (m.hours_held_mean * r.closed)) AS per_hour,
            sum(toInt64(round(ifNull(m.clv, 0) * 1000000000000))) AS clv_e12, count(m.clv) AS closings
        FROM elite AS r
        INNER JOIN measured AS m ON m.wallet = r.wallet AND m.scope = r.scope AND m.span = r.span
        WHERE m.hours_held_mean > 0
        GROUP BY scope, span
    )
SELECT
    s.scope AS scope, s.span AS span, s.wallets AS wallets, s.traders AS traders, s.ranked AS ranked, s.winners AS winners,
    s.omegas AS omegas, s.elite_omegas AS elite_omegas, h.per_hour AS per_hour, h.clv_e12 AS clv_e12, h.closings AS closings,
    s.gains AS gains, s.losses_abs AS losses_abs, s.fees AS fees, s.volume AS volume,
    s.volume_squares AS volume_squares, s.top_volumes AS top_volumes, s.top_gains AS top_gains
FROM category_totals AS s
LEFT JOIN habits AS h ON h.scope = s.scope AND h.span = s.span
