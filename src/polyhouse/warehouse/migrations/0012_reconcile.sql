-- Closed positions and pair lists as published. Columns and their meaning: polyhouse/tables.py.

CREATE TABLE IF NOT EXISTS reported_pairs
(
    wallet        FixedString(20),
    token         FixedString(32),
    series        LowCardinality(String),
    condition     String,
    shares        Int64,
    avg_price_e6  Int64,
    realized      Int64,
    unrealized    Int64,
    bought        Int64,
    last_event_ts DateTime('UTC'),
    run           UInt64 CODEC(Delta, LZ4),
    seen_at       DateTime('UTC') CODEC(Delta, LZ4),
    version       UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (wallet, token, series)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE OR REPLACE VIEW reported_pairs_current AS SELECT * FROM reported_pairs FINAL;
