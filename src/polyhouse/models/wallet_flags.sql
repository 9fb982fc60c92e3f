-- wallet_flags: every flag of every wallet with a sample (definitions: metrics/flags.py), from what was staged for the slice:
-- flag_habits, flag_chances (metrics/chance.py), flag_candidates and flag_circles; and from scores and metrics.
WITH
    chances AS
    (
        SELECT
            c.wallet AS wallet, c.bets AS bets, c.won AS won, c.expected AS expected, c.p_all AS p_all,
            c.rest_bets AS rest_bets, c.p_rest AS p_rest, (won - expected) / bets AS edge,
            h.stake_hhi AS stake_hhi, h.days_before_stake AS days_before_stake,
            m.net_pnl AS net_pnl, m.roi AS roi, m.one_hit_share AS one_hit_share, m.roi_without_best_3 AS roi_without_best_3,
            s.insider_tenths AS insider_tenths, s.is_suspected AS is_suspected, s.entry_positions AS entry_positions,
            s.stake AS stake, s.early_stake AS early_stake, s.early_weight AS early_weight,
            s.reference_stake AS reference_stake, s.against_stake AS against_stake,
            s.timing_stake AS timing_stake, s.timing_gain AS timing_gain, s.timing_best AS timing_best
        FROM flag_chances AS c
        INNER JOIN flag_habits AS h ON h.wallet = c.wallet
        LEFT JOIN (SELECT * FROM wallet_metrics_complete FINAL WHERE window = 'lifetime' AND /*wallets*/) AS m ON m.wallet = c.wallet
        LEFT JOIN (SELECT * FROM wallet_scores_v1 FINAL WHERE /*wallets*/) AS s ON s.wallet = c.wallet
    ),
    habits AS
    (
        SELECT
            h.wallet AS wallet, h.trades AS trades, h.fills AS fills, h.known_fills AS known_fills, h.all_fills AS all_fills,
            h.markets AS markets, h.median_gap AS median_gap, h.traded_shares AS traded_shares, h.turned_shares AS turned_shares,
            if(h.known_fills > 0, h.maker_fills / h.known_fills, 0.) AS maker_share,
            h.two_sided / h.trades AS two_sided_share,
            if(h.seconds > 1, h.regular_gaps / (h.seconds - 1), 0.) AS regular_share,
            (log(h.seconds) - h.c_log_c / h.seconds + (h.hours_seen - 1) / (2 * h.seconds)) / log(24) AS clock_evenness,
            h.fills / h.days AS fills_per_day,
            least(1., greatest(0., (regular_share - 0.07) / 0.43)) AS regular,
            least(1., greatest(0., (clock_evenness - 0.85) / 0.13)) AS clock,
            least(1., fills_per_day / 100) AS rate,
            0.3 * regular + 0.2 * clock + 0.15 * two_sided_share + 0.15 * maker_share + 0.2 * rate AS bot,
            least(maker_share, 2 * two_sided_share) AS making,
            h.wallet IN (SELECT wallet FROM flag_candidates) AS is_candidate,
            r.circled AS circled, r.shares AS circle_shares, r.circled_fills AS circled_fills, r.partners AS partners,
            r.paired_fills AS paired_fills
        FROM flag_habits AS h
        LEFT JOIN flag_circles AS r ON r.wallet = h.wallet
    ),
    -- flag, holds, value, threshold, p, sample, minimum, examined, inputs
    named AS
    (
        SELECT
            wallet,
            arrayJoin([
                ('skilled', edge >= 0.02, edge, 0.02, if(bets >= 30, greatest(p_all, p_rest), NULL), toUInt64(bets), 30, true,
                 map('won', won, 'expected', expected, 'p_all', p_all, 'rest_bets', rest_bets, 'p_rest', p_rest)),
                ('lucky', net_pnl >= 100 AND roi >= 0.5 AND one_hit_share >= 0.5, one_hit_share, 0.5,
                 if(bets >= 10, toNullable(p_all), NULL), toUInt64(bets), 10, true,
                 map('net_pnl', ifNull(net_pnl, nan), 'roi', ifNull(roi, nan), 'roi_without_best_3', ifNull(roi_without_best_3, nan))),
                ('insider', is_suspected AND 3 * toInt128(against_stake) >= 2 * toInt128(reference_stake), insider_tenths / 10, 7.,
                 if(bets >= 10, toNullable(p_all), NULL), toUInt64(bets), 10, true,
                 map('won', won, 'expected', expected, 'stake', stake / 1000000,
                     'earliness', if(early_stake > 0, early_weight / early_stake, nan),
                     'against_share', if(reference_stake > 0, against_stake / reference_stake, nan),
                     'return_24h', if(timing_stake > 0, (timing_gain - timing_best) / timing_stake, nan),
                     'stake_hhi', stake_hhi, 'days_before_stake', days_before_stake))
            ]) AS f
        FROM chances
        UNION ALL
        SELECT
            wallet,
            arrayJoin([
                ('bot', bot >= 0.7, toNullable(bot), 0.7, CAST(NULL AS Nullable(Float64)), toUInt64(trades), 50, true,
                 map('regular_share', regular_share, 'median_gap_seconds', toFloat64(median_gap), 'clock_evenness', clock_evenness,
                     'two_sided_share', two_sided_share, 'maker_share', if(known_fills > 0, maker_share, nan),
                     'fills_per_day', fills_per_day)),
                ('market_maker', making >= 0.8, toNullable(making), 0.8, NULL, toUInt64(trades), 100, true,
                 map('maker_share', if(known_fills > 0, maker_share, nan), 'two_sided_share', two_sided_share,
                     'markets', toFloat64(markets), 'fills', toFloat64(fills))),
                ('wash_trader', 2 * circled >= circle_shares AND circled > 0,
                 if(is_candidate AND circle_shares > 0, toNullable(least(1., circled / circle_shares)), NULL), 0.5, NULL,
                 toUInt64(greatest(all_fills, fills)), 20, is_candidate,
                 map('turned_share', if(traded_shares > 0, turned_shares / traded_shares, nan),
                     'self_fill_share', if(all_fills > 0, (all_fills - fills) / all_fills, nan),
                     'partners', toFloat64(partners), 'circled_fills', toFloat64(circled_fills), 'paired_fills', toFloat64(paired_fills)))
            ]) AS f
        FROM habits
    )
SELECT
    wallet, f.1 AS flag,
    multiIf(f.6 = 0, 'NO_SAMPLE', f.6 < f.7, 'SMALL_SAMPLE', NOT f.8, 'NO_ROUND_TRIPS', f.3 IS NULL, 'NO_VALUE', 'OK') AS status,
    status = 'OK' AND ifNull(f.2, 0) AS meets,
    if(f.6 >= f.7, f.3, NULL) AS value,
    f.4 AS threshold, f.5 AS p_value, f.6 AS sample, toUInt64(f.7) AS minimum_sample,
    mapFilter((name, number) -> isFinite(number), f.9) AS inputs,
    toDateTime({as_of:UInt32}, 'UTC') AS as_of
FROM named
WHERE f.6 > 0
