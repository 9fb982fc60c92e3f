-- The registry of wallets and the record of runs as SQL sees them, and the names of older systems as views.
-- Columns of the tables and their meaning: polyhouse/tables.py. Every view: docs/tables.md. Settings: see 0001.

CREATE TABLE IF NOT EXISTS wallet_registry
(
    wallet           FixedString(20),
    status           LowCardinality(String),
    provenance       Array(String),
    first_seen       DateTime('UTC'),
    last_seen        DateTime('UTC'),
    attempts         UInt32,
    next_attempt     DateTime('UTC'),
    last_error       String,
    last_attempt_at  DateTime('UTC'),
    last_synced_at   DateTime('UTC'),
    sync_duration_ms UInt64,
    trades_synced    UInt64,
    rows_synced      UInt64,
    last_trade_at    DateTime('UTC'),
    whale_score      Int64,
    due_at           DateTime('UTC'),
    updated_at       DateTime('UTC') CODEC(Delta, LZ4),
    version          UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY wallet
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS sync_runs
(
    run_id      UInt64,
    command     LowCardinality(String),
    args        String,
    started_at  DateTime('UTC'),
    finished_at DateTime('UTC'),
    status      LowCardinality(String),
    counts      String,
    error       String,
    version     UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY run_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE OR REPLACE VIEW wallet_registry_current AS SELECT * FROM wallet_registry FINAL;
CREATE OR REPLACE VIEW sync_runs_current AS SELECT * FROM sync_runs FINAL;
