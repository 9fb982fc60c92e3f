-- Prices of tokens over time, as upstreams publish them. Columns and their meaning: polyhouse/tables.py.

CREATE TABLE IF NOT EXISTS price_points
(
    token              FixedString(32),
    resolution_seconds UInt32,
    ts                 DateTime('UTC') CODEC(Delta, LZ4),
    source             LowCardinality(String),
    price_e6           Int64 CODEC(Delta, LZ4),
    version            UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (token, resolution_seconds, ts, source)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE OR REPLACE VIEW price_points_current AS SELECT * FROM price_points FINAL;
