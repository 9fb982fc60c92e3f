-- flag_habits: how each wallet trades: roles, sides, rhythm, and how it stakes its first purchases per token (definitions:
-- metrics/flags.py). A trade is one token in one transaction; the rhythm is that of the distinct seconds in which it traded.
WITH
    rhythms AS
    (
        SELECT
            wallet,
            arraySort(groupUniqArray(toUnixTimestamp(at))) AS moments,
            toInt64(length(moments)) AS seconds,
            arraySort(arrayPopFront(arrayDifference(moments))) AS gaps,
            toInt64(if(empty(gaps), 0, gaps[intDiv(length(gaps), 2) + 1])) AS median_gap,
            toInt64(arrayCount(g -> 10 * abs(g - median_gap) <= median_gap, gaps)) AS regular_gaps,
            toInt64(arrayUniq(arrayMap(m -> intDiv(m, 86400), moments))) AS days,
            arrayMap(m -> intDiv(m, 3600) % 24, moments) AS hours,
            toInt64(arrayUniq(hours)) AS hours_seen,
            -- sum of c ln c over the counts c of the hours: the r-th of an hour adds r ln r - (r-1) ln (r-1)
            arraySum(arrayMap(r -> r * log(r) - if(r = 1, 0., (r - 1) * log(r - 1)), arrayEnumerateUniq(hours))) AS c_log_c
        FROM priced_trades FINAL
        WHERE /*wallets*/
        GROUP BY wallet
    ),
    markets AS
    (
        SELECT
            wallet, market,
            sum(if(outcome = 0, buys, sells)) AS ups, sum(if(outcome = 0, sells, buys)) AS downs,
            toInt64(sum(if(outcome = 0, bought, sold))) AS up_shares, toInt64(sum(if(outcome = 0, sold, bought))) AS down_shares,
            sum(p.fills) AS fills, sum(p.maker_fills) AS maker_fills, sum(p.known_fills) AS known_fills
        FROM flag_pairs AS p
        GROUP BY wallet, market
    ),
    staked AS
    (
        SELECT
            wallet,
            toInt64(sum(first.3)) AS stake, sum(toInt128(first.3) * first.3) AS stake_squares,
            sum(toInt128(first.3) * first.1) AS stake_moments, min(first.1) AS since
        FROM flag_pairs
        WHERE first.4 > 0
        GROUP BY wallet
    ),
    sums AS
    (
        SELECT
            wallet,
            toInt64(sum(ups + downs)) AS trades, toInt64(sum(2 * least(ups, downs))) AS two_sided,
            sum(up_shares + down_shares) AS traded_shares, sum(2 * least(up_shares, down_shares)) AS turned_shares,
            toInt64(sum(m.fills)) AS fills, toInt64(sum(m.maker_fills)) AS maker_fills, toInt64(sum(m.known_fills)) AS known_fills,
            toInt64(count()) AS markets
        FROM markets AS m
        GROUP BY wallet
    )
SELECT
    s.wallet AS wallet, s.trades AS trades, s.two_sided AS two_sided, s.traded_shares AS traded_shares,
    s.turned_shares AS turned_shares, s.fills AS fills, s.maker_fills AS maker_fills, s.known_fills AS known_fills,
    s.markets AS markets, r.seconds AS seconds, r.median_gap AS median_gap, r.regular_gaps AS regular_gaps, r.days AS days,
    r.hours_seen AS hours_seen, r.c_log_c AS c_log_c,
    toInt64(w.trades) AS all_fills,
    if(b.stake > 0, toFloat64(b.stake_squares) / toFloat64(toInt128(b.stake) * b.stake), 0.) AS stake_hhi,
    if(b.stake > 0, toFloat64(b.stake_moments - toInt128(b.stake) * b.since) / toFloat64(b.stake) / 86400, 0.) AS days_before_stake
FROM sums AS s
INNER JOIN rhythms AS r ON r.wallet = s.wallet
LEFT JOIN staked AS b ON b.wallet = s.wallet
LEFT JOIN (SELECT wallet, trades FROM wallet_totals FINAL WHERE category = 'overall' AND window = 'lifetime' AND /*wallets*/) AS w
    ON w.wallet = s.wallet
