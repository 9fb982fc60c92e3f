-- What sources said. Columns and their meaning: polyhouse/tables.py; a test holds that page and these tables equal.
--
-- Every table is ReplacingMergeTree(version) ordered by its natural key: a row that is written twice is read once,
-- and the newest one is read. Merging is the engine's own time, so every read goes through the *_current views.
-- No PARTITION BY anywhere: an insert is atomic only inside one partition, and FINAL does not see across them.
-- fsync: an acknowledged row survives a power cut. (Merged parts are not synced, but the engine keeps their sources
-- for 8 minutes.) Small compression blocks and few parts at once keep the buffers of a merge of 36 columns small:
-- about 4 MB a part.

CREATE TABLE IF NOT EXISTS observations
(
    wallet        FixedString(20),
    token         FixedString(32),
    condition     String,
    tx            FixedString(32),
    source        Enum8('chain' = 1, 'activity' = 2, 'trades' = 3, 'subgraph' = 4, 'dump' = 5),
    kind          Enum8('BUY' = 1, 'SELL' = 2, 'SPLIT' = 3, 'MERGE' = 4, 'REDEEM' = 5, 'CONVERT' = 6, 'TRANSFER_IN' = 7,
                        'TRANSFER_OUT' = 8, 'MIGRATE' = 9, 'INCOME' = 10, 'DEPOSIT' = 11, 'WITHDRAWAL' = 12, 'TIP' = 13),
    ts            DateTime('UTC') CODEC(Delta, LZ4),
    block         UInt32 CODEC(Delta, LZ4),
    tx_index      UInt16,
    pos           UInt32 CODEC(Delta, LZ4),
    sub           UInt16,
    ordinal       UInt16,
    shares        Int64,
    cash          Int64,
    shares_gross  Int64,
    usdc_gross    Int64,
    fee_net       Int64,
    fee_asset     LowCardinality(String),
    fee_usdc      Int64,
    refund_usdc   Int64,
    refund_shares Int64,
    price_e12     Int64,
    role          LowCardinality(String),
    match_type    LowCardinality(String),
    match_pos     UInt32,
    counterparty  FixedString(20),
    order_hash    FixedString(32),
    exchange      LowCardinality(String),
    outcome       UInt16 DEFAULT 999,
    index_set     FixedString(32),
    amounts       Array(UInt64),
    label         LowCardinality(String),
    flags         LowCardinality(String),
    run           UInt64 CODEC(Delta, LZ4),
    version       UInt64 CODEC(Delta, LZ4),
    -- Identity inside (wallet, token, ts, tx, source). On chain: the place of the log. Elsewhere: what cannot change
    -- when the same row is fetched again; outcome, pos, titles and flags may. kind as text, so that the hash does not
    -- depend on the numbers of the enum.
    row_key       UInt64 MATERIALIZED if(block > 0,
        sipHash64(block, tx_index, pos, sub),
        sipHash64(CAST(kind, 'String'), if(token = toFixedString('', 32), condition, ''), shares, cash, price_e12,
                  CAST(label, 'String'), ordinal))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (wallet, token, ts, tx, source, row_key)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144, max_parts_to_merge_at_once = 20;

CREATE TABLE IF NOT EXISTS events
(
    event_id         UInt64,
    slug             String,
    title            String,
    tags             Array(String),
    category         LowCardinality(String),
    category_version LowCardinality(String),
    series           String,
    neg_risk         Bool,
    neg_risk_market  String,
    neg_risk_fee_bips UInt32,
    start_ts         DateTime('UTC'),
    end_ts           DateTime('UTC'),
    closed           Bool,
    version          UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY event_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS markets
(
    condition       String,
    source          LowCardinality(String),
    market_id       UInt64,
    question_id     String,
    question        String,
    slug            String,
    event_id        UInt64,
    outcomes        Array(String),
    tokens          Array(FixedString(32)),
    neg_risk        Bool,
    neg_risk_market String,
    question_index  UInt16 DEFAULT 65535,
    tags            Array(String),
    start_ts        DateTime('UTC'),
    end_ts          DateTime('UTC'),
    closed_ts       DateTime('UTC'),
    closed          Bool,
    fee_rate_e6     Int64 DEFAULT -1,
    status          LowCardinality(String),
    prices_e6       Array(Int64),
    version         UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (condition, source)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS tokens
(
    token     FixedString(32),
    condition String,
    outcome   UInt8,
    verified  Bool,
    source    LowCardinality(String),
    version   UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY token
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS resolutions
(
    condition   String,
    source      LowCardinality(String),
    ts          DateTime('UTC'),
    block       UInt32,
    tx_index    UInt16,
    pos         UInt32,
    numerators  Array(UInt64),
    provisional Bool,
    tx          FixedString(32),
    version     UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (condition, source, ts, block, pos)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS neg_risk_markets
(
    market         String,
    question_count UInt16,
    fee_bips       UInt32,
    source         LowCardinality(String),
    version        UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY market
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS reported_positions
(
    wallet        FixedString(20),
    token         FixedString(32),
    condition     String,
    shares        Int64,
    avg_price_e6  Int64,
    realized      Int64,
    unrealized    Int64,
    current_value Int64,
    status        LowCardinality(String),
    last_event_ts DateTime('UTC'),
    run           UInt64 CODEC(Delta, LZ4),
    seen_at       DateTime('UTC') CODEC(Delta, LZ4),
    version       UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (wallet, token)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS reported_holders
(
    token   FixedString(32),
    wallet  FixedString(20),
    shares  Int64,
    outcome UInt16,
    run     UInt64 CODEC(Delta, LZ4),
    seen_at DateTime('UTC') CODEC(Delta, LZ4),
    version UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (token, wallet)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS reported_values
(
    wallet  FixedString(20),
    value   Int64,
    seen_at DateTime('UTC') CODEC(Delta, LZ4),
    version UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (wallet, seen_at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS given_marks
(
    token   FixedString(32),
    mark_e6 Int64,
    version UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY token
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

-- A partition is a wallet or a list of ids: text of high cardinality, unlike the stream it belongs to.
CREATE TABLE IF NOT EXISTS sync_pages
(
    stream        LowCardinality(String),
    partition     String,
    position_from String,
    position_to   String,
    rows          UInt32,
    rejected      UInt32,
    ignored       UInt32,
    seq           UInt64,
    is_last       Bool,
    digest        FixedString(32),
    run           UInt64 CODEC(Delta, LZ4),
    written_at    DateTime('UTC') CODEC(Delta, LZ4),
    version       UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (stream, partition, digest)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;
