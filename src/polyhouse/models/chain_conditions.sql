-- chain_conditions: the (wallet, transaction, condition) of contested transactions about which the chain speaks.
SELECT DISTINCT reinterpretAsUInt128(sipHash128(wallet, tx, condition)) AS place
FROM observations FINAL
WHERE /*wallets*/ AND source = 'chain' AND NOT is_cash
  AND cityHash64(wallet, tx) IN (SELECT transaction FROM contested)
