-- circle_pairs: what each wallet of flag_candidates turned with each partner, from circle_fills. Measured in shares: what it
-- gained of an outcome against a partner and gave back to the same one is turned. The shares of a trade with oneself are
-- turned on both sides.
WITH
    placed AS
    (
        SELECT f.maker AS maker, f.taker AS taker, cityHash64(t.condition) AS market,
               if(t.outcome = 0, f.moved, -f.moved) AS moved, f.gross AS gross, f.fills AS fills
        FROM circle_fills AS f
        INNER JOIN (SELECT token, condition, outcome FROM token_map FINAL WHERE token IN (SELECT token FROM circle_fills)) AS t
            ON t.token = f.token
    )
SELECT me, partner, sum(if(me = partner, 2 * gross, gross - abs(net))) AS turned, sum(m.fills) AS fills
FROM
(
    SELECT me, partner, market, sum(moved) AS net, sum(e.gross) AS gross, sum(e.fills) AS fills
    FROM
    (
        SELECT maker AS me, taker AS partner, market, moved, gross, fills FROM placed
        UNION ALL
        SELECT taker, maker, market, -moved, gross, fills FROM placed WHERE maker != taker
    ) AS e
    WHERE me IN (SELECT wallet FROM flag_candidates)
    GROUP BY me, partner, market
) AS m
GROUP BY me, partner
