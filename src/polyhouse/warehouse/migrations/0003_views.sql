-- Views. *_current: the newest row of every key, for code. vw_*: the same for people: hex ids, decimal token ids,
-- exact decimal money. Ids are named condition_id, unit_id, …: here they are text, in the tables they are bytes.

CREATE OR REPLACE VIEW observations_current AS SELECT *, row_key FROM observations FINAL;
CREATE OR REPLACE VIEW events_current AS SELECT * FROM events FINAL;
CREATE OR REPLACE VIEW markets_current AS SELECT * FROM markets FINAL;
CREATE OR REPLACE VIEW tokens_current AS SELECT * FROM tokens FINAL;
CREATE OR REPLACE VIEW resolutions_current AS SELECT * FROM resolutions FINAL;
CREATE OR REPLACE VIEW neg_risk_markets_current AS SELECT * FROM neg_risk_markets FINAL;
CREATE OR REPLACE VIEW given_marks_current AS SELECT * FROM given_marks FINAL;
CREATE OR REPLACE VIEW reported_positions_current AS SELECT * FROM reported_positions FINAL;
CREATE OR REPLACE VIEW reported_holders_current AS SELECT * FROM reported_holders FINAL;
CREATE OR REPLACE VIEW reported_values_current AS SELECT * FROM reported_values FINAL;
CREATE OR REPLACE VIEW sync_pages_current AS SELECT * FROM sync_pages FINAL;

-- Money: Int64 micro units → Decimal(38, 6). The division is of decimals, so it is exact.
CREATE OR REPLACE VIEW vw_observations AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    if(condition = '', '', lower(concat('0x', hex(condition)))) AS condition_id,
    lower(concat('0x', hex(tx))) AS tx_hash,
    source, kind, ts, block, tx_index, pos, sub, ordinal,
    toDecimal128(shares, 6) / 1000000 AS shares,
    toDecimal128(cash, 6) / 1000000 AS cash,
    toDecimal128(shares_gross, 6) / 1000000 AS shares_gross,
    toDecimal128(usdc_gross, 6) / 1000000 AS usdc_gross,
    toDecimal128(fee_net, 6) / 1000000 AS fee_net,
    fee_asset,
    toDecimal128(fee_usdc, 6) / 1000000 AS fee_usdc,
    toDecimal128(refund_usdc, 6) / 1000000 AS refund_usdc,
    toDecimal128(refund_shares, 6) / 1000000 AS refund_shares,
    toDecimal128(price_e12, 12) / 1000000000000 AS price,
    role, match_type, match_pos,
    lower(concat('0x', hex(counterparty))) AS counterparty,
    lower(concat('0x', hex(order_hash))) AS order_hash,
    exchange,
    if(outcome = 999, NULL, outcome) AS outcome_index,
    lower(concat('0x', hex(index_set))) AS index_set,
    arrayMap(x -> toDecimal128(x, 6) / 1000000, amounts) AS amounts,
    label, flags, run, version
FROM observations FINAL;

CREATE OR REPLACE VIEW vw_events AS
SELECT
    event_id, slug, title, tags, category, category_version, series, neg_risk,
    if(neg_risk_market = '', '', lower(concat('0x', hex(neg_risk_market)))) AS neg_risk_market_id,
    neg_risk_fee_bips, start_ts, end_ts, closed
FROM events FINAL;

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
    tags, start_ts, end_ts, closed_ts, closed,
    if(fee_rate_e6 < 0, NULL, toDecimal128(fee_rate_e6, 6) / 1000000) AS fee_rate,
    status,
    arrayMap(p -> toDecimal128(p, 6) / 1000000, prices_e6) AS prices
FROM markets FINAL;

CREATE OR REPLACE VIEW vw_tokens AS
SELECT
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    lower(concat('0x', hex(condition))) AS condition_id,
    outcome AS outcome_index, verified, source
FROM tokens FINAL;

CREATE OR REPLACE VIEW vw_resolutions AS
SELECT
    lower(concat('0x', hex(condition))) AS condition_id,
    source, ts, block, pos, numerators, provisional,
    lower(concat('0x', hex(tx))) AS tx_hash
FROM resolutions FINAL;

CREATE OR REPLACE VIEW vw_reported_positions AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    if(condition = '', '', lower(concat('0x', hex(condition)))) AS condition_id,
    toDecimal128(shares, 6) / 1000000 AS shares,
    toDecimal128(avg_price_e6, 6) / 1000000 AS avg_price,
    toDecimal128(realized, 6) / 1000000 AS realized,
    toDecimal128(unrealized, 6) / 1000000 AS unrealized,
    toDecimal128(current_value, 6) / 1000000 AS current_value,
    status, last_event_ts, seen_at
FROM reported_positions FINAL;

CREATE OR REPLACE VIEW vw_reported_holders AS
SELECT
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    lower(concat('0x', hex(wallet))) AS wallet,
    toDecimal128(shares, 6) / 1000000 AS shares,
    if(outcome = 999, NULL, outcome) AS outcome_index,
    seen_at
FROM reported_holders FINAL;

CREATE OR REPLACE VIEW vw_reported_values AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toDecimal128(value, 6) / 1000000 AS value,
    seen_at
FROM reported_values FINAL;

CREATE OR REPLACE VIEW vw_ledger AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    ts, block, tx_index, pos, sub,
    lower(concat('0x', hex(tx))) AS tx_hash,
    kind, source,
    toDecimal128(ds, 6) / 1000000 AS share_change,
    toDecimal128(du, 6) / 1000000 AS cash_change,
    toDecimal128(fee, 6) / 1000000 AS fee,
    toDecimal128(volume, 6) / 1000000 AS volume,
    if(unit = '', '', lower(concat('0x', hex(unit)))) AS unit_id,
    label
FROM ledger FINAL;

CREATE OR REPLACE VIEW vw_unmapped AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    if(condition = '', '', lower(concat('0x', hex(condition)))) AS condition_id,
    reason, rows,
    toDecimal128(cash, 6) / 1000000 AS cash
FROM unmapped FINAL;

CREATE OR REPLACE VIEW vw_token_map AS
SELECT
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    lower(concat('0x', hex(condition))) AS condition_id,
    outcome AS outcome_index, category,
    if(neg_risk_market = '', '', lower(concat('0x', hex(neg_risk_market)))) AS neg_risk_market_id,
    question_index, resolved, numerator, denominator, resolved_ts, provisional,
    toDecimal128(mark_e6, 6) / 1000000 AS mark,
    mark_ts, mark_source
FROM token_map FINAL;

CREATE OR REPLACE VIEW vw_positions AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    toString(reinterpretAsUInt256(reverse(token))) AS token_id,
    lower(concat('0x', hex(condition))) AS condition_id,
    outcome AS outcome_index,
    lower(concat('0x', hex(unit))) AS unit_id,
    category,
    toDecimal128(shares, 6) / 1000000 AS shares,
    toDecimal128(external_shares, 6) / 1000000 AS external_shares,
    toDecimal128(cost, 6) / 1000000 AS cost,
    toDecimal128(bought, 6) / 1000000 AS bought,
    toDecimal128(bought_cost, 6) / 1000000 AS bought_cost,
    toDecimal128(fees, 6) / 1000000 AS fees,
    toDecimal128(realized, 6) / 1000000 AS realized,
    toDecimal128(unrealized, 6) / 1000000 AS unrealized,
    toDecimal128(untracked_shares, 6) / 1000000 AS untracked_shares,
    toDecimal128(untracked_cash, 6) / 1000000 AS untracked_cash,
    toDecimal128(settled_shares, 6) / 1000000 AS settled_shares,
    toDecimal128(settled_value, 6) / 1000000 AS settled_value,
    toDecimal128(redeemed_cash, 6) / 1000000 AS redeemed_cash,
    toDecimal128(mark_e6, 6) / 1000000 AS mark,
    mark_source, status, first_ts, last_ts, realized_ts
FROM positions FINAL;

CREATE OR REPLACE VIEW vw_units AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    lower(concat('0x', hex(unit))) AS unit_id,
    arrayMap(c -> lower(concat('0x', hex(c))), conditions) AS condition_ids,
    category,
    toDecimal128(realized, 6) / 1000000 AS realized,
    toDecimal128(unrealized, 6) / 1000000 AS unrealized,
    unmarked,
    toDecimal128(cost, 6) / 1000000 AS cost,
    toDecimal128(bought_cost, 6) / 1000000 AS bought_cost,
    toDecimal128(fees, 6) / 1000000 AS fees,
    toDecimal128(untracked_cash, 6) / 1000000 AS untracked_cash,
    toDecimal128(redeemed_cash, 6) / 1000000 AS redeemed_cash,
    is_open, result, closed_ts, first_ts, last_ts
FROM units FINAL;

CREATE OR REPLACE VIEW vw_wallet_totals AS
SELECT
    lower(concat('0x', hex(wallet))) AS wallet,
    category, window,
    toDecimal128(realized, 6) / 1000000 AS realized,
    toDecimal128(unrealized, 6) / 1000000 AS unrealized,
    toDecimal128(unrealized_marked, 6) / 1000000 AS unrealized_marked,
    unmarked,
    toDecimal128(fees, 6) / 1000000 AS fees,
    toDecimal128(income, 6) / 1000000 AS income,
    toDecimal128(untracked_cash, 6) / 1000000 AS untracked_cash,
    toDecimal128(redeemed_cash, 6) / 1000000 AS redeemed_cash,
    toDecimal128(volume, 6) / 1000000 AS volume,
    trades, markets, wins, losses, flats, open_units,
    toDecimal128(gains, 6) / 1000000 AS gains,
    toDecimal128(losses_abs, 6) / 1000000 AS losses_abs,
    toDecimal128(bought_cost, 6) / 1000000 AS bought_cost,
    first_trade_ts, last_trade_ts
FROM wallet_totals FINAL;

CREATE OR REPLACE VIEW vw_wallet_coverage AS
SELECT lower(concat('0x', hex(wallet))) AS wallet, coverage, provisional
FROM wallet_coverage FINAL;

CREATE OR REPLACE VIEW vw_sync_pages AS
SELECT
    stream, partition, seq, position_from, position_to, rows, rejected, ignored, is_last, lower(hex(digest)) AS digest, run, written_at
FROM sync_pages FINAL;
