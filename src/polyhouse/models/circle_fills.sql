-- circle_fills: fills between two known wallets, one of which is in flag_candidates, as its maker's row tells them: it names the
-- taker. Of several sources of a transaction the best one speaks. Their makers are looked for first, so that the rows of nobody
-- else are put in order.
SELECT maker, taker, token, moved, gross, fills
FROM
(
    SELECT wallet AS maker, counterparty AS taker, token, tx, source,
           sum(if(kind = 'BUY', shares, -shares)) AS moved, sum(shares) AS gross, count() AS fills
    FROM observations FINAL
    WHERE wallet IN (
            SELECT wallet FROM observations
            WHERE counterparty != toFixedString('', 20)
              AND (wallet IN (SELECT wallet FROM flag_candidates) OR counterparty IN (SELECT wallet FROM flag_candidates)))
      AND kind IN ('BUY', 'SELL') AND counterparty != toFixedString('', 20)
      AND (wallet IN (SELECT wallet FROM flag_candidates) OR counterparty IN (SELECT wallet FROM flag_candidates))
    GROUP BY wallet, counterparty, token, tx, source
    QUALIFY source = min(source) OVER (PARTITION BY wallet, token, tx)
)
