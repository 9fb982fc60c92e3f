-- Refresh of open markets and late resolutions. Columns and their meaning: polyhouse/tables.py.

CREATE TABLE IF NOT EXISTS market_states
(
    condition  String,
    status     LowCardinality(String),
    disputed   Bool,
    updated_ts DateTime('UTC'),
    seen_at    DateTime('UTC') CODEC(Delta, LZ4),
    version    UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY condition
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS market_checks
(
    condition  String,
    checked_at DateTime('UTC') CODEC(Delta, LZ4),
    run        UInt64 CODEC(Delta, LZ4),
    version    UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY condition
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE OR REPLACE VIEW market_states_current AS SELECT * FROM market_states FINAL;
CREATE OR REPLACE VIEW market_checks_current AS SELECT * FROM market_checks FINAL;

CREATE OR REPLACE VIEW vw_market_states AS
SELECT
    lower(concat('0x', hex(s.condition))) AS condition_id,
    s.status AS status, s.disputed AS disputed, s.updated_ts AS updated_ts, s.seen_at AS seen_at,
    c.checked_at AS checked_at
FROM market_states AS s FINAL
LEFT JOIN (SELECT condition, checked_at FROM market_checks FINAL) AS c ON c.condition = s.condition;
