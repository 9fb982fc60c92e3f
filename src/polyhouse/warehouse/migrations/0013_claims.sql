-- What an observation claims: the place in its transaction that sources compete for, and how good the claim is. The
-- rules are those of models/ledger.sql; the ledger and vw_trades_unified read them from here.
ALTER TABLE observations
    ADD COLUMN IF NOT EXISTS is_cash Bool ALIAS toString(kind) IN ('INCOME', 'DEPOSIT', 'WITHDRAWAL', 'TIP'),
    -- 128 bits of a keyed hash: two slots of one store do not collide in the lifetime of the universe
    ADD COLUMN IF NOT EXISTS slot UInt128 ALIAS reinterpretAsUInt128(sipHash128(wallet, tx,
        multiIf(toString(kind) IN ('INCOME', 'DEPOSIT', 'WITHDRAWAL', 'TIP'), concat(toString(kind), toString(label)),
                toString(kind) = 'CONVERT', 'CONVERT',
                toString(kind) IN ('SPLIT', 'MERGE', 'REDEEM'), concat(toString(kind), condition),
                toString(token)))),
    ADD COLUMN IF NOT EXISTS claim UInt64 ALIAS
        bitShiftLeft(toUInt64(transform(toString(source), ['chain', 'activity', 'trades', 'subgraph', 'dump'], [1, 2, 3, 4, 5], 9)), 40)
        + if(toString(kind) IN ('INCOME', 'DEPOSIT', 'WITHDRAWAL', 'TIP'), 0, bitShiftLeft(toUInt64(toUInt32(ts)), 2))
        + (source = 'dump' AND price_e12 > 0);

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
        min(rank) OVER (PARTITION BY wallet, tx, place) AS best_rank,
        condition != '' AND NOT is_cash_row AND source != 'chain'
            AND max(source = 'chain' AND NOT is_cash_row) OVER (PARTITION BY wallet, tx, condition) AS is_overruled
    FROM (SELECT *, row_key, is_cash AS is_cash_row, slot AS place, claim AS rank FROM observations FINAL)
)
WHERE kind IN ('BUY', 'SELL');
