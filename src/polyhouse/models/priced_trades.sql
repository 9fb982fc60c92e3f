-- priced_trades: fills of wallets in the tokens of scored_tokens, a pair's together, the oldest first: what models/trade_columns.py
-- makes trades of. Shares and cash are signed as in the ledger.
SELECT
    l.wallet AS wallet, l.token AS token, toUnixTimestamp(l.ts) AS at, sipHash64(l.tx) AS tx_key, l.kind = 'SELL' AS is_sale,
    toInt8(l.role) AS role, l.ds AS shares, l.du AS cash, l.fee AS fee, l.volume AS volume
FROM (SELECT * FROM ledger FINAL WHERE kind IN ('BUY', 'SELL') AND label = '' AND /*wallets*/) AS l
WHERE l.token IN (SELECT token FROM scored_tokens)
ORDER BY wallet, token, l.ts
