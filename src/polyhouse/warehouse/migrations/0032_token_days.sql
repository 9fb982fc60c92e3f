-- What every token last traded at on each day (models/token_days.sql; docs/prices.md), kept beside the price history: marks of
-- days and the newest marks are made of it, so that nobody reads all prices for them.
CREATE TABLE IF NOT EXISTS token_days
(
    token      FixedString(32) CODEC(ZSTD(1)),
    day        Date CODEC(Delta, ZSTD(1)),        -- UTC
    ts         DateTime('UTC') CODEC(Delta, ZSTD(1)),
    block      UInt32 CODEC(Delta, ZSTD(1)),      -- as in token_prices
    tx_index   UInt16 CODEC(Delta, ZSTD(1)),
    pos        UInt32 CODEC(Delta, ZSTD(1)),
    price_e6   Int64 CODEC(T64, ZSTD(1)),         -- micro-USDC a share
    version    UInt64 CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (token, day)
SETTINGS index_granularity = 512, min_compress_block_size = 16384;
