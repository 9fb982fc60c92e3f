-- category_measured: metrics of the elite wallets of category_totals, whole and by category. /*clv*/ is the mean gain of a
-- wallet's entries against the close.
SELECT wallet, toString(window) AS span, 'overall' AS scope, hours_held_mean, /*clv*/ AS clv
FROM wallet_metrics_complete FINAL
WHERE wallet IN (SELECT e.1 FROM category_totals ARRAY JOIN elites AS e) AND /*whose*/
UNION ALL
SELECT wallet, toString(window) AS span, toString(category) AS scope, hours_held_mean, /*clv*/ AS clv
FROM wallet_metrics_by_category FINAL
WHERE wallet IN (SELECT e.1 FROM category_totals ARRAY JOIN elites AS e) AND /*whose*/
