-- Trades with the prices around them (models/priced_trades.py; docs/entries.md): rows of the metrics about prices.

-- The role of a fill, where the source that speaks for its transaction knows it.
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS role Enum8('' = 0, 'TAKER' = 1, 'MAKER' = 2, 'DIRECT' = 3) DEFAULT '' AFTER label;

-- When the game of a sports market starts: its market closes for the closing price, whatever end is listed.
ALTER TABLE markets ADD COLUMN IF NOT EXISTS game_start_ts DateTime('UTC') AFTER closed_ts;

CREATE OR REPLACE VIEW markets_current AS SELECT * FROM markets FINAL;

CREATE OR REPLACE VIEW vw_markets AS
SELECT
    lower(concat('0x', hex(condition))) AS condition_id,
    source, market_id,
    if(question_id = '', '', lower(concat('0x', hex(question_id)))) AS question_hash,
    question, slug, event_id, outcomes,
    arrayMap(t -> toString(reinterpretAsUInt256(reverse(t))), tokens) AS token_ids,
    neg_risk,
    if(neg_risk_market = '', '', lower(concat('0x', hex(neg_risk_market)))) AS neg_risk_market_id,
    if(question_index = 65535, NULL, question_index) AS question_index,
    tags, start_ts, end_ts, closed_ts,
    if(toUnixTimestamp(game_start_ts) = 0, NULL, game_start_ts) AS game_start_ts,
    closed,
    if(fee_rate_e6 < 0, NULL, toDecimal128(fee_rate_e6, 6) / 1000000) AS fee_rate,
    status,
    arrayMap(p -> toDecimal128(p, 6) / 1000000, prices_e6) AS prices
FROM markets FINAL;

-- One row per wallet, token and transaction. Left out: transactions in which the wallet both buys and sells the token.
-- Prices are those of the token in micro-USDC a share; null = unknown.
CREATE TABLE IF NOT EXISTS priced_trades
(
    wallet        FixedString(20),
    token         FixedString(32) CODEC(ZSTD(1)),
    at            DateTime('UTC') CODEC(Delta, ZSTD(1)),
    tx_key        UInt64,                     -- sipHash64 of the transaction
    is_sale       Bool,
    role          Enum8('' = 0, 'TAKER' = 1, 'MAKER' = 2, 'DIRECT' = 3), -- '' = unknown, or not the same for all its fills
    category      LowCardinality(String),
    kind          LowCardinality(String),     -- of market: single | one_of_many | recurring, and _short | _long
    outcome       UInt8,
    fills         UInt32,
    shares        Int64,                      -- received or given, fees deducted
    cash          Int64,                      -- paid or received, fees included
    fee           Int64,                      -- … of which fees
    volume        Int64,
    earliness_e6  Nullable(Int64),            -- share of the market's life that was left; null = the life is unknown
    resolved_at   UInt32,                     -- of the market, 0 = unresolved
    payout_e6     Nullable(Int64),            -- what a share paid
    closes_at     UInt32,                     -- end of the market's trading for the closing price, 0 = unknown
    before_e6     Nullable(Int64),            -- last price of the hour before the trade's second
    day_before_e6 Nullable(Int64),            -- price 24 hours earlier
    day_open_e6   Nullable(Int64),            -- price when the trade's UTC day began
    -- what nobody could know at the trade: later prices, after the resolution the payout
    after_30s_e6  Nullable(Int64),
    after_2m_e6   Nullable(Int64),
    after_5m_e6   Nullable(Int64),
    after_1h_e6   Nullable(Int64),
    after_6h_e6   Nullable(Int64),
    after_1d_e6   Nullable(Int64),
    day_end_e6    Nullable(Int64),            -- when the trade's UTC day ended
    close_e6      Nullable(Int64),            -- closing price, of trades before it
    version       UInt64 CODEC(Delta, ZSTD(1)),
    is_deleted    UInt8 DEFAULT 0 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token, at, tx_key);

CREATE OR REPLACE VIEW vw_priced_trades AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    at,
    if(is_sale, 'SELL', 'BUY') AS side,
    if(role = '', NULL, toString(role)) AS role,
    category, kind, outcome AS outcome_index, fills,
    toDecimal128(shares, 6) / 1000000 AS shares,
    toDecimal128(cash, 6) / 1000000 AS cash,
    toDecimal128(fee, 6) / 1000000 AS fee,
    toDecimal128(volume, 6) / 1000000 AS volume,
    toDecimal128(earliness_e6, 6) / 1000000 AS earliness,
    if(resolved_at = 0, NULL, toDateTime(resolved_at, 'UTC')) AS resolved_at,
    toDecimal128(payout_e6, 6) / 1000000 AS payout,
    if(closes_at = 0, NULL, toDateTime(closes_at, 'UTC')) AS closes_at,
    toDecimal128(before_e6, 6) / 1000000 AS price_before,
    toDecimal128(day_before_e6, 6) / 1000000 AS price_day_before,
    toDecimal128(day_open_e6, 6) / 1000000 AS price_day_open,
    toDecimal128(after_30s_e6, 6) / 1000000 AS price_after_30s,
    toDecimal128(after_2m_e6, 6) / 1000000 AS price_after_2m,
    toDecimal128(after_5m_e6, 6) / 1000000 AS price_after_5m,
    toDecimal128(after_1h_e6, 6) / 1000000 AS price_after_1h,
    toDecimal128(after_6h_e6, 6) / 1000000 AS price_after_6h,
    toDecimal128(after_1d_e6, 6) / 1000000 AS price_after_1d,
    toDecimal128(day_end_e6, 6) / 1000000 AS price_day_end,
    toDecimal128(close_e6, 6) / 1000000 AS closing_price
FROM priced_trades FINAL;

-- The metrics have a column each and are asked for one wallet at a time: rows lie together in small granules, so that a
-- wallet is read at a quarter of the cost. The next build fills the tables.
DROP TABLE IF EXISTS wallet_metrics_complete;
CREATE TABLE IF NOT EXISTS wallet_metrics_complete
(
    wallet     FixedString(20),
    window     LowCardinality(String),
    as_of      DateTime('UTC'),
    version    UInt64,
    is_deleted UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, window)
SETTINGS index_granularity = 512, min_bytes_for_wide_part = 1000000000000, min_rows_for_wide_part = 1000000000000;

DROP TABLE IF EXISTS wallet_metrics_by_category;
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
ORDER BY (wallet, category, window)
SETTINGS index_granularity = 512, min_bytes_for_wide_part = 1000000000000, min_rows_for_wide_part = 1000000000000;

TRUNCATE TABLE metric_catalogue;
