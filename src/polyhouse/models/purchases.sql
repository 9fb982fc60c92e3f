-- purchases: what the purchases of the tokens in scored_tokens say about their wallets, summed by (wallet, token); input of
-- wallet_scores_v1 (definitions: metrics/scores.py).
-- A purchase: the BUY fills of one token in one transaction, together. Left out: self trades (the same wallet sells the
-- token in the same transaction) and what was bought when the outcome was known. Every purchase asks for two prices: that
-- of 24 hours before and that of 24 hours after.
WITH
    bought AS
    (
        SELECT
            wallet, token, toUnixTimestamp(min(ts)) AS bought_at,
            sumIf(-du, kind = 'BUY') AS paid, sumIf(ds, kind = 'BUY') AS shares
        FROM ledger FINAL
        WHERE kind IN ('BUY', 'SELL') AND label = '' AND token IN (SELECT token FROM scored_tokens) AND /*wallets*/
        GROUP BY wallet, token, tx
        HAVING countIf(kind = 'SELL') = 0 AND paid > 0 AND shares > 0
    ),
    asked AS
    (
        SELECT
            b.wallet AS wallet, b.token AS token, b.paid AS paid, b.shares AS shares,
            t.market AS market, t.outcome AS outcome, t.numerator AS numerator, t.denominator AS denominator,
            t.opened > 0 AND t.closed > t.opened AS has_life,
            toInt64(t.closed) - t.opened AS life,
            if(has_life, intDiv(1000000 * least(greatest(toInt64(t.closed) - b.bought_at, 0), life), life), 0) AS earliness_e6,
            b.bought_at + 86400 AS day_after,
            t.resolved_at > 0 AND t.resolved_at <= day_after AS is_settled,
            is_after,
            if(is_after, toUInt32(day_after), toUInt32(b.bought_at - least(b.bought_at, 86400))) AS asked_at
        FROM bought AS b
        INNER JOIN scored_tokens AS t ON t.token = b.token
        ARRAY JOIN [false, true] AS is_after
        WHERE t.resolved_at = 0 OR b.bought_at < t.resolved_at
    ),
    answered AS
    (
        SELECT
            a.*,
            p.at > 0 AS has_price,
            if(outcome = 0, p.first_e6, 1000000 - p.first_e6) AS price_e6,
            is_after AND (is_settled OR (has_price AND day_after <= {as_of:UInt32})) AS is_timed,
            if(is_settled, intDiv(toInt128(shares) * numerator, greatest(denominator, 1)),
               intDiv(toInt128(shares) * price_e6, 1000000)) AS worth
        FROM asked AS a
        ASOF LEFT JOIN fill_prices AS p ON p.market = a.market AND p.at <= a.asked_at
    )
SELECT
    wallet, token,
    countIf(NOT is_after) AS entries,
    sumIf(paid, NOT is_after) AS stake,
    sumIf(paid, NOT is_after AND has_life) AS early_stake,
    sumIf(toInt128(paid) * earliness_e6, NOT is_after AND has_life) AS early_e6,
    sumIf(paid, NOT is_after AND has_price) AS reference_stake,
    sumIf(paid, NOT is_after AND has_price AND toInt128(paid) * 1000000 < toInt128(shares) * price_e6) AS against_stake,
    sumIf(paid, is_timed) AS timing_stake,
    toInt64(sumIf(worth - paid, is_timed)) AS timing_gain
FROM answered
GROUP BY wallet, token
