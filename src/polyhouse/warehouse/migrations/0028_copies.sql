-- How far a copy from another warehouse has come (polyhouse copy): ranges of keys that were found equal on both sides.

CREATE TABLE IF NOT EXISTS copies
(
    source     String,                        -- warehouse that the rows came from, without password
    table_name LowCardinality(String),
    place      UInt32,                        -- of the range among those of its table; it begins where the one before ends
    upto       String,                        -- last key of the range as text; '' = all that follow
    row_count  UInt64,
    digest     UInt64,                        -- sum of the hashes of its rows
    copied_at  DateTime('UTC'),
    version    UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (source, table_name, place)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
