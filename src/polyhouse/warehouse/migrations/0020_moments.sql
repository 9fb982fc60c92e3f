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

-- What fills were before fees and refunds: Polymarket's own cost method counts with it (docs/cost-methods.md).
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS usdc_gross Int64 AFTER volume;
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS shares_gross Int64 AFTER usdc_gross;

-- Positions by the average cost that Polymarket publishes, before fees (ledger/polymarket.py).
CREATE TABLE IF NOT EXISTS positions_polymarket
(
    wallet       FixedString(20),
    token        FixedString(32),
    avg_price_e6 Int64,                       -- 10^-6 USDC a share, truncated; stays when nothing is left
    tracked      Int64,                       -- shares that its rules believe are held
    balance      Int64,                       -- shares that are held, however they came
    bought       Int64,                       -- shares that ever came in by its rules
    realized     Int64,
    entry_cost   Int64,                       -- balance x average
    value        Nullable(Int64),             -- balance x price; null = open without a mark
    unrealized   Nullable(Int64),             -- value - entry_cost
    version      UInt64,
    is_deleted   UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token);

CREATE OR REPLACE VIEW vw_positions_polymarket AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    toDecimal128(avg_price_e6, 6) / 1000000 AS avg_price,
    toDecimal128(tracked, 6) / 1000000 AS tracked,
    toDecimal128(balance, 6) / 1000000 AS balance,
    toDecimal128(bought, 6) / 1000000 AS bought,
    toDecimal128(realized, 6) / 1000000 AS realized,
    toDecimal128(entry_cost, 6) / 1000000 AS entry_cost,
    toDecimal128(value, 6) / 1000000 AS value,
    toDecimal128(unrealized, 6) / 1000000 AS unrealized
FROM positions_polymarket FINAL;
