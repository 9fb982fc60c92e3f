-- What a wallet's document needs of the models, ready to be read: to plan twelve reads of other tables costs ten times what reading them
-- does. One row for each part (models/wallet_documents.py says what its bytes mean), written by the builds that write the other tables.
CREATE TABLE IF NOT EXISTS wallet_documents
(
    wallet     FixedString(20),
    part       LowCardinality(String),
    part_bytes String CODEC(ZSTD(1)),
    version    UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, part)
SETTINGS index_granularity = 32, min_compress_block_size = 16384;

-- The metrics of a wallet stood side by side in these until now, for the same readers.
ALTER TABLE wallet_metrics_complete DROP COLUMN IF EXISTS packed, DROP COLUMN IF EXISTS packed_words, DROP COLUMN IF EXISTS packed_by;
ALTER TABLE wallet_metrics_by_category DROP COLUMN IF EXISTS packed, DROP COLUMN IF EXISTS packed_words, DROP COLUMN IF EXISTS packed_by;
