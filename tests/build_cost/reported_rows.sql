-- What Polymarket was asked about half of the wallets and about some that have no position: balances that are ours but for
-- a few, an older answer, and a token of which we know nothing.
INSERT INTO reported_values (wallet, value, seen_at, version)
SELECT DISTINCT wallet, 5, now(), 1 FROM positions WHERE cityHash64(wallet) % 2 = 0;
INSERT INTO reported_values (wallet, value, seen_at, version)
SELECT toFixedString(SHA1(toString(number + 1)), 20), 5, now(), 1 FROM numbers(5);
INSERT INTO reported_positions (wallet, token, shares, run, seen_at, version)
SELECT wallet, token, shares + external_shares + if(cityHash64(token) % 40 = 0, 300000, 5), 3, now(), 1
FROM positions FINAL
WHERE shares + external_shares > 0;
INSERT INTO reported_positions (wallet, token, shares, run, seen_at, version)
SELECT wallet, token, 1, 2, now(), 1 FROM positions FINAL;
INSERT INTO reported_positions (wallet, token, shares, run, seen_at, version)
SELECT toFixedString(SHA1(toString(number + 3)), 20), toFixedString('q', 32), 300000, 3, now(), 1 FROM numbers(2);
