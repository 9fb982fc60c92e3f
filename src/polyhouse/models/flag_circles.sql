-- flag_circles: how much of their trading the wallets of flag_candidates did back and forth with partners who, in turn, did
-- much of theirs with them (metrics/flags.py). Both sides of a fill are known where its maker's row names the taker. Measured
-- in shares: what a wallet gained of an outcome against a partner and gave back to the same one is turned. The shares of a
-- trade with oneself are turned on both sides.
WITH
    maker_fills AS
    (
        SELECT wallet AS maker, counterparty AS taker, token, tx, source,
               sum(if(kind = 'BUY', shares, -shares)) AS moved, sum(shares) AS gross, count() AS fills
        FROM observations FINAL
        WHERE kind IN ('BUY', 'SELL') AND counterparty != toFixedString('', 20)
          AND (wallet IN (SELECT wallet FROM flag_candidates) OR counterparty IN (SELECT wallet FROM flag_candidates))
        GROUP BY wallet, counterparty, token, tx, source
        QUALIFY source = min(source) OVER (PARTITION BY wallet, token, tx)
    ),
    placed AS
    (
        SELECT f.maker AS maker, f.taker AS taker, cityHash64(t.condition) AS market,
               if(t.outcome = 0, f.moved, -f.moved) AS moved, f.gross AS gross, f.fills AS fills
        FROM maker_fills AS f
        INNER JOIN (SELECT token, condition, outcome FROM token_map FINAL WHERE token IN (SELECT token FROM maker_fills)) AS t
            ON t.token = f.token
    ),
    pairs AS
    (
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
    ),
    totals AS
    (
        SELECT wallet, sum(abs(ds)) AS shares
        FROM ledger FINAL
        WHERE kind IN ('BUY', 'SELL') AND wallet IN (SELECT partner FROM pairs WHERE turned > 0)
        GROUP BY wallet
    ),
    own AS
    (
        SELECT wallet, sum(abs(ds)) AS shares
        FROM ledger FINAL
        WHERE kind IN ('BUY', 'SELL') AND wallet IN (SELECT wallet FROM flag_candidates)
        GROUP BY wallet
    )
SELECT
    o.wallet AS wallet, toInt64(any(o.shares)) AS shares,
    toInt64(sumIf(p.turned, p.turned > 0 AND 5 * p.turned >= t.shares)) AS circled,
    toInt64(sumIf(p.fills, p.turned > 0 AND 5 * p.turned >= t.shares)) AS circled_fills,
    toInt64(countIf(p.turned > 0 AND 5 * p.turned >= t.shares)) AS partners,
    toInt64(sum(p.fills)) AS paired_fills
FROM own AS o
LEFT JOIN pairs AS p ON p.me = o.wallet
LEFT JOIN totals AS t ON t.wallet = p.partner
GROUP BY o.wallet
