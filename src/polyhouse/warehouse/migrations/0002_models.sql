-- Model tables: everything here can be dropped and rebuilt from the observation tables of 0001.
-- Binary ids inside; the vw_ views of 0003 are for people. `version`: the newest build of a key wins (read with FINAL);
-- `is_deleted` = 1 is a tombstone: the key existed in an older build and does not any more.

CREATE TABLE IF NOT EXISTS ledger
(
    wallet       FixedString(20),
    token        FixedString(32),             -- zero for INCOME, DEPOSIT, WITHDRAWAL, TIP
    ts           DateTime('UTC'),
    block        UInt32,
    tx_index     UInt16,
    pos          UInt32,
    sub          UInt16,                      -- rows expanded from one observation (outcomes, conversion legs)
    cls          UInt8,                       -- order inside one second when nothing better is known (accounting 1.10)
    tx           FixedString(32),
    row_key      UInt64,                      -- of the observation this row comes from
    kind         Enum8('BUY' = 1, 'SELL' = 2, 'SPLIT' = 3, 'MERGE' = 4, 'REDEEM' = 5, 'CONVERT' = 6, 'TRANSFER_IN' = 7,
                       'TRANSFER_OUT' = 8, 'MIGRATE' = 9, 'INCOME' = 10, 'DEPOSIT' = 11, 'WITHDRAWAL' = 12, 'TIP' = 13),
    source       Enum8('chain' = 1, 'activity' = 2, 'trades' = 3, 'subgraph' = 4, 'dump' = 5),
    ds           Int64,                       -- signed share change, micro-shares (REDEEM: 0, it is only cash)
    du           Int64,                       -- signed cash change, micro-USDC (REDEEM: the payout)
    fee          Int64,                       -- disclosed fee in micro-USDC, inside du
    volume       Int64,                       -- usdc_gross - refund of a fill, else 0
    unit         String,                      -- CONVERT: the neg-risk market id; else ''
    amount       Int64,                       -- CONVERT: burned per NO leg; REDEEM: shares burned, -1 = the whole balance
    convert_cash Int64,                       -- CONVERT: collateral U paid by the conversion (repeated on every leg)
    label        LowCardinality(String),
    version      UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token, ts, block, tx_index, pos, cls, sub, tx, row_key);

CREATE TABLE IF NOT EXISTS unmapped
(
    wallet    FixedString(20),
    token     FixedString(32),
    condition String,
    reason    LowCardinality(String),
    rows      UInt64,
    cash      Int64,
    version   UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token, condition);

CREATE TABLE IF NOT EXISTS token_map
(
    token           FixedString(32),
    condition       String,
    outcome         UInt8,
    category        LowCardinality(String),
    neg_risk_market String,
    question_index  UInt16,
    resolved        Bool,
    numerator       UInt64,
    denominator     UInt64,
    resolved_ts     DateTime('UTC'),
    resolved_block  UInt32,
    resolved_tx_index UInt16,
    resolved_pos    UInt32,
    provisional     Bool,                     -- the resolution is not proven by the chain or the resolutions feed
    mark_e6         Nullable(Int64),
    mark_ts         DateTime('UTC'),
    mark_source     LowCardinality(String),   -- fill | complement | listed | given | ''
    mark_1d         Nullable(Int64),          -- the mark as it stood when the window began
    mark_7d         Nullable(Int64),
    mark_30d        Nullable(Int64),
    mark_90d        Nullable(Int64),
    mark_180d       Nullable(Int64),
    version         UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY token;

-- Two tables that a build fills and empties slice by slice. The state of every (wallet, token) at the end and at the start
-- of each window, before valuation: input of `positions`.
CREATE TABLE IF NOT EXISTS pair_states
(
    wallet           FixedString(20),
    token            FixedString(32),
    held             Int64,                   -- tracked shares: open quantity, or settled quantity without redemptions
    cost             Int64,
    external_shares  Int64,
    realized         Int64,
    bought           Int64,
    bought_cost      Int64,
    fees             Int64,
    untracked_shares Int64,
    untracked_cash   Int64,
    basis_out        Int64,
    redeemed         Int64,                   -- tracked shares burned by redemptions
    redeemed_cash    Int64,
    settled_value    Int64,
    first_ts         DateTime('UTC'),
    last_ts          DateTime('UTC'),
    realized_ts      DateTime('UTC'),
    held_at          Array(Int64),            -- at the start of 1d, 7d, 30d, 90d, 180d
    cost_at          Array(Int64),
    realized_at      Array(Int64),
    bought_at        Array(Int64)             -- cost of everything bought so far
)
ENGINE = Memory;

-- What a (wallet, token) moved in its whole life and inside 1d, 7d, 30d, 90d, 180d: input of `wallet_totals`. The zero
-- token stands for what belongs to no token.
CREATE TABLE IF NOT EXISTS pair_sums
(
    wallet         FixedString(20),
    token          FixedString(32),
    fees           Array(Int64),
    volume         Array(Int64),
    trades         Array(Int64),
    redeemed_cash  Array(Int64),
    income         Array(Int64),
    first_trade_ts DateTime('UTC'),
    last_trade_ts  DateTime('UTC')
)
ENGINE = Memory;

CREATE TABLE IF NOT EXISTS positions
(
    wallet           FixedString(20),
    token            FixedString(32),
    condition        String,
    outcome          UInt8,
    unit             String,                  -- condition id, or the neg-risk market id if the wallet converted there
    category         LowCardinality(String),
    shares           Int64,                   -- tracked shares still held (settled ones until redeemed)
    external_shares  Int64,                   -- held shares whose arrival was not seen
    cost             Int64,                   -- basis of the open tracked shares
    bought           Int64,
    bought_cost      Int64,
    fees             Int64,
    realized         Int64,
    unrealized       Nullable(Int64),         -- null = open without a mark
    untracked_shares Int64,
    untracked_cash   Int64,
    basis_out        Int64,
    settled_shares   Int64,
    settled_value    Int64,
    redeemed_cash    Int64,
    mark_e6          Nullable(Int64),
    mark_source      LowCardinality(String),
    status           Enum8('OPEN' = 1, 'SETTLED' = 2, 'CLOSED' = 3),
    first_ts         DateTime('UTC'),
    last_ts          DateTime('UTC'),
    realized_ts      DateTime('UTC'),         -- last event that changed `realized` (0 = none)
    realized_1d      Int64,                   -- realised inside the window
    realized_7d      Int64,
    realized_30d     Int64,
    realized_90d     Int64,
    realized_180d    Int64,
    unrealized_1d    Nullable(Int64),         -- change of the unrealised value over the window
    unrealized_7d    Nullable(Int64),
    unrealized_30d   Nullable(Int64),
    unrealized_90d   Nullable(Int64),
    unrealized_180d  Nullable(Int64),
    bought_cost_1d   Int64,                   -- cost of what was bought inside the window
    bought_cost_7d   Int64,
    bought_cost_30d  Int64,
    bought_cost_90d  Int64,
    bought_cost_180d Int64,
    version          UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token);

CREATE TABLE IF NOT EXISTS units
(
    wallet        FixedString(20),
    unit          String,
    conditions    Array(String),
    category      LowCardinality(String),
    realized      Int64,
    unrealized    Nullable(Int64),
    unmarked      UInt32,                     -- open positions without a mark
    cost          Int64,
    bought_cost   Int64,
    fees          Int64,
    untracked_cash Int64,
    redeemed_cash Int64,
    is_open       Bool,
    result        Enum8('' = 0, 'WIN' = 1, 'LOSS' = 2, 'FLAT' = 3),
    closed_ts     DateTime('UTC'),            -- last event that changed realised; 0 while open
    first_ts      DateTime('UTC'),
    last_ts       DateTime('UTC'),
    realized_1d   Int64,
    realized_7d   Int64,
    realized_30d  Int64,
    realized_90d  Int64,
    realized_180d Int64,
    unrealized_1d   Nullable(Int64),
    unrealized_7d   Nullable(Int64),
    unrealized_30d  Nullable(Int64),
    unrealized_90d  Nullable(Int64),
    unrealized_180d Nullable(Int64),
    bought_cost_1d   Int64,
    bought_cost_7d   Int64,
    bought_cost_30d  Int64,
    bought_cost_90d  Int64,
    bought_cost_180d Int64,
    version       UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, unit);

CREATE TABLE IF NOT EXISTS wallet_totals
(
    wallet         FixedString(20),
    category       LowCardinality(String),    -- 'overall' = all categories
    window         LowCardinality(String),    -- 1d 7d 30d 90d 180d lifetime
    realized       Int64,
    unrealized     Nullable(Int64),           -- null if any open position has no mark; see the next two
    unrealized_marked Int64,                  -- sum over the marked ones
    unmarked       UInt32,                    -- how many are not
    fees           Int64,
    income         Int64,                     -- overall rows only
    untracked_cash Int64,
    redeemed_cash  Int64,
    volume         Int64,
    trades         UInt64,
    markets        UInt32,
    wins           UInt32,
    losses         UInt32,
    flats          UInt32,
    open_units     UInt32,
    gains          Int64,                     -- sum of positive results of the units closed in the window
    losses_abs     Int64,
    bought_cost    Int64,
    first_trade_ts DateTime('UTC'),           -- of the whole life, whatever the window
    last_trade_ts  DateTime('UTC'),
    version        UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, category, window);

CREATE TABLE IF NOT EXISTS wallet_coverage
(
    wallet      FixedString(20),
    coverage    LowCardinality(String),       -- chain | rest | mixed
    provisional Array(String),                -- reasons why a number may still move
    version     UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY wallet;

CREATE TABLE IF NOT EXISTS builds
(
    build      UInt64,                        -- = version of the rows it wrote
    as_of      DateTime('UTC'),               -- time of the newest ledger row: windows end here
    scope      LowCardinality(String),        -- all | touched
    wallets    UInt64,
    rows       UInt64,
    seconds    Float64,
    created_at DateTime('UTC')
)
ENGINE = MergeTree
ORDER BY build;
