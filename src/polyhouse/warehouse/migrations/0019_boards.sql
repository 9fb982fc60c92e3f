-- Leaderboards, specialists, category analytics (docs/leaderboards.md, docs/specialists.md).

-- The totals once more in the order of boards, so that one category and window is read without all others: reads without
-- FINAL and without an order use it (reads/boards.py).
ALTER TABLE wallet_totals MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild';
ALTER TABLE wallet_totals ADD PROJECTION IF NOT EXISTS by_board (SELECT * ORDER BY category, window, wallet);
ALTER TABLE wallet_totals MATERIALIZE PROJECTION by_board;

-- How the first bets of a wallet on each event of a category went (models/event_bets.sql), as sums for the test of specialists.
-- Whole numbers, so that sums depend on no order: prices and payouts of a share in 10^-9.
CREATE TABLE IF NOT EXISTS category_edges
(
    wallet      FixedString(20),
    category    LowCardinality(String),
    events      UInt32,
    payout_e9   Int64,                        -- sum over events of what a share paid
    price_e9    Int64,                        -- sum of what it had cost
    spread_e9   Int64,                        -- sum of p(1-p)
    bound_e9    Array(Int64),                 -- sum of log(1 + p(e^t - 1)), one for each t of metrics/specialists.py;
    slope_e9    Array(Int64),                 -- sum of its derivative by p; both empty below the minimum sample
    version     UInt64,
    is_deleted  UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, category);

-- Every wallet that was tested for being a specialist of a category; made anew as a whole by every build.
CREATE TABLE IF NOT EXISTS category_specialists
(
    category       LowCardinality(String),
    place          UInt32,                    -- 1 = the smallest q-value
    wallet         FixedString(20),
    is_specialist  Bool,
    is_primary     Bool,                      -- the category with the most of the wallet's closed bets
    closed         UInt32,
    events         UInt32,
    stake_share    Float64,                   -- of what the wallet put into all categories
    bet_share      Float64,                   -- of its closed bets
    edge           Float64,                   -- mean of payout - price over the events
    edge_shrunk    Float64,
    rest_events    UInt32,
    rest_shrunk    Float64,                   -- the same of its events in other categories
    category_edge  Float64,                   -- of everybody else's events in the category
    net            Int64,
    gains          Int64,
    losses_abs     Int64,
    p_category     Float64,
    p_rest         Float64,
    p_value        Float64,
    q_value        Float64,
    version        UInt64
)
ENGINE = MergeTree
ORDER BY (category, place);

-- Is a category winnable: one row per category and window, made anew by every build.
CREATE TABLE IF NOT EXISTS category_stats
(
    category        LowCardinality(String),
    window          LowCardinality(String),
    wallets         UInt64,                   -- with a fill or a booking in the window
    traders         UInt64,                   -- with a fill in the window
    ranked          UInt64,                   -- with 20 closed bets and 100 $ of gains and losses
    winners         UInt64,                   -- of the ranked: result above 0
    specialists     UInt64,
    elites          UInt64,                   -- shrunk omega above 2 in more than 50 closed bets
    median_omega    Nullable(Float64),        -- shrunk omega of the ranked
    elite_omega     Nullable(Float64),        -- median of the elites
    elite_clv       Nullable(Float64),        -- mean of the elites' mean gain against the close
    elite_per_hour  Nullable(Float64),        -- median of the elites' result per hour held, USDC
    pnl             Int64,                    -- result of the closed bets of all wallets
    gains           Int64,
    losses_abs      Int64,
    fees            Int64,
    volume          Int64,                    -- of all wallets' fills, both roles
    top10_volume    Int64,                    -- of the ten largest
    volume_squares  Float64,                  -- sum of squared shares of volume (Herfindahl)
    top10_gains     Int64,                    -- results of the ten best
    version         UInt64
)
ENGINE = MergeTree
ORDER BY (category, window);

-- The first places of every board on one moment of each day (models/steps/boards_step.py says which and for how long).
CREATE TABLE IF NOT EXISTS leaderboard_history
(
    day      Date,                            -- UTC, of the newest row of the store
    category LowCardinality(String),
    window   LowCardinality(String),
    sort     LowCardinality(String),          -- omega | pnl
    rank     UInt32,
    wallet   FixedString(20),
    above    Int64,                           -- the value is above / below; both are micro-USDC, below is 1000000 for sums
    below    Int64,
    as_of    DateTime('UTC'),
    version  UInt64                           -- of a day the newest version counts
)
ENGINE = MergeTree
ORDER BY (category, window, sort, day, version, rank);

CREATE OR REPLACE VIEW vw_category_specialists AS
SELECT
    category, place, lower(concat('0x', hex(wallet))) AS wallet, is_specialist, is_primary, closed, events, stake_share,
    bet_share, edge, edge_shrunk, rest_events, rest_shrunk, category_edge,
    toDecimal128(net, 6) / 1000000 AS net,
    toDecimal128(gains, 6) / 1000000 AS gains,
    toDecimal128(losses_abs, 6) / 1000000 AS losses_abs,
    p_category, p_rest, p_value, q_value
FROM category_specialists;

CREATE OR REPLACE VIEW vw_category_stats AS
SELECT
    category, window, wallets, traders, ranked, winners, specialists, elites, median_omega, elite_omega, elite_clv,
    elite_per_hour,
    toDecimal128(pnl, 6) / 1000000 AS pnl,
    toDecimal128(gains, 6) / 1000000 AS gains,
    toDecimal128(losses_abs, 6) / 1000000 AS losses_abs,
    toDecimal128(fees, 6) / 1000000 AS fees,
    toDecimal128(volume, 6) / 1000000 AS volume,
    toDecimal128(top10_volume, 6) / 1000000 AS top10_volume,
    volume_squares,
    toDecimal128(top10_gains, 6) / 1000000 AS top10_gains
FROM category_stats;

CREATE OR REPLACE VIEW vw_leaderboard_history AS
SELECT
    day, category, window, sort, rank, lower(concat('0x', hex(wallet))) AS wallet,
    above / below AS value, as_of
FROM leaderboard_history
WHERE (day, version) IN (SELECT day, max(version) FROM leaderboard_history GROUP BY day);
