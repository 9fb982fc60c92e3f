-- contested: transactions of a wallet that several claims tell of (slots and claims: migration 0013). 64 bits of hash are
-- enough: a collision makes a transaction look contested that is not, and its claims are compared with the same result.
SELECT cityHash64(wallet, tx) AS transaction
FROM observations
WHERE /*wallets*/
GROUP BY transaction
HAVING min(claim) != max(claim)
