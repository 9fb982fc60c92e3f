-- event_bets: the first purchase of each wallet on each event that is decided, from the staged flag_pairs (first purchases per
-- token). Only the first: whether a wallet buys more, or something else of the event, depends on where prices went. If the
-- first one is not decided yet the event does not count, decided ones of the same event or not. At a price of 1 there is
-- nothing to know, and a gift has none. A market without an event is its own.
SELECT
    wallet, bet.1 AS category, event,
    toInt64(intDiv(toInt128(bet.2) * 1000000000 + bet.3 - 1, bet.3)) AS price_e9,
    toInt64(bet.4) * 1000 AS payout_e9
FROM
(
    SELECT
        p.wallet AS wallet, if(e.event > 0, e.event, p.market) AS event,
        argMin((p.category, p.first.3, p.first.4, p.payout_e6, p.resolved_at), (p.first.1, p.first.2, p.market, p.outcome)) AS bet
    FROM flag_pairs AS p
    ANY LEFT JOIN
    (
        SELECT cityHash64(condition) AS market, argMax(event_id, (source = 'gamma', source)) AS event
        FROM markets_current
        WHERE event_id > 0
        GROUP BY condition
    ) AS e ON e.market = p.market
    WHERE p.first.4 > 0
    GROUP BY wallet, event
)
WHERE bet.5 > 0 AND bet.2 > 0 AND bet.2 < bet.3
ORDER BY wallet, category, event
