-- tested_totals: what the closed bets came to, category by category, of wallets with at least /*least*/ first bets on events in one.
SELECT wallet, category, wins + losses + flats AS closed, bought_cost, gains, losses_abs
FROM wallet_totals FINAL
PREWHERE window = 'lifetime'
WHERE wallet IN (SELECT wallet FROM category_edges FINAL WHERE events >= /*least*/ AND /*whose*/) AND /*whose*/
