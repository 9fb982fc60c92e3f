-- Flags of wallets (docs/flags.md): is it skill, luck, a machine, or nobody's risk? Definitions: polyhouse/metrics/flags.py and
-- its neighbours; models/flags.py computes them.

-- One row per wallet and flag, for wallets with any sample of it. `meets`: every condition of the flag holds but the control of
-- false discoveries, which needs all wallets and is therefore not stored here: read wallet_flags_current. Flags without a
-- p-value (bot, market_maker, wash_trader) are complete: there `meets` is the answer.
CREATE TABLE IF NOT EXISTS wallet_flags
(
    wallet         FixedString(20),
    flag           LowCardinality(String),    -- skilled | lucky | insider | bot | market_maker | wash_trader
    status         LowCardinality(String),    -- OK | SMALL_SAMPLE | NO_SAMPLE
    meets          Bool,
    value          Nullable(Float64),         -- what is held against the threshold; null below the minimum sample
    threshold      Float64,
    p_value        Nullable(Float64),         -- chance of such a result without skill; null = not tested
    sample         UInt64,
    minimum_sample UInt64,
    inputs         Map(LowCardinality(String), Float64),  -- what the value was computed from; unknown ones are left out
    as_of          DateTime('UTC'),           -- newest ledger row of the build
    version        UInt64,
    is_deleted     UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, flag);

-- p-values and their q-values (Benjamini & Hochberg 1995), as steps: a p-value has the q of the smallest `p_upto` that is not
-- below it. Every build computes them from all p-values, so that they never depend on which wallets were built last.
CREATE TABLE IF NOT EXISTS flag_levels
(
    flag    LowCardinality(String),
    p_upto  Float64,
    q_value Float64,
    tests   UInt64                            -- number of p-values of the flag
)
ENGINE = MergeTree
ORDER BY (flag, p_upto);

-- is_flagged: lucky means that chance explains the result (q above 0.05), the other tested flags that it does not.
CREATE OR REPLACE VIEW wallet_flags_current AS
SELECT
    f.wallet AS wallet, f.flag AS flag, f.status AS status,
    f.meets AND multiIf(f.p_value IS NULL, f.flag IN ('bot', 'market_maker', 'wash_trader'),
                        f.flag = 'lucky', l.q_value > 0.05, l.q_value <= 0.05) AS is_flagged,
    f.value AS value, f.threshold AS threshold, f.p_value AS p_value,
    if(f.p_value IS NULL, NULL, toNullable(l.q_value)) AS q_value,
    f.sample AS sample, f.minimum_sample AS minimum_sample, f.inputs AS inputs, f.as_of AS as_of, f.version AS version
FROM (SELECT *, ifNull(p_value, 0.) AS tested FROM wallet_flags FINAL) AS f
ASOF LEFT JOIN flag_levels AS l ON f.flag = l.flag AND f.tested <= l.p_upto;

CREATE OR REPLACE VIEW vw_wallet_flags AS
SELECT lower(concat('0x', hex(wallet))) AS wallet, * EXCEPT (wallet, version) FROM wallet_flags_current;

-- Bootstrap intervals of omega and return (metrics/bootstrap.py), for samples of enough closed bets.
CREATE TABLE IF NOT EXISTS wallet_intervals
(
    wallet     FixedString(20),
    category   LowCardinality(String),        -- 'overall' = all categories
    window     LowCardinality(String),        -- as in wallet_metrics_complete
    bets       UInt32,
    omega_low  Nullable(Float64),             -- null: no wins or no losses
    omega_high Nullable(Float64),
    roi_low    Nullable(Float64),             -- null: nothing staked
    roi_high   Nullable(Float64),
    version    UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, category, window);

CREATE OR REPLACE VIEW vw_wallet_intervals AS
SELECT lower(concat('0x', hex(wallet))) AS wallet, * EXCEPT (wallet, version, is_deleted) FROM wallet_intervals FINAL;
