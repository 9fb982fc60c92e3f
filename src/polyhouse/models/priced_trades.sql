-- priced_trades: trades of wallets in the tokens of scored_tokens, before their prices are looked up (models/priced_trades.py):
-- the fills of one token in one transaction, together. Left out: self trades (the wallet buys and sells the token in the
-- transaction). A market closes for the closing price (accounting 4.4) at its listed end, or an hour before the resolution
-- if that comes first or no end is listed; at the start of its game if that comes before. In the order in which prices are
-- looked up.
WITH
    traded AS
    (
        SELECT
            wallet, token, sipHash64(tx) AS tx_key, toUnixTimestamp(min(ts)) AS at,
            any(kind) = 'SELL' AS is_sale,
            if(min(role) = max(role), toInt8(min(role)), 0) AS role,
            toUInt32(count()) AS fills,
            abs(sum(ds)) AS shares, abs(sum(du)) AS cash, sum(fee) AS fee, sum(volume) AS volume
        FROM ledger FINAL
        WHERE kind IN ('BUY', 'SELL') AND label = '' AND token IN (SELECT token FROM scored_tokens) AND /*wallets*/
        GROUP BY wallet, token, tx
        HAVING min(kind) = max(kind) AND shares > 0 AND (is_sale OR cash > 0)
    ),
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
    b.wallet AS wallet, b.token AS token, b.at AS at, b.tx_key AS tx_key, b.is_sale AS is_sale, b.role AS role,
    toString(m.category) AS category,
    concat(multiIf(m.condition IN (SELECT condition FROM series), 'recurring', m.neg_risk_market != '', 'one_of_many', 'single'),
           multiIf(t.opened = 0 OR t.closed <= t.opened, '', t.closed - t.opened <= 604800, '_short', '_long')) AS kind,
    t.market AS market, t.outcome AS outcome, b.fills AS fills,
    b.shares AS shares, b.cash AS cash, b.fee AS fee, b.volume AS volume,
    if(t.opened > 0 AND t.closed > t.opened,
       intDiv(1000000 * least(greatest(toInt64(t.closed) - b.at, 0), toInt64(t.closed) - t.opened), toInt64(t.closed) - t.opened), NULL) AS earliness_e6,
    t.resolved_at AS resolved_at,
    if(t.resolved_at > 0, toInt64(intDiv(toInt256(t.numerator) * 1000000, greatest(t.denominator, 1))), NULL) AS payout_e6,
    toUInt32(if(t.resolved_at > 0 AND t.closed = t.resolved_at, t.resolved_at - 3600, t.closed)) AS ends_at,
    if(g.starts > 0 AND (ends_at = 0 OR g.starts < ends_at), g.starts, ends_at) AS closes_at
FROM traded AS b
INNER JOIN scored_tokens AS t ON t.token = b.token
INNER JOIN (SELECT token, condition, category, neg_risk_market FROM token_map FINAL WHERE token IN (SELECT token FROM scored_tokens)) AS m
    ON m.token = b.token
LEFT JOIN games AS g ON g.condition = m.condition
ORDER BY market, at
