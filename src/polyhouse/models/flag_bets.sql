-- flag_bets: the first purchase of each wallet in each resolved market, in the order in which chance is computed from them
-- (metrics/chance.py). Only the first: whether a wallet buys more, or the other side, depends on where the price went. Of two
-- outcomes bought in the same second the hash of the transaction chooses. At a price of 1 there is nothing to know.
SELECT wallet, market, bet.1 AS category, bet.2 AS cash, bet.3 AS shares, bet.4 AS payout_e6, bet.5 AS at
FROM
(
    SELECT wallet, market, argMin((category, first.3, first.4, payout_e6, first.1), (first.1, first.2, outcome)) AS bet
    FROM flag_pairs
    WHERE resolved_at > 0 AND first.4 > 0
    GROUP BY wallet, market
)
WHERE cash < shares
ORDER BY wallet, market
