-- Positions, units and totals are computed from columns in memory: what a build staged for them, and the window columns
-- that only totals were made of, are gone.
DROP TABLE IF EXISTS pair_states;
DROP TABLE IF EXISTS pair_sums;
ALTER TABLE positions
    DROP COLUMN IF EXISTS realized_1d, DROP COLUMN IF EXISTS realized_7d, DROP COLUMN IF EXISTS realized_30d,
    DROP COLUMN IF EXISTS realized_90d, DROP COLUMN IF EXISTS realized_180d, DROP COLUMN IF EXISTS unrealized_1d,
    DROP COLUMN IF EXISTS unrealized_7d, DROP COLUMN IF EXISTS unrealized_30d, DROP COLUMN IF EXISTS unrealized_90d,
    DROP COLUMN IF EXISTS unrealized_180d, DROP COLUMN IF EXISTS bought_cost_1d, DROP COLUMN IF EXISTS bought_cost_7d,
    DROP COLUMN IF EXISTS bought_cost_30d, DROP COLUMN IF EXISTS bought_cost_90d, DROP COLUMN IF EXISTS bought_cost_180d;
ALTER TABLE units
    DROP COLUMN IF EXISTS realized_1d, DROP COLUMN IF EXISTS realized_7d, DROP COLUMN IF EXISTS realized_30d,
    DROP COLUMN IF EXISTS realized_90d, DROP COLUMN IF EXISTS realized_180d, DROP COLUMN IF EXISTS unrealized_1d,
    DROP COLUMN IF EXISTS unrealized_7d, DROP COLUMN IF EXISTS unrealized_30d, DROP COLUMN IF EXISTS unrealized_90d,
    DROP COLUMN IF EXISTS unrealized_180d, DROP COLUMN IF EXISTS bought_cost_1d, DROP COLUMN IF EXISTS bought_cost_7d,
    DROP COLUMN IF EXISTS bought_cost_30d, DROP COLUMN IF EXISTS bought_cost_90d, DROP COLUMN IF EXISTS bought_cost_180d;

ALTER TABLE observations MODIFY SETTING enable_block_number_column = 1;
ALTER TABLE neg_risk_markets MODIFY SETTING enable_block_number_column = 1;

-- How far the ledger follows the observations: the newest row counts. A build of all wallets recomputes the ledger of those
-- of whom rows arrived since; the engine numbers inserts.
CREATE TABLE IF NOT EXISTS ledger_builds
(
    version    UInt64,
    rules      String,                            -- digest of the rules it was made by
    rows_to    UInt64,                            -- number of the newest insert into observations that is in it
    markets_to UInt64                             -- … into neg_risk_markets
)
ENGINE = MergeTree
ORDER BY version;

-- Wallets of whom observations were taken out since: their ledger is recomputed too.
CREATE TABLE IF NOT EXISTS ledger_changes
(
    wallet FixedString(20)
)
ENGINE = ReplacingMergeTree
ORDER BY wallet;
