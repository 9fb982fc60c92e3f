-- Prices of tokens, kept from build to build (docs/prices.md). The engine numbers every insert, so a build finds what arrived
-- since the one before.
ALTER TABLE observations MODIFY SETTING enable_block_number_column = 1;
ALTER TABLE price_points MODIFY SETTING enable_block_number_column = 1;

-- The price history: one row per token and transaction (models/token_prices.sql says which of its fills), and the published
-- points of tokens that hardly trade. In the order of time; inside a second fills stand after points.
CREATE TABLE IF NOT EXISTS token_prices
(
    token      FixedString(32) CODEC(ZSTD(1)),
    ts         DateTime('UTC') CODEC(Delta, ZSTD(1)),
    source     Enum8('point' = 1, 'fill' = 2) CODEC(ZSTD(1)),
    block      UInt32 CODEC(Delta, ZSTD(1)),      -- of the fill that counts; 0 = unknown
    tx_index   UInt16 CODEC(Delta, ZSTD(1)),
    pos        UInt32 CODEC(Delta, ZSTD(1)),      -- its place inside the second, as in observations
    tx_key     UInt64,                            -- sipHash64 of the transaction; 0 for points
    price_e6   Int64 CODEC(T64, ZSTD(1)),         -- micro-USDC a share
    version    UInt64 CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (token, ts, source, block, tx_index, pos, tx_key);

-- The fills of observations, of all sources, in the order of tokens: what a transaction's price is found from. Ids that are
-- only compared are kept as hashes. `version` is that of the observation.
CREATE TABLE IF NOT EXISTS priced_fills
(
    token      FixedString(32) CODEC(ZSTD(1)),
    tx_key     UInt64,
    wallet_key UInt64,
    source     Enum8('chain' = 1, 'activity' = 2, 'trades' = 3, 'subgraph' = 4, 'dump' = 5) CODEC(ZSTD(1)),
    ts         DateTime('UTC') CODEC(Delta, ZSTD(1)),
    row_key    UInt64,
    is_sale    Bool,
    block      UInt32 CODEC(ZSTD(1)),
    tx_index   UInt16 CODEC(ZSTD(1)),
    pos        UInt32 CODEC(ZSTD(1)),
    price_e6   Int64 CODEC(T64, ZSTD(1)),         -- -1 = its amounts give no price
    version    UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (token, tx_key, wallet_key, source, ts, row_key);

-- Transactions whose fills were taken out of observations since the newest build: their prices are found anew.
CREATE TABLE IF NOT EXISTS price_changes
(
    token  FixedString(32),
    tx_key UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (token, tx_key);

-- How far the price history follows its sources: the newest row counts.
CREATE TABLE IF NOT EXISTS price_builds
(
    version   UInt64,
    rules     String,                             -- digest of the rules it was made by
    fills_to  UInt64,                             -- number of the newest insert into observations that is in it
    points_to UInt64                              -- … into price_points
)
ENGINE = MergeTree
ORDER BY version;

CREATE OR REPLACE VIEW vw_token_prices AS
SELECT
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    ts, source, block, tx_index, pos,
    toDecimal128(price_e6, 6) / 1000000 AS price
FROM token_prices FINAL;
