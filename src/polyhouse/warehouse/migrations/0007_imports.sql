-- Published figures from files. Columns and their meaning: polyhouse/tables.py.

CREATE TABLE IF NOT EXISTS published_positions
(
    wallet       FixedString(20),
    token_id     String,
    token        FixedString(32),
    amount       Int64,
    avg_price_e6 Int64,
    realized     Int64,
    bought       Int64,
    run          UInt64 CODEC(Delta, LZ4),
    seen_at      DateTime('UTC') CODEC(Delta, LZ4),
    version      UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (wallet, token_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE OR REPLACE VIEW published_positions_current AS SELECT * FROM published_positions FINAL;
