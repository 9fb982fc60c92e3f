-- The chain source: its logs as the node gave them, which blocks were read, and which blocks they were.
-- Columns and their meaning: polyhouse/tables.py. Settings: see 0001.

CREATE TABLE IF NOT EXISTS chain_logs
(
    tx         FixedString(32),
    block      UInt32 CODEC(Delta, LZ4),
    log_index  UInt32 CODEC(Delta, LZ4),
    tx_index   UInt16,
    block_hash FixedString(32),
    address    FixedString(20),
    topics     Array(FixedString(32)),
    data       Array(FixedString(32)),
    data_bytes UInt32,
    ts         DateTime('UTC') CODEC(Delta, LZ4),
    event      LowCardinality(String),
    status     LowCardinality(String),
    run        UInt64 CODEC(Delta, LZ4),
    version    UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (block, log_index)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS chain_blocks
(
    hash     FixedString(32),
    block    UInt32 CODEC(Delta, LZ4),
    parent   FixedString(32),
    ts       DateTime('UTC') CODEC(Delta, LZ4),
    finality LowCardinality(String),
    version  UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY block
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS chain_pools
(
    pool      FixedString(20),
    condition String,
    block     UInt32,
    version   UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY pool
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS coverage
(
    source         LowCardinality(String),
    contract_group LowCardinality(String),
    from_block     UInt32,
    to_block       UInt32,
    rows           UInt32,
    digest         FixedString(32),
    to_hash        FixedString(32),
    finality       LowCardinality(String),
    run            UInt64 CODEC(Delta, LZ4),
    seen_at        DateTime('UTC') CODEC(Delta, LZ4),
    version        UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (source, contract_group, from_block, to_block)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE OR REPLACE VIEW chain_logs_current AS SELECT * FROM chain_logs FINAL;
CREATE OR REPLACE VIEW chain_blocks_current AS SELECT * FROM chain_blocks FINAL;
CREATE OR REPLACE VIEW chain_pools_current AS SELECT * FROM chain_pools FINAL;
CREATE OR REPLACE VIEW coverage_current AS SELECT * FROM coverage FINAL;
