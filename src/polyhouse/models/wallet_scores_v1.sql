-- wallet_scores_v1: whale_v1 and insider_v1 of every wallet with their inputs (definitions: metrics/scores.py).
-- Points are exact fractions over a common denominator; only their sum is rounded, half up.
WITH
    held AS
    (
        SELECT
            wallet,
            countIf(status != 'OPEN' AND realized > 0) AS wins,
            countIf(status != 'OPEN' AND realized != 0) AS decided,
            sum(p.bought_cost) AS bought_cost,
            countIf(p.bought_cost > 0) AS bought_positions
        FROM positions AS p FINAL
        WHERE condition != toString(token) AND /*wallets*/ -- shares of an AMM pool are their own condition: no bet
        GROUP BY wallet
    ),
    -- Purchases before the outcome was known, by wallet and token: models/priced_trades.sql says what a purchase is, and
    -- which prices were asked for. What a share paid is exact here, where the price of a moment after it is a millionth.
    purchased AS
    (
        SELECT
            wallet, b.token AS token, cash, earliness_e6, after_1d_e6,
            day_before_e6 IS NOT NULL AS has_reference,
            has_reference AND toInt128(cash) * 1000000 < toInt128(shares) * day_before_e6 AS is_against,
            if(resolved_at > 0 AND resolved_at <= toUInt32(b.at) + 86400,
               intDiv(toInt128(shares) * t.numerator, greatest(t.denominator, 1)),
               intDiv(toInt128(shares) * ifNull(after_1d_e6, 0), 1000000)) AS worth
        FROM (SELECT * FROM priced_trades FINAL WHERE NOT is_sale AND /*wallets*/) AS b
        LEFT JOIN (SELECT token, numerator, denominator FROM token_map FINAL WHERE resolved) AS t ON t.token = b.token
        WHERE resolved_at = 0 OR toUInt32(b.at) < resolved_at
    ),
    entered AS
    (
        SELECT
            wallet,
            sum(b.entries) AS entries, count() AS entry_positions, sum(b.stake) AS stake,
            sum(b.early_stake) AS early_stake, toInt64(intDiv(sum(b.early_e6), 1000000)) AS early_weight,
            sum(b.reference_stake) AS reference_stake, sum(b.against_stake) AS against_stake,
            sum(b.timing_stake) AS timing_stake, sum(b.timing_gain) AS timing_gain,
            greatest(max(b.timing_gain), 0) AS timing_best
        FROM
        (
            SELECT
                wallet, token, count() AS entries, sum(cash) AS stake,
                sumIf(cash, earliness_e6 IS NOT NULL) AS early_stake,
                sum(toInt128(cash) * ifNull(earliness_e6, 0)) AS early_e6,
                sumIf(cash, has_reference) AS reference_stake,
                sumIf(cash, is_against) AS against_stake,
                sumIf(cash, after_1d_e6 IS NOT NULL) AS timing_stake,
                toInt64(sumIf(worth - cash, after_1d_e6 IS NOT NULL)) AS timing_gain
            FROM purchased
            GROUP BY wallet, token
        ) AS b
        GROUP BY wallet
    )
SELECT
    wallet,
    if(trades = 0, 0,
       3 * least(volume, 50000000000) * by_decided * by_positions
       + 3 * wins * 50000000000 * by_positions
       + 2 * least(trades, 50) * 1000000000 * by_decided * by_positions
       + 20 * least(toInt256(bought_cost), 5000000000 * by_positions) * by_decided) AS whale_points,
    toUInt8(least(intDiv(20 * whale_points + whale_unit, 2 * whale_unit), 100)) AS whale_tenths,
    volume >= 10000000000 AS is_whale,
    volume, trades, wins, decided, bought_cost, bought_positions,
    if(has_early, 4 * toInt256(early_weight), 0) * by_contrarian * by_timing
        + if(has_contrarian, 3 * toInt256(against_stake), 0) * by_early * by_timing
        + if(has_timing, least(greatest(6 * (toInt256(timing_gain) - timing_best), 0), 3 * by_timing), 0) * by_early * by_contrarian AS insider_points,
    if(has_early OR has_contrarian OR has_timing,
       toNullable(toUInt8(least(intDiv(20 * insider_points + insider_unit, 2 * insider_unit), 100))), NULL) AS insider_tenths,
    is_sample AND ifNull(insider_tenths, 0) >= 70 AS is_suspected,
    multiIf(insider_tenths IS NULL, 'NO_SAMPLE', NOT is_sample, 'SMALL_SAMPLE',
            has_early AND has_contrarian AND has_timing, 'OK', 'PARTIAL') AS insider_status,
    entries, entry_positions, stake, early_stake, early_weight, reference_stake, against_stake, timing_stake, timing_gain,
    timing_best, toDateTime({as_of:UInt32}, 'UTC') AS as_of
FROM
(
    SELECT
        w.wallet AS wallet, w.volume AS volume, w.trades AS trades, h.wins AS wins, h.decided AS decided,
        h.bought_cost AS bought_cost, h.bought_positions AS bought_positions, e.entries AS entries,
        e.entry_positions AS entry_positions, e.stake AS stake, e.early_stake AS early_stake, e.early_weight AS early_weight,
        e.reference_stake AS reference_stake, e.against_stake AS against_stake, e.timing_stake AS timing_stake,
        e.timing_gain AS timing_gain, e.timing_best AS timing_best,
        -- over 50,000 USDC x decided x positions: each part of whale_v1 as a whole number
        toInt256(greatest(h.decided, 1)) AS by_decided,
        toInt256(greatest(h.bought_positions, 1)) AS by_positions,
        50000000000 * by_decided * by_positions AS whale_unit,
        e.early_stake > 0 AND 2 * e.early_stake >= e.stake AS has_early,
        e.reference_stake > 0 AND 2 * e.reference_stake >= e.stake AS has_contrarian,
        e.timing_stake > 0 AND 2 * e.timing_stake >= e.stake AS has_timing,
        toInt256(if(has_early, e.early_stake, 1)) AS by_early,
        toInt256(if(has_contrarian, e.reference_stake, 1)) AS by_contrarian,
        toInt256(if(has_timing, e.timing_stake, 1)) AS by_timing,
        by_early * by_contrarian * by_timing AS insider_unit,
        e.entry_positions >= 10 AND e.stake >= 100000000 AS is_sample
    FROM (SELECT wallet, volume, trades FROM wallet_totals FINAL WHERE category = 'overall' AND window = 'lifetime' AND /*wallets*/) AS w
    LEFT JOIN held AS h ON h.wallet = w.wallet
    LEFT JOIN entered AS e ON e.wallet = w.wallet
)
