-- unmapped: traded tokens and conditions that no source could name yet, per wallet: the visible quarantine.
SELECT
    wallet, token, if(token = toFixedString('', 32), condition, '') AS condition,
    if(token = toFixedString('', 32), 'unknown_condition', 'unknown_token') AS reason,
    count() AS rows, sum(cash) AS cash
FROM observations FINAL
WHERE
(
    (toString(kind) IN ('BUY', 'SELL', 'TRANSFER_IN', 'TRANSFER_OUT', 'MIGRATE') AND token NOT IN (SELECT token FROM token_map FINAL))
    OR (toString(kind) IN ('SPLIT', 'MERGE', 'REDEEM') AND condition NOT IN
        (SELECT condition FROM token_map FINAL GROUP BY condition HAVING count() = 2))
) AND /*wallets*/
GROUP BY wallet, token, condition
