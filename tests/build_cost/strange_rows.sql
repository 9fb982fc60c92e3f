-- Tokens that nobody can name, and shares that nobody saw arrive.
DELETE FROM tokens WHERE cityHash64(condition) % 7 = 0;
DELETE FROM observations WHERE kind = 'BUY' AND cityHash64(row_key) % 9 = 0;

-- Fills and redemptions of other sources, some of which pay more than was settled; wallets that only they know.
INSERT INTO observations
    (wallet, token, condition, tx, source, kind, ts, shares, cash, shares_gross, usdc_gross, version)
SELECT wallet, token, condition, toFixedString(SHA256(toString(row_key)), 32),
       ['activity', 'subgraph', 'dump'][row_key % 3 + 1], kind, ts + 5, shares + 3, cash + 7, shares_gross, usdc_gross, 9
FROM observations
WHERE kind IN ('BUY', 'SELL') AND row_key % 11 = 0 AND cityHash64(wallet) % 5 = 0;
INSERT INTO observations (wallet, condition, tx, source, kind, ts, shares, cash, version)
SELECT wallet, condition, toFixedString(SHA256(toString(row_key + 1)), 32), 'activity', 'REDEEM', ts + 50, shares,
       cash + if(row_key % 2 = 0, 500, 0), 9
FROM observations
WHERE kind = 'REDEEM' AND cityHash64(wallet, 1) % 3 = 0;
INSERT INTO observations (wallet, token, tx, source, kind, ts, shares, cash, version)
SELECT toFixedString(SHA1(toString(number)), 20),
       if(number < 3, toFixedString(SHA256('x'), 32), (SELECT min(token) FROM tokens WHERE outcome = 0)),
       toFixedString(SHA256(toString(number)), 32), 'activity', 'BUY', 1760000000, 5, 7, 9
FROM numbers(4);
