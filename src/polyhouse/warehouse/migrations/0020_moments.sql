-- The store as it was known at moments of the past (models/as_of.py; docs/as-of.md): one row per kept database. A database
-- that has no row here is half made or forgotten; nobody reads it.
CREATE TABLE IF NOT EXISTS as_of_databases
(
    moment      DateTime('UTC'),              -- nothing later is known there
    database    String,
    fingerprint String,                       -- of the sources up to the moment: another one = rows arrived since
    newest      DateTime('UTC'),              -- newest ledger row up to the moment: windows end there
    rows        UInt64,                       -- observations up to the moment
    seconds     Float64,
    made_at     DateTime('UTC'),
    version     UInt64,
    is_deleted  UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY moment;
