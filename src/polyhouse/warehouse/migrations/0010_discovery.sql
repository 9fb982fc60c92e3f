-- What discovery brings besides wallets: published leaderboards, and which signer owns which wallets.
-- Columns and their meaning: polyhouse/tables.py. Settings: see 0001.

CREATE TABLE IF NOT EXISTS reported_standings
(
    board    LowCardinality(String),
    period   LowCardinality(String),
    category LowCardinality(String),
    wallet   FixedString(20),
    detail   String,
    rank     UInt32,
    pnl      Int64,
    volume   Int64,
    run      UInt64 CODEC(Delta, LZ4),
    seen_at  DateTime('UTC') CODEC(Delta, LZ4),
    version  UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (board, period, category, wallet, detail)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS wallet_links
(
    owner   FixedString(20),
    wallet  FixedString(20),
    kind    LowCardinality(String),
    source  LowCardinality(String),
    run     UInt64 CODEC(Delta, LZ4),
    seen_at DateTime('UTC') CODEC(Delta, LZ4),
    version UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (owner, wallet, kind, source)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE OR REPLACE VIEW reported_standings_current AS SELECT * FROM reported_standings FINAL;
CREATE OR REPLACE VIEW wallet_links_current AS SELECT * FROM wallet_links FINAL;

CREATE OR REPLACE VIEW vw_reported_standings AS
SELECT
    board, period, category, rank,
    lower(concat('0x', hex(wallet))) AS wallet,
    detail,
    toDecimal128(pnl, 6) / 1000000 AS pnl,
    toDecimal128(volume, 6) / 1000000 AS volume_shares,
    seen_at
FROM reported_standings FINAL;

CREATE OR REPLACE VIEW wallet_links_view AS
SELECT
    lower(concat('0x', hex(owner))) AS owner,
    lower(concat('0x', hex(wallet))) AS wallet,
    kind, source,
    seen_at AS linked_at
FROM wallet_links FINAL;
