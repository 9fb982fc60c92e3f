-- Daily series of wallets (models/days.py; docs/days.md): what they realised, were worth and risked. One row per day on which
-- something of the scope changed, on the eve of each window and on the newest day if shares were open then.

CREATE TABLE IF NOT EXISTS wallet_days
(
    wallet         FixedString(20),
    category       LowCardinality(String),    -- 'overall' = all categories
    day            Date,                      -- UTC
    realized       Int64,                     -- booked on the day
    realized_total Int64,                     -- … up to its end
    unrealized     Nullable(Int64),           -- of the shares open at its end, at its marks; null if a mark is unknown
    unmarked       UInt32,                    -- open positions without a mark
    equity         Nullable(Int64),           -- realized_total + unrealized
    pnl            Nullable(Int64),           -- change of equity since the row before that has one
    at_risk        Int64,                     -- basis of the open shares at the day's end
    at_risk_before Int64,                     -- … at its beginning
    at_risk_peak   Int64,                     -- … the most at any second of it
    worst          Int64,                     -- largest loss booked on one outcome that day, not above 0
    volume         Int64,
    fills          UInt32,
    version        UInt64,
    is_deleted     UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, category, day);

-- A table that a build fills and empties: the price of every token at the end of each day on which its market traded.
CREATE TABLE IF NOT EXISTS day_marks
(
    token    FixedString(32),
    day      UInt16,                          -- days since 1970-01-01
    price_e6 Int64
)
ENGINE = MergeTree
ORDER BY (token, day);

CREATE OR REPLACE VIEW vw_wallet_days AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    category, day,
    toDecimal128(realized, 6) / 1000000 AS realized,
    toDecimal128(realized_total, 6) / 1000000 AS realized_total,
    toDecimal128(unrealized, 6) / 1000000 AS unrealized,
    unmarked,
    toDecimal128(equity, 6) / 1000000 AS equity,
    toDecimal128(pnl, 6) / 1000000 AS pnl,
    toDecimal128(at_risk, 6) / 1000000 AS at_risk,
    toDecimal128(at_risk_before, 6) / 1000000 AS at_risk_before,
    toDecimal128(at_risk_peak, 6) / 1000000 AS at_risk_peak,
    toDecimal128(worst, 6) / 1000000 AS worst,
    toDecimal128(volume, 6) / 1000000 AS volume,
    fills
FROM wallet_days FINAL;
