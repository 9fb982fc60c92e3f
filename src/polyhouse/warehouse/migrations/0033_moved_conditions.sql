-- Conditions whose tokens became known or changed places in a build of some wallets, and the newest such build: prices around trades
-- in them that an older one found are looked up again (models/kept_trades.py).
CREATE TABLE IF NOT EXISTS moved_conditions
(
    condition String CODEC(ZSTD(1)),
    version   UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY condition;
