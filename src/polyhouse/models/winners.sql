-- winners: the observations of a slice that count: of what several sources tell, what the best one says (models/ledger.sql).
-- /*kinds*/ chooses among them.
SELECT
    *,
    row_key,
    toString(kind) AS word,
    if(block > 0 OR pos > 0, 0,
       transform(word, ['BUY', 'SPLIT', 'TRANSFER_IN', 'CONVERT', 'MIGRATE', 'SELL', 'MERGE', 'TRANSFER_OUT', 'REDEEM'],
                 [0, 0, 0, 1, 1, 2, 2, 2, 3], 4)) AS order_class
FROM observations FINAL
WHERE /*wallets*/ AND /*kinds*/
  AND (cityHash64(wallet, tx) NOT IN (SELECT transaction FROM contested)
       OR ((slot, claim) IN (SELECT slot, best_claim FROM best_claims)
           AND (source = 'chain' OR is_cash OR condition = ''
                OR reinterpretAsUInt128(sipHash128(wallet, tx, condition)) NOT IN (SELECT place FROM chain_conditions))))
