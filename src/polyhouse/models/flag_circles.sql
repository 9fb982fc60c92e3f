-- flag_circles: how much of their trading the wallets of flag_candidates did back and forth with partners who, in turn, did
-- much of theirs with them (metrics/flags.py), from circle_pairs and circle_totals.
WITH
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
LEFT JOIN circle_pairs AS p ON p.me = o.wallet
LEFT JOIN circle_totals AS t ON t.wallet = p.partner
GROUP BY o.wallet
