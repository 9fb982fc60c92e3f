-- circle_totals: the shares that the wallets of circle_partners traded.
SELECT wallet, sum(abs(ds)) AS shares
FROM ledger FINAL
WHERE kind IN ('BUY', 'SELL') AND wallet IN (SELECT wallet FROM circle_partners) AND /*whose*/
GROUP BY wallet
