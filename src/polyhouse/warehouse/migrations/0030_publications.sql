-- What readers were shown when: every publication of a build, and what its checks found (docs/checks.md).

CREATE TABLE IF NOT EXISTS publications
(
    build      UInt64,                        -- number of the build; a rollback has one of its own
    kind       LowCardinality(String),        -- all | touched | rollback
    tables     Array(String),                 -- that were exchanged
    targets    Array(String),                 -- where what each was to be lies: tells how far a killed one came
    held       Array(String),                 -- that stayed as they were, because a check was broken
    replaced   UInt64,                        -- build that readers saw before; 0 = none
    restored   UInt64,                        -- of a rollback: the build that readers see again
    rows_to    UInt64,                        -- insert into observations up to which the build looked
    as_of      DateTime('UTC'),
    wallets    UInt64,
    row_count  UInt64,
    seconds    Float64,
    is_done    UInt8,
    at         DateTime64(3, 'UTC'),
    version    UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY build
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS check_results
(
    name       LowCardinality(String),
    run        UInt64,                        -- microseconds; of a build its number
    occasion   LowCardinality(String),        -- build | check
    scope      LowCardinality(String),        -- all | touched | sample: whose rows were looked at
    is_ok      UInt8,
    broken     UInt64,                        -- rows
    examples   Array(String),
    detail     String,
    guards     Array(String),                 -- tables that are not published while it is broken
    seconds    Float64,
    at         DateTime64(3, 'UTC'),
    version    UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (name, run)
TTL toDateTime(at) + INTERVAL 100 DAY;

CREATE OR REPLACE VIEW vw_publications AS
SELECT build, kind, tables, held, replaced, restored, as_of, wallets, row_count AS rows, seconds, at
FROM publications FINAL
WHERE is_done;

CREATE OR REPLACE VIEW vw_check_results AS
SELECT name, run, occasion, scope, is_ok, broken, examples, detail, guards, seconds, at
FROM check_results FINAL;
