-- best_claims: who wins each slot of the contested transactions.
SELECT slot, min(claim) AS best_claim
FROM observations FINAL
WHERE /*wallets*/ AND cityHash64(wallet, tx) IN (SELECT transaction FROM contested)
GROUP BY slot
