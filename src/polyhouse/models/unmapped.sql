-- unmapped: traded tokens and conditions that no source could name yet, per wallet: the visible quarantine.
SELECT wallet, token, named AS condition, reason, count() AS rows, sum(o.cash) AS cash
FROM
(
    SELECT
        wallet, token, cash,
        if(token = toFixedString('', 32), condition, '') AS named,
        if(token = toFixedString('', 32), 'unknown_condition', 'unknown_token') AS reason
    FROM observations FINAL
    WHERE
    (
        (toString(kind) IN ('BUY', 'SELL', 'TRANSFER_IN', 'TRANSFER_OUT', 'MIGRATE') AND token NOT IN (SELECT token FROM token_map FINAL))
        OR (toString(kind) IN ('SPLIT', 'MERGE', 'REDEEM') AND condition NOT IN
            (SELECT condition FROM token_map FINAL GROUP BY condition HAVING count() = 2))
    ) AND /*wallets*/
) AS o
GROUP BY wallet, token, named, reason
