-- Metrics of wallets: definitions in polyhouse/metrics/catalogue*.py (docs/metrics.md), computed by models/metric_tables.py.
-- Both tables get one column per metric at the start of a build (Nullable(Float64), words Nullable(String)), and one per
-- relation with the number of its rows (<relation>_sample). NULL: no value; the reader derives why.

CREATE TABLE IF NOT EXISTS wallet_metrics_complete
(
    wallet     FixedString(20),
    window     LowCardinality(String),        -- 30d | 90d | 180d | lifetime, ending at as_of
    as_of      DateTime('UTC'),               -- newest ledger row of the build that wrote the row
    version    UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, window);

CREATE TABLE IF NOT EXISTS wallet_metrics_by_category
(
    wallet     FixedString(20),
    category   LowCardinality(String),
    window     LowCardinality(String),
    as_of      DateTime('UTC'),
    version    UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, category, window);

-- The catalogue as of the newest build of all wallets; a build with another digest computes all wallets anew.
CREATE TABLE IF NOT EXISTS metric_catalogue
(
    name           String,
    number         UInt8,                     -- among the 102; 0 = our own
    state          LowCardinality(String),    -- computed | later | needs
    relation       LowCardinality(String),
    unit           LowCardinality(String),
    direction      LowCardinality(String),
    minimum_sample UInt32,
    meaning        String,
    formula        String,
    source         String,
    undefined      String,
    needs          String,
    digest         String,
    version        UInt64
)
ENGINE = MergeTree
ORDER BY name;
