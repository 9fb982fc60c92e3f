-- Scores of wallets (metrics/scores.py defines them, models/wallet_scores_v1.sql computes them): ranking aids with their inputs.

CREATE TABLE IF NOT EXISTS wallet_scores_v1
(
    wallet           FixedString(20),
    whale_tenths     UInt8,                   -- whale_v1 in tenths: 0 … 100
    is_whale         Bool,
    volume           Int64,
    trades           UInt64,
    wins             UInt32,                  -- decided positions with realised PnL above 0
    decided          UInt32,                  -- positions that are not open and realised anything
    bought_cost      Int64,                   -- put into all positions
    bought_positions UInt32,                  -- positions that anything was put into
    insider_tenths   Nullable(UInt8),         -- insider_v1 in tenths; null = no input at all
    is_suspected     Bool,
    insider_status   LowCardinality(String),  -- OK | PARTIAL | SMALL_SAMPLE | NO_SAMPLE
    entries          UInt64,                  -- purchases before the outcome was known
    entry_positions  UInt32,                  -- distinct tokens among them
    stake            Int64,                   -- cash paid for them
    early_stake      Int64,                   -- … in markets whose start and end are known
    early_weight     Int64,                   -- sum of stake x earliness of these
    reference_stake  Int64,                   -- … whose price 24 hours before is known
    against_stake    Int64,                   -- … of these, bought below it
    timing_stake     Int64,                   -- … that are 24 hours old or resolved within them
    timing_gain      Int64,                   -- worth of these after 24 hours less what they cost
    timing_best      Int64,                   -- the largest such gain of one token, 0 if none gained
    as_of            DateTime('UTC'),         -- newest ledger row of the build: purchases younger than a day have no timing yet
    version          UInt64,
    is_deleted       UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY wallet;

-- Three tables that a build fills for some conditions at a time and empties afterwards. Tokens with the life of their
-- market (Unix seconds, 0 = unknown):
CREATE TABLE IF NOT EXISTS scored_tokens
(
    token       FixedString(32),
    market      UInt32,                       -- number of the condition in this cut
    outcome     UInt8,
    opened      UInt32,
    closed      UInt32,
    resolved_at UInt32,
    numerator   UInt64,
    denominator UInt64
)
ENGINE = Memory;

-- What a market traded at, one row per second with a trade: price of its first outcome.
CREATE TABLE IF NOT EXISTS fill_prices
(
    market   UInt32,
    at       UInt32,                          -- Unix seconds
    first_e6 Int64
)
ENGINE = MergeTree
ORDER BY (market, at);

-- What a wallet's purchases of a token say; columns as in wallet_scores_v1, early_e6 = sum of stake x earliness in millionths.
CREATE TABLE IF NOT EXISTS purchases
(
    wallet          FixedString(20),
    token           FixedString(32),
    entries         UInt64,
    stake           Int64,
    early_stake     Int64,
    early_e6        Int128,
    reference_stake Int64,
    against_stake   Int64,
    timing_stake    Int64,
    timing_gain     Int64
)
ENGINE = MergeTree
ORDER BY (wallet, token);

CREATE OR REPLACE VIEW vw_wallet_scores_v1 AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toDecimal32(whale_tenths, 1) / 10 AS whale_score,
    is_whale,
    toDecimal128(volume, 6) / 1000000 AS volume,
    trades, wins, decided,
    toDecimal128(bought_cost, 6) / 1000000 AS bought_cost,
    bought_positions,
    toDecimal32(insider_tenths, 1) / 10 AS insider_score,
    is_suspected, insider_status, entries, entry_positions,
    toDecimal128(stake, 6) / 1000000 AS stake,
    toDecimal128(early_stake, 6) / 1000000 AS early_stake,
    toDecimal128(early_weight, 6) / 1000000 AS early_weight,
    toDecimal128(reference_stake, 6) / 1000000 AS reference_stake,
    toDecimal128(against_stake, 6) / 1000000 AS against_stake,
    toDecimal128(timing_stake, 6) / 1000000 AS timing_stake,
    toDecimal128(timing_gain, 6) / 1000000 AS timing_gain,
    toDecimal128(timing_best, 6) / 1000000 AS timing_best,
    as_of
FROM wallet_scores_v1 FINAL;
