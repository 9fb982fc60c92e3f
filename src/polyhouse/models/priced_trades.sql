-- priced_trades: trades of wallets in the tokens of scored_tokens, before their prices are looked up (models/priced_trades.py):
-- the fills of one token in one transaction, together. Left out: self trades (the wallet buys and sells the token in the
-- transaction). A market closes for the closing price (accounting 4.4) at its listed end, or an hour before the resolution
-- if that comes first or no end is listed; at the start of its game if that comes before. In the order of the table.
WITH
    several AS -- transactions with more than one fill of a token: only they need adding up
    (
        SELECT cityHash64(wallet, token, tx) AS place
        FROM ledger FINAL
        WHERE kind IN ('BUY', 'SELL') AND label = '' AND token IN (SELECT token FROM scored_tokens) AND /*wallets*/
        GROUP BY place
        HAVING count() > 1
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
    ),
    facts AS -- of each token: everything that needs no trade
    (
        SELECT
            t.token AS token, t.market AS market, t.outcome AS outcome, toString(m.category) AS category,
            t.resolved_at AS resolved_at,
            if(t.resolved_at > 0, toInt64(intDiv(toInt256(t.numerator) * 1000000, greatest(t.denominator, 1))), NULL) AS payout_e6,
            toInt64(t.closed) AS ends, if(t.opened > 0 AND t.closed > t.opened, toInt64(t.closed) - t.opened, 0) AS life,
            concat(multiIf(m.condition IN (SELECT condition FROM series), 'recurring', m.neg_risk_market != '', 'one_of_many', 'single'),
                   multiIf(life = 0, '', life <= 604800, '_short', '_long')) AS kind,
            toUInt32(if(t.resolved_at > 0 AND t.closed = t.resolved_at, t.resolved_at - 3600, t.closed)) AS ends_at,
            if(g.starts > 0 AND (ends_at = 0 OR g.starts < ends_at), g.starts, ends_at) AS closes_at
        FROM scored_tokens AS t
        INNER JOIN
        (
            SELECT token, condition, category, neg_risk_market FROM token_map FINAL
            WHERE token IN (SELECT token FROM scored_tokens)
        ) AS m ON m.token = t.token
        LEFT JOIN games AS g ON g.condition = m.condition
    )
SELECT
    b.wallet AS wallet, b.token AS token, b.at AS at, b.tx_key AS tx_key, b.is_sale AS is_sale, b.role AS role,
    f.category AS category, f.kind AS kind, f.market AS market, f.outcome AS outcome, b.fills AS fills,
    b.shares AS shares, b.cash AS cash, b.fee AS fee, b.volume AS volume,
    if(f.life > 0, intDiv(1000000 * least(greatest(f.ends - b.at, 0), f.life), f.life), NULL) AS earliness_e6,
    f.resolved_at AS resolved_at, f.payout_e6 AS payout_e6, f.closes_at AS closes_at
FROM
(
    SELECT
        l.wallet AS wallet, l.token AS token, sipHash64(l.tx) AS tx_key, toUnixTimestamp(l.ts) AS at, l.kind = 'SELL' AS is_sale,
        toInt8(l.role) AS role, toUInt32(1) AS fills, abs(l.ds) AS shares, abs(l.du) AS cash, l.fee AS fee, l.volume AS volume
    FROM (SELECT * FROM ledger FINAL WHERE kind IN ('BUY', 'SELL') AND label = '' AND /*wallets*/) AS l
    WHERE token IN (SELECT token FROM scored_tokens) AND shares > 0 AND (is_sale OR cash > 0)
      AND cityHash64(l.wallet, l.token, l.tx) NOT IN (SELECT place FROM several)

    UNION ALL
    SELECT
        l.wallet AS wallet, l.token AS token, sipHash64(l.tx) AS tx_key, toUnixTimestamp(min(l.ts)) AS at,
        any(l.kind) = 'SELL' AS is_sale, if(min(l.role) = max(l.role), toInt8(min(l.role)), 0) AS role,
        toUInt32(count()) AS fills, abs(sum(l.ds)) AS shares, abs(sum(l.du)) AS cash, sum(l.fee) AS fee, sum(l.volume) AS volume
    FROM (SELECT * FROM ledger FINAL WHERE kind IN ('BUY', 'SELL') AND label = '' AND /*wallets*/) AS l
    WHERE token IN (SELECT token FROM scored_tokens) AND cityHash64(l.wallet, l.token, l.tx) IN (SELECT place FROM several)
    GROUP BY l.wallet, l.token, l.tx
    HAVING min(l.kind) = max(l.kind) AND shares > 0 AND (is_sale OR cash > 0)
) AS b
INNER JOIN facts AS f ON f.token = b.token
ORDER BY wallet, token, at, tx_key
