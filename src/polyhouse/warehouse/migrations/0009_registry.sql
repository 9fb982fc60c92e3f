-- The registry of wallets and the record of runs as SQL sees them, and the names of older systems as views.
-- Columns of the tables and their meaning: polyhouse/tables.py. Every view: docs/tables.md. Settings: see 0001.

CREATE TABLE IF NOT EXISTS wallet_registry
(
    wallet           FixedString(20),
    status           LowCardinality(String),
    provenance       Array(String),
    first_seen       DateTime('UTC'),
    last_seen        DateTime('UTC'),
    attempts         UInt32,
    next_attempt     DateTime('UTC'),
    last_error       String,
    last_attempt_at  DateTime('UTC'),
    last_synced_at   DateTime('UTC'),
    sync_duration_ms UInt64,
    trades_synced    UInt64,
    rows_synced      UInt64,
    last_trade_at    DateTime('UTC'),
    whale_score      Int64,
    due_at           DateTime('UTC'),
    queued_reason    LowCardinality(String),
    updated_at       DateTime('UTC') CODEC(Delta, LZ4),
    version          UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY wallet
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE TABLE IF NOT EXISTS sync_runs
(
    run_id      UInt64,
    command     LowCardinality(String),
    args        String,
    started_at  DateTime('UTC'),
    finished_at DateTime('UTC'),
    status      LowCardinality(String),
    counts      String,
    error       String,
    version     UInt64 CODEC(Delta, LZ4)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY run_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 65536, max_compress_block_size = 262144;

CREATE OR REPLACE VIEW wallet_registry_current AS SELECT * FROM wallet_registry FINAL;
CREATE OR REPLACE VIEW sync_runs_current AS SELECT * FROM sync_runs FINAL;

-- The registry and the runs for people -------------------------------------------------------------------------------

-- Statuses as older systems name them: parked wallets are failed ones that are given up, empty ones were skipped.
CREATE OR REPLACE VIEW wallet_sync_metadata AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet_address,
    transform(toString(status), ['parked', 'empty'], ['failed', 'skipped'], toString(status)) AS sync_status,
    toString(status) AS queue_status,
    trades_synced AS total_trades_synced,
    rows_synced AS total_trades_processed,
    nullIf(last_synced_at, toDateTime(0, 'UTC')) AS last_synced_at,
    nullIf(last_error, '') AS last_error,
    attempts AS error_count,
    sync_duration_ms,
    if(sync_duration_ms = 0, NULL, toDecimal64(rows_synced, 2) * 1000 / sync_duration_ms) AS trades_per_second,
    nullIf(last_trade_at, toDateTime(0, 'UTC')) AS last_trade_timestamp,
    toBool(status IN ('pending', 'failed') AND toUnixTimestamp(r.last_synced_at) > 0) AS needs_resync,
    '2' AS sync_version,
    provenance AS discovery_sources,
    toDecimal32(whale_score, 1) / 10 AS whale_score,
    nullIf(last_attempt_at, toDateTime(0, 'UTC')) AS last_attempt_at,
    if(status = 'failed', nullIf(next_attempt, toDateTime(0, 'UTC')), NULL) AS next_attempt_at,
    nullIf(due_at, toDateTime(0, 'UTC')) AS due_at,
    first_seen AS created_at,
    last_seen AS last_seen_at,
    updated_at
FROM wallet_registry AS r FINAL;

CREATE OR REPLACE VIEW wallet_sync_progress AS
SELECT
    sync_status,
    queue_status,
    count() AS wallet_count,
    sum(total_trades_synced) AS total_trades,
    round(avg(total_trades_synced), 1) AS avg_trades,
    max(last_synced_at) AS last_synced_at,
    round(avgIf(sync_duration_ms, sync_duration_ms > 0) / 1000, 3) AS avg_seconds
FROM wallet_sync_metadata
GROUP BY sync_status, queue_status
ORDER BY indexOf(['completed', 'syncing', 'pending', 'failed', 'skipped'], sync_status), queue_status;

-- The order is the queue's own (state/priority.py, a test holds both equal): the moment at which a wallet became due
-- less the bonus of its class. priority_score = seconds that have passed since then.
CREATE OR REPLACE VIEW wallets_needing_sync AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet_address,
    toInt64(toUnixTimestamp(now())) - toInt64(toUnixTimestamp(r.due_at))
        + multiIf(r.whale_score >= 50, 10800 + (least(r.whale_score, 100) - 50) * 360,
                  toUnixTimestamp(r.last_synced_at) = 0, 7200, 0) AS priority_score,
    multiIf(r.whale_score >= 50, 'whale', toUnixTimestamp(r.last_synced_at) = 0, 'new', 'stale') AS priority_class,
    multiIf(r.status = 'failed', concat('failed ', toString(attempts), if(attempts = 1, ' time', ' times'), ', due again'),
            r.whale_score >= 50, concat('whale ', toString(toDecimal32(r.whale_score, 1) / 10)),
            toUnixTimestamp(r.last_synced_at) = 0, 'never read',
            r.status = 'completed' OR r.queued_reason = 'stale', 'read more than 6 hours ago',
            'queued') AS reason,
    toString(r.queued_reason) AS queued_reason,
    toString(r.status) AS queue_status,
    toDecimal32(r.whale_score, 1) / 10 AS whale_score,
    attempts AS error_count,
    nullIf(r.last_error, '') AS last_error,
    r.due_at AS due_at,
    nullIf(r.last_synced_at, toDateTime(0, 'UTC')) AS last_synced_at
FROM wallet_registry AS r FINAL
WHERE r.status = 'pending' OR (r.status IN ('failed', 'completed') AND toUnixTimestamp(r.due_at) > 0 AND r.due_at <= now())
ORDER BY priority_score DESC, wallet;

CREATE OR REPLACE VIEW failed_wallets AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet_address,
    toString(status) AS queue_status,
    toBool(status = 'parked') AS is_given_up,
    attempts AS error_count,
    r.last_error AS last_error,
    nullIf(r.last_attempt_at, toDateTime(0, 'UTC')) AS last_attempt_at,
    if(status = 'parked', NULL, nullIf(next_attempt, toDateTime(0, 'UTC'))) AS next_attempt_at,
    nullIf(r.last_synced_at, toDateTime(0, 'UTC')) AS last_synced_at
FROM wallet_registry AS r FINAL
WHERE status IN ('failed', 'parked')
ORDER BY is_given_up DESC, error_count DESC, wallet;

CREATE OR REPLACE VIEW discovered_wallets AS
SELECT
    wallet_address, discovery_sources, created_at AS discovered_at, last_seen_at,
    toBool(queue_status IN ('pending', 'failed')) AS needs_sync,
    last_synced_at,
    error_count AS sync_attempts,
    last_error AS sync_error,
    created_at, updated_at
FROM wallet_sync_metadata;

CREATE OR REPLACE VIEW wallets_by_source AS
SELECT
    discovery_source,
    count() AS wallet_count,
    countIf(queue_status IN ('completed', 'empty')) AS synced,
    countIf(queue_status IN ('pending', 'failed')) AS needing_sync,
    min(created_at) AS first_discovered_at,
    max(created_at) AS last_discovered_at
FROM wallet_sync_metadata ARRAY JOIN discovery_sources AS discovery_source
GROUP BY discovery_source
ORDER BY wallet_count DESC, discovery_source;

-- One row per run, newest first. What a run did with the rows it fetched is counted while it writes them (sync/census.py).
CREATE OR REPLACE VIEW daily_sync_checkpoint AS
SELECT
    run_id,
    toString(command) AS command,
    toString(status) AS status,
    r.started_at AS started_at,
    nullIf(r.finished_at, toDateTime(0, 'UTC')) AS finished_at,
    r.started_at AS last_sync_time,
    if(toUnixTimestamp(r.finished_at) = 0, NULL,
       toInt64(toUnixTimestamp(r.finished_at)) - toInt64(toUnixTimestamp(r.started_at))) AS sync_duration_seconds,
    JSONExtractUInt(counts, 'trades_fetched') AS trades_fetched,
    JSONExtractUInt(counts, 'markets_fetched') AS markets_fetched,
    JSONExtractUInt(counts, 'events_fetched') AS events_fetched,
    arraySum(arrayMap(x -> JSONExtractUInt(counts, x), ['wallets_completed', 'wallets_empty', 'wallets_failed']))
        AS wallets_processed,
    JSONExtractUInt(counts, 'ledger_inserted') AS ledger_rows_inserted,
    JSONExtractUInt(counts, 'ledger_updated') AS ledger_rows_updated,
    JSONExtractUInt(counts, 'ledger_unchanged') AS ledger_rows_unchanged,
    JSONExtractUInt(counts, 'rows_inserted') AS rows_inserted,
    JSONExtractUInt(counts, 'rows_updated') AS rows_updated,
    JSONExtractUInt(counts, 'rows_unchanged') AS rows_unchanged,
    JSONExtractUInt(counts, 'rejected') AS rows_rejected,
    nullIf(error, '') AS error
FROM sync_runs AS r FINAL
ORDER BY run_id DESC;

-- Names of older systems over our tables ------------------------------------------------------------------------------

CREATE OR REPLACE VIEW condition_market_map AS
SELECT
    lower(concat('0x', hex(m.condition))) AS condition_id,
    m.number AS market_id,
    m.event AS event_id,
    toString(e.category) AS canonical_category,
    if(empty(e.tags), m.market_tags, e.tags) AS raw_tags,
    toDateTime(intDiv(m.newest, 1000000), 'UTC') AS ingested_at
FROM
(
    SELECT condition, max(market_id) AS number, max(event_id) AS event, argMax(tags, length(tags)) AS market_tags,
           max(version) AS newest
    FROM markets FINAL WHERE condition != '' GROUP BY condition
) AS m
LEFT JOIN (SELECT event_id, category, tags FROM events FINAL) AS e ON e.event_id = m.event;

-- One row per condition, the fullest source first: gamma, then the order book, the chain, files.
CREATE OR REPLACE VIEW markets_dim AS
SELECT
    lower(concat('0x', hex(condition))) AS condition_id,
    max(market_id) AS market_id,
    argMin(question, (question = '', place)) AS question,
    argMin(slug, (slug = '', place)) AS market_slug,
    max(m.event_id) AS event_id,
    argMin(outcomes, (empty(outcomes), place)) AS outcome_names,
    argMin(start_ts, (toUnixTimestamp(start_ts) = 0, place)) AS start_time,
    argMin(end_ts, (toUnixTimestamp(end_ts) = 0, place)) AS end_time,
    max(closed) AS is_closed
FROM (SELECT *, transform(toString(source), ['gamma', 'clob', 'chain'], [1, 2, 3], 4) AS place FROM markets FINAL) AS m
WHERE condition != ''
GROUP BY condition;

CREATE OR REPLACE VIEW events_dim AS
SELECT event_id, toString(category) AS canonical_category, tags AS raw_tags, title, slug AS event_slug, start_ts AS start_time, end_ts AS end_time
FROM events FINAL;

CREATE OR REPLACE VIEW trades_raw AS
SELECT
    concat(t.tx_hash, '-', lower(hex(t.row_key))) AS trade_id,
    t.wallet AS wallet_address,
    m.market_id AS market_id,
    t.condition_id AS condition_id,
    t.token_id AS token_id,
    t.ts AS timestamp,
    multiIf(t.outcome_index = 0, 'YES', t.outcome_index = 1, 'NO', '') AS side,
    t.side AS action,
    t.price AS entry_price,
    t.shares AS shares,
    t.cash AS usd_value,
    t.fee AS fee_usd,
    t.tx_hash AS transaction_hash,
    t.source AS source
FROM vw_trades_canonical AS t
LEFT JOIN (SELECT condition_id, market_id FROM markets_dim) AS m ON m.condition_id = t.condition_id;

CREATE OR REPLACE VIEW trades AS
SELECT
    concat(t.tx_hash, '-', lower(hex(t.row_key))) AS id,
    t.condition_id AS condition_id,
    t.wallet AS wallet_address,
    t.ts AS timestamp,
    t.side AS side,
    t.price AS price,
    t.shares AS shares_normalized,
    if(t.outcome_index IS NULL, '', m.outcome_names[assumeNotNull(t.outcome_index) + 1]) AS token_label,
    t.token_id AS token_id,
    t.tx_hash AS tx_hash,
    t.order_hash AS order_hash
FROM vw_trades_canonical AS t
LEFT JOIN (SELECT condition_id, outcome_names FROM markets_dim) AS m ON m.condition_id = t.condition_id;

CREATE OR REPLACE VIEW wallet_trades AS
SELECT
    concat(t.tx_hash, '-', lower(hex(t.row_key))) AS trade_id,
    t.wallet AS wallet_address,
    m.market_id AS market_id,
    m.question AS market_title,
    t.condition_id AS condition_id,
    t.side AS side,
    if(t.outcome_index IS NULL, '', m.outcome_names[assumeNotNull(t.outcome_index) + 1]) AS outcome,
    t.shares AS shares,
    t.price AS price,
    t.cash AS amount_usd,
    t.ts AS executed_at
FROM vw_trades_canonical AS t
LEFT JOIN (SELECT condition_id, market_id, question, outcome_names FROM markets_dim) AS m ON m.condition_id = t.condition_id;

CREATE OR REPLACE VIEW api_trades_staging AS
SELECT
    concat(tx_hash, '-', lower(hex(row_key))) AS id,
    wallet AS wallet_address, condition_id,
    token_id AS asset_id,
    side, shares AS size, price, ts AS timestamp, tx_hash AS transaction_hash, fee AS fee_amount, source
FROM vw_trades_unified
WHERE source IN ('activity', 'trades');

CREATE OR REPLACE VIEW wallet_positions AS
SELECT
    lower(concat('0x', hex(p.wallet))) AS wallet_address,
    m.market_id AS market_id,
    m.question AS market_title,
    lower(concat('0x', hex(p.condition))) AS condition_id,
    toString(reinterpretAsUInt256(reverse(p.token))) AS token_id,
    m.outcome_names[p.outcome + 1] AS outcome,
    toDecimal128(p.shares, 6) / 1000000 AS shares,
    if(p.shares = 0, NULL, toDecimal128(intDiv(toInt128(p.cost) * 1000000, p.shares), 6) / 1000000) AS entry_price,
    toDecimal128(p.mark_e6, 6) / 1000000 AS current_price,
    toDecimal128(intDiv(toInt128(p.shares) * p.mark_e6, 1000000), 6) / 1000000 AS position_value_usd,
    toDecimal128(p.unrealized, 6) / 1000000 AS unrealized_pnl_usd,
    p.first_ts AS opened_at,
    p.last_ts AS last_updated
FROM (SELECT * FROM positions FINAL WHERE status = 'OPEN') AS p
LEFT JOIN (SELECT condition_id, market_id, question, outcome_names FROM markets_dim) AS m
    ON m.condition_id = lower(concat('0x', hex(p.condition)));

CREATE OR REPLACE VIEW wallet_closed_positions AS
SELECT
    concat(lower(concat('0x', hex(p.wallet))), '-', toString(reinterpretAsUInt256(reverse(p.token)))) AS position_id,
    lower(concat('0x', hex(p.wallet))) AS wallet_address,
    m.market_id AS market_id,
    m.question AS market_title,
    lower(concat('0x', hex(p.condition))) AS condition_id,
    m.outcome_names[p.outcome + 1] AS outcome,
    toDecimal128(p.bought, 6) / 1000000 AS shares,
    if(p.bought = 0, NULL, toDecimal128(intDiv(toInt128(p.bought_cost) * 1000000, p.bought), 6) / 1000000) AS entry_price,
    if(p.bought = 0, NULL, toDecimal128(intDiv((toInt128(p.bought_cost) + p.realized) * 1000000, p.bought), 6) / 1000000) AS exit_price,
    toDecimal128(p.realized, 6) / 1000000 AS realized_pnl_usd,
    toBool(p.realized > 0) AS is_win,
    p.first_ts AS opened_at,
    p.realized_ts AS closed_at,
    if(p.realized_ts < p.first_ts, NULL, round((toUnixTimestamp(p.realized_ts) - toUnixTimestamp(p.first_ts)) / 3600, 2)) AS hold_duration_hours
FROM (SELECT * FROM positions FINAL WHERE status != 'OPEN') AS p
LEFT JOIN (SELECT condition_id, market_id, question, outcome_names FROM markets_dim) AS m
    ON m.condition_id = lower(concat('0x', hex(p.condition)));

-- As Polymarket lists them: holders of at least one share, each market as it was last read to the end.
CREATE OR REPLACE VIEW market_holders AS
SELECT
    m.market_id AS market_id,
    lower(concat('0x', hex(t.condition))) AS condition_id,
    lower(concat('0x', hex(h.wallet))) AS wallet_address,
    toString(reinterpretAsUInt256(reverse(h.token))) AS token_id,
    m.outcome_names[t.outcome + 1] AS outcome,
    toDecimal128(h.shares, 6) / 1000000 AS shares,
    toDecimal128(intDiv(toInt128(h.shares) * k.mark_e6, 1000000), 6) / 1000000 AS value,
    round(h.shares * 100 / sum(h.shares) OVER (PARTITION BY h.token), 4) AS market_share_percentage,
    row_number() OVER (PARTITION BY h.token ORDER BY h.shares DESC, h.wallet) AS rank,
    h.seen_at AS seen_at
FROM (SELECT token, wallet, shares, seen_at FROM reported_holders FINAL WHERE shares > 0) AS h
LEFT JOIN (SELECT token, condition, outcome FROM tokens FINAL) AS t ON t.token = h.token
LEFT JOIN (SELECT token, mark_e6 FROM token_map FINAL) AS k ON k.token = h.token
LEFT JOIN (SELECT condition_id, market_id, outcome_names FROM markets_dim) AS m
    ON m.condition_id = lower(concat('0x', hex(t.condition)));

CREATE OR REPLACE VIEW wallet_positions_api AS
SELECT
    lower(concat('0x', hex(r.wallet))) AS wallet_address,
    lower(concat('0x', hex(r.condition))) AS condition_id,
    toString(reinterpretAsUInt256(reverse(r.token))) AS token_id,
    t.outcome AS outcome_index,
    m.outcome_names[t.outcome + 1] AS outcome,
    m.question AS title,
    m.market_slug AS slug,
    m.end_time AS end_date,
    toDecimal128(r.shares, 6) / 1000000 AS size,
    toDecimal128(r.avg_price_e6, 6) / 1000000 AS avg_price,
    toDecimal128(r.realized, 6) / 1000000 AS realized_pnl,
    toDecimal128(r.unrealized, 6) / 1000000 AS cash_pnl,
    toDecimal128(r.current_value, 6) / 1000000 AS current_value,
    toString(r.status) AS status,
    r.seen_at AS fetched_at
FROM (SELECT * FROM reported_positions FINAL WHERE status != 'GONE') AS r
LEFT JOIN (SELECT token, outcome FROM tokens FINAL) AS t ON t.token = r.token
LEFT JOIN (SELECT condition_id, question, market_slug, end_time, outcome_names FROM markets_dim) AS m
    ON m.condition_id = lower(concat('0x', hex(r.condition)));

CREATE OR REPLACE VIEW api_positions_staging AS
SELECT
    wallet_address, condition_id, token_id AS asset_id, outcome_index AS outcome, size,
    avg_price AS entry_price, fetched_at AS timestamp, 'api_positions' AS source
FROM wallet_positions_api;

CREATE OR REPLACE VIEW api_markets_staging AS
SELECT
    m.condition_id AS condition_id,
    m.market_slug AS market_slug,
    m.question AS question,
    m.outcome_names AS outcomes,
    toBool(NOT m.is_closed) AS active,
    m.is_closed AS closed,
    toBool(k.is_resolved) AS resolved,
    if(k.is_resolved AND k.payouts > 0, k.winner, NULL) AS winning_outcome,
    m.end_time AS end_date
FROM markets_dim AS m
LEFT JOIN
(
    SELECT lower(concat('0x', hex(condition))) AS condition_id, max(resolved) AS is_resolved,
           countIf(resolved AND numerator > 0) = 1 AS payouts, argMax(outcome, numerator) AS winner
    FROM token_map FINAL GROUP BY condition
) AS k ON k.condition_id = m.condition_id;

-- Our own omega (accounting 4.1) per wallet and category, under the older names. Money in USDC, ratios with 9 decimals.
CREATE OR REPLACE VIEW wallet_scores_by_category AS
SELECT
    lower(concat('0x', hex(t.wallet))) AS wallet_address,
    toString(t.category) AS category,
    if(t.losses_abs = 0, NULL, toDecimal128(roundBankers(toDecimal256(t.gains, 12) / t.losses_abs, 9), 9)) AS omega_ratio,
    if(t.gains + t.losses_abs = 0, NULL, toDecimal128(roundBankers(toDecimal256(toInt128(t.gains) + 50000000, 12) / (toInt128(t.losses_abs) + 50000000), 9), 9)) AS omega_shrunk,
    t.wins + t.losses + t.flats + t.open_units AS total_positions,
    t.wins + t.losses + t.flats AS closed_positions,
    toDecimal128(toInt128(t.realized) + t.unrealized, 6) / 1000000 AS total_pnl,
    toDecimal128(t.gains, 6) / 1000000 AS total_gains,
    toDecimal128(t.losses_abs, 6) / 1000000 AS total_losses,
    if(t.wins + t.losses = 0, NULL, toDecimal128(roundBankers(toDecimal128(t.wins, 12) / (t.wins + t.losses), 9), 9)) AS win_rate,
    if(t.wins = 0, NULL, toDecimal128(intDiv(t.gains, t.wins), 6) / 1000000) AS avg_gain,
    if(t.losses = 0, NULL, toDecimal128(intDiv(t.losses_abs, t.losses), 6) / 1000000) AS avg_loss,
    if(t.bought_cost = 0, NULL, toDecimal128(roundBankers(toDecimal256(toInt128(t.realized) + t.unrealized, 12) / t.bought_cost, 9), 9)) AS overall_roi,
    multiIf(omega_shrunk IS NULL, NULL, omega_shrunk >= 3, 'S', omega_shrunk >= 2, 'A', omega_shrunk >= 1.5, 'B', omega_shrunk >= 1, 'C', omega_shrunk >= 0.5, 'D', 'F') AS grade,
    toDateTime(intDiv(t.version, 1000000), 'UTC') AS calculated_at
FROM wallet_totals AS t FINAL
WHERE t.window = 'lifetime' AND t.category != 'overall';

CREATE OR REPLACE VIEW wallet_scores AS
SELECT
    lower(concat('0x', hex(t.wallet))) AS wallet_address,
    if(t.losses_abs = 0, NULL, toDecimal128(roundBankers(toDecimal256(t.gains, 12) / t.losses_abs, 9), 9)) AS omega_ratio,
    if(t.gains + t.losses_abs = 0, NULL, toDecimal128(roundBankers(toDecimal256(toInt128(t.gains) + 50000000, 12) / (toInt128(t.losses_abs) + 50000000), 9), 9)) AS omega_shrunk,
    t.wins + t.losses + t.flats + t.open_units AS total_positions,
    t.wins + t.losses + t.flats AS closed_positions,
    toDecimal128(toInt128(t.realized) + t.unrealized, 6) / 1000000 AS total_pnl,
    toDecimal128(t.gains, 6) / 1000000 AS total_gains,
    toDecimal128(t.losses_abs, 6) / 1000000 AS total_losses,
    if(t.wins + t.losses = 0, NULL, toDecimal128(roundBankers(toDecimal128(t.wins, 12) / (t.wins + t.losses), 9), 9)) AS win_rate,
    if(t.wins = 0, NULL, toDecimal128(intDiv(t.gains, t.wins), 6) / 1000000) AS avg_gain,
    if(t.losses = 0, NULL, toDecimal128(intDiv(t.losses_abs, t.losses), 6) / 1000000) AS avg_loss,
    if(t.bought_cost = 0, NULL, toDecimal128(roundBankers(toDecimal256(toInt128(t.realized) + t.unrealized, 12) / t.bought_cost, 9), 9)) AS overall_roi,
    multiIf(omega_shrunk IS NULL, NULL, omega_shrunk >= 3, 'S', omega_shrunk >= 2, 'A', omega_shrunk >= 1.5, 'B', omega_shrunk >= 1, 'C', omega_shrunk >= 0.5, 'D', 'F') AS grade,
    toBool(t.wins + t.losses + t.flats >= 10) AS meets_minimum_trades,
    toDecimal32(s.whale_tenths, 1) / 10 AS whale_score,
    toDecimal32(s.insider_tenths, 1) / 10 AS insider_score,
    toDateTime(intDiv(t.version, 1000000), 'UTC') AS calculated_at
FROM (SELECT * FROM wallet_totals FINAL WHERE window = 'lifetime' AND category = 'overall') AS t
LEFT JOIN (SELECT wallet, toNullable(whale_tenths) AS whale_tenths, insider_tenths FROM wallet_scores_v1 FINAL) AS s ON s.wallet = t.wallet;

CREATE OR REPLACE VIEW wallets AS
SELECT
    lower(concat('0x', hex(r.wallet))) AS wallet_address,
    s.is_whale AS is_whale,
    toDecimal32(s.whale_tenths, 1) / 10 AS whale_score,
    s.is_suspected AS is_suspected_insider,
    toDecimal32(s.insider_tenths, 1) / 10 AS insider_score,
    toDecimal128(t.volume, 6) / 1000000 AS total_volume_usd,
    t.trades AS total_trades,
    t.markets AS total_markets_traded,
    toDecimal128(t.realized, 6) / 1000000 AS realized_pnl_usd,
    toDecimal128(t.unrealized, 6) / 1000000 AS unrealized_pnl_usd,
    toDecimal128(toInt128(t.realized) + t.unrealized, 6) / 1000000 AS total_pnl_usd,
    if(t.wins + t.losses = 0, NULL, toDecimal128(roundBankers(toDecimal128(t.wins, 12) / (t.wins + t.losses), 9), 9)) AS win_rate,
    r.first_seen AS first_seen_at,
    r.last_seen AS last_seen_at,
    nullIf(r.last_synced_at, toDateTime(0, 'UTC')) AS last_processed_at,
    p.active AS active_positions_count,
    p.closed AS closed_positions_count,
    toDecimal128(v.value, 6) / 1000000 AS portfolio_value_usd,
    v.at AS portfolio_last_updated,
    r.updated_at AS updated_at
FROM (SELECT wallet, first_seen, last_seen, last_synced_at, updated_at FROM wallet_registry FINAL) AS r
LEFT JOIN
(
    SELECT wallet, toNullable(volume) AS volume, toNullable(trades) AS trades, toNullable(markets) AS markets,
           toNullable(realized) AS realized, unrealized, wins, losses
    FROM wallet_totals FINAL WHERE window = 'lifetime' AND category = 'overall'
) AS t ON t.wallet = r.wallet
LEFT JOIN
(
    SELECT wallet, toNullable(is_whale) AS is_whale, toNullable(whale_tenths) AS whale_tenths,
           toNullable(is_suspected) AS is_suspected, insider_tenths
    FROM wallet_scores_v1 FINAL
) AS s ON s.wallet = r.wallet
LEFT JOIN
(
    SELECT wallet, countIf(status = 'OPEN') AS active, countIf(status != 'OPEN') AS closed
    FROM positions FINAL GROUP BY wallet
) AS p ON p.wallet = r.wallet
LEFT JOIN
(
    SELECT wallet, toNullable(argMax(value, seen_at)) AS value, toNullable(max(seen_at)) AS at
    FROM reported_values FINAL GROUP BY wallet
) AS v ON v.wallet = r.wallet;

CREATE OR REPLACE VIEW traders AS
SELECT
    wallet_address, queue_status, total_trades_synced AS trades, last_trade_timestamp AS last_trade_at,
    created_at AS first_seen_at, last_seen_at
FROM wallet_sync_metadata
WHERE total_trades_synced > 0;

CREATE OR REPLACE VIEW wallet_pnl_snapshots AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet_address, seen_at AS snapshot_at,
    toDecimal128(value, 6) / 1000000 AS portfolio_value_usd
FROM reported_values FINAL;
