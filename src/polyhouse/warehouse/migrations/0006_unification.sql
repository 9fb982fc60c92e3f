-- Trades of every source in one place, and what Polymarket publishes beside what we compute.
-- Columns of the tables and their meaning: polyhouse/tables.py.

-- The vw_ views name wallets as text. Text and bytes sort alike, so the text of a wallet finds its granule.
ALTER TABLE observations ADD INDEX IF NOT EXISTS wallet_text lower(concat('0x', hex(wallet))) TYPE minmax GRANULARITY 1;
ALTER TABLE observations MATERIALIZE INDEX wallet_text;

CREATE TABLE IF NOT EXISTS reported_pnl
(
    wallet         FixedString(20),
    series         LowCardinality(String),
    ts             DateTime('UTC') CODEC(Delta, LZ4),
    block          UInt32,
    realized       Int64,
    unrealized     Int64,
    has_unrealized Bool,
    fees_paid      Int64,
    income         Int64,
    gross_pnl      Int64,
    volume         Int64,
    fills          UInt64,
    markets        UInt64,
    run            UInt64 CODEC(Delta, LZ4),
    seen_at        DateTime('UTC') CODEC(Delta, LZ4),
    version        UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (wallet, series, ts)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS reconciliation
(
    wallet     FixedString(20),
    kind       LowCardinality(String),
    detail     String,
    run        UInt64 CODEC(Delta, LZ4),
    as_of      DateTime('UTC') CODEC(Delta, LZ4),
    theirs_ts  DateTime('UTC') CODEC(Delta, LZ4),
    ours       Int64,
    theirs     Int64,
    difference Int64,
    cause      LowCardinality(String),
    version    UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (wallet, kind, detail, run)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE OR REPLACE VIEW reported_pnl_current AS SELECT * FROM reported_pnl FINAL;
CREATE OR REPLACE VIEW reconciliation_current AS SELECT * FROM reconciliation FINAL;

CREATE OR REPLACE VIEW vw_reported_pnl AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    series, ts, block,
    toDecimal128(realized, 6) / 1000000 AS realized,
    if(has_unrealized, toDecimal128(unrealized, 6) / 1000000, NULL) AS unrealized,
    toDecimal128(fees_paid, 6) / 1000000 AS fees_paid,
    toDecimal128(income, 6) / 1000000 AS income,
    toDecimal128(gross_pnl, 6) / 1000000 AS gross_pnl,
    toDecimal128(volume, 6) / 1000000 AS volume,
    fills, markets, run, seen_at
FROM reported_pnl FINAL;

CREATE OR REPLACE VIEW vw_reconciliation AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    kind, detail, run, as_of, theirs_ts,
    toDecimal128(ours, 6) / 1000000 AS ours,
    toDecimal128(theirs, 6) / 1000000 AS theirs,
    toDecimal128(difference, 6) / 1000000 AS difference,
    cause
FROM reconciliation FINAL;

-- Fills of every source with the verdict of models/ledger.sql (the same rules; a test holds both equal).
CREATE OR REPLACE VIEW vw_trades_unified AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    if(condition = '', '', lower(concat('0x', hex(condition)))) AS condition_id,
    if(outcome = 999, NULL, outcome) AS outcome_index,
    lower(concat('0x', hex(tx))) AS tx_hash,
    toString(source) AS source,
    rank = best_rank AND NOT is_overruled AS wins,
    ts, block, tx_index, pos, sub, ordinal,
    toString(kind) AS side,
    if(role = '', NULL, toString(role)) AS role,
    toDecimal128(shares, 6) / 1000000 AS shares,
    toDecimal128(cash, 6) / 1000000 AS cash,
    toDecimal128(fee_usdc, 6) / 1000000 AS fee,
    toDecimal128(toInt128(usdc_gross) - refund_usdc, 6) / 1000000 AS volume,
    multiIf(price_e12 > 0, toDecimal128(price_e12, 12) / 1000000000000,
            shares_gross > refund_shares,
            toDecimal128(intDiv(toInt128(usdc_gross - refund_usdc) * 1000000000000, shares_gross - refund_shares), 12) / 1000000000000,
            NULL) AS price,
    match_type, exchange,
    if(counterparty = toFixedString('', 20), NULL, lower(concat('0x', hex(counterparty)))) AS counterparty,
    if(order_hash = toFixedString('', 32), NULL, lower(concat('0x', hex(order_hash)))) AS order_hash,
    label, run, row_key
FROM
(
    SELECT
        *,
        min(rank) OVER (PARTITION BY wallet, tx, slot) AS best_rank,
        condition != '' AND NOT is_cash AND source != 'chain'
            AND max(source = 'chain' AND NOT is_cash) OVER (PARTITION BY wallet, tx, condition) AS is_overruled
    FROM
    (
        SELECT
            *,
            row_key,
            toString(kind) IN ('INCOME', 'DEPOSIT', 'WITHDRAWAL', 'TIP') AS is_cash,
            multiIf(is_cash, concat(toString(kind), toString(label)),
                    toString(kind) = 'CONVERT', 'CONVERT',
                    toString(kind) IN ('SPLIT', 'MERGE', 'REDEEM'), concat(toString(kind), condition),
                    toString(token)) AS slot,
            bitShiftLeft(toUInt64(transform(toString(source), ['chain', 'activity', 'trades', 'subgraph', 'dump'], [1, 2, 3, 4, 5], 9)), 40)
                + if(is_cash, 0, bitShiftLeft(toUInt64(toUInt32(ts)), 2))
                + (source = 'dump' AND price_e12 > 0) AS rank
        FROM observations FINAL
    )
)
WHERE kind IN ('BUY', 'SELL');

-- One row per fill: those of the winning source.
CREATE OR REPLACE VIEW vw_trades_canonical AS
SELECT
    wallet, token_id, condition_id, outcome_index, tx_hash, source, ts, block, tx_index, pos, sub, ordinal, side, role,
    shares, cash, fee, volume, price, match_type, exchange, counterparty, order_hash, label, row_key
FROM vw_trades_unified
WHERE wins;
