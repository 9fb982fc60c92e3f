-- ledger: what happened, one row per change of a (wallet, token).
-- For one (wallet, token, transaction) the best source wins as a whole, whichever came first. The place that sources
-- compete for (`slot`): a fill, transfer or migration its token; a split, merge or redemption its condition; conversions
-- the transaction (chain names the neg-risk market, REST each burned leg); income and deposits their kind and label.
-- Slot and claim are columns of the observations (migration 0013); the runner names the transactions of which several
-- claims exist in `contested`, so that all others need no comparing.
-- A chain row comes from a complete transaction, so beside one no other source says anything about that condition: what
-- REST calls a merge may be a transfer on chain, and must not be added to it. A transaction has one time; feeds may
-- disagree by a second, then the rows of the earliest time stand. Two dumps of one fill: the one that tells amounts
-- wins over the one that tells a price.
-- Condition-level rows are expanded to their outcomes: splits and merges at alloc(amount, 2) (accounting §2.2),
-- conversions to one row per leg with the collateral on the lowest NO leg (§2.3, §3.6). Rows whose token or condition
-- is unknown stay out and appear in `unmapped`.
-- The runner stages `winners`, the observations that count, but for fills, transfers and migrations: those are most rows and
-- one row of the ledger each, so the runner puts their SELECT in where it is read.
WITH
    legs AS
    (
        SELECT condition, groupArray(2)((outcome, token)) AS outcomes
        FROM (SELECT condition, outcome, token FROM token_map FINAL ORDER BY condition, outcome)
        GROUP BY condition
        HAVING length(outcomes) = 2
    ),
    questions AS
    (
        SELECT
            neg_risk_market AS market,
            arraySort(groupArray((question_index, yes, no))) AS questions
        FROM
        (
            SELECT neg_risk_market, question_index,
                   anyIf(token, outcome = 0) AS yes, anyIf(token, outcome = 1) AS no
            FROM token_map FINAL
            WHERE neg_risk_market != '' AND question_index != 65535
            GROUP BY neg_risk_market, question_index
        )
        GROUP BY neg_risk_market
    ),
    conversions AS
    (
        -- chain: one row per conversion with its index set
        SELECT
            wallet, condition AS market, tx, ts, block, tx_index, pos, order_class, row_key, source, shares AS amount,
            arrayFilter(q -> bitTest(reinterpretAsUInt8(substring(index_set, 32 - intDiv(q, 8), 1)), q % 8), range(256)) AS burned
        FROM winners
        WHERE word = 'CONVERT' AND flags != 'leg'
        UNION ALL
        -- REST: one row per burned NO leg, which names its condition (provisional reading, accounting §1.10). Equal rows
        -- are counted by `ordinal`, so legs of one amount and one ordinal are one conversion.
        SELECT
            w.wallet, t.neg_risk_market AS market, w.tx, min(w.ts), 0, 0, min(w.pos), min(w.order_class), min(w.row_key),
            min(w.source), w.shares AS amount, arraySort(groupUniqArray(t.question_index)) AS burned
        FROM winners AS w
        INNER JOIN
        (
            SELECT condition, neg_risk_market, question_index FROM token_map FINAL WHERE neg_risk_market != '' AND outcome = 1
        ) AS t ON w.condition = t.condition
        WHERE w.word = 'CONVERT' AND w.flags = 'leg'
        GROUP BY w.wallet, w.tx, t.neg_risk_market, w.shares, w.ordinal
    )
SELECT
    wallet, token, ts, block, tx_index, pos, sub, order_class AS cls, tx, row_key, word AS kind, toString(source) AS source,
    ds, du, fee, volume, usdc_gross, shares_gross, unit, amount, convert_cash, label, role
FROM
(
    -- fills, transfers and migrations: one row each
    SELECT
        wallet, token, ts, block, tx_index, pos, sub, order_class, tx, row_key, word, source,
        if(word IN ('BUY', 'TRANSFER_IN') OR (word = 'MIGRATE' AND label = 'to'), shares, -shares) AS ds,
        multiIf(word = 'BUY', -cash, word = 'SELL', cash, 0) AS du,
        fee_usdc AS fee,
        if(word IN ('BUY', 'SELL') AND label = '', usdc_gross - refund_usdc, 0) AS volume,
        usdc_gross, shares_gross,
        '' AS unit, toInt64(0) AS amount, toInt64(0) AS convert_cash, toString(label) AS label,
        if(word IN ('BUY', 'SELL'), toString(role), '') AS role
    FROM (/*winners*/)
    WHERE token IN (SELECT token FROM token_map FINAL)

    UNION ALL
    SELECT
        w.wallet, leg.2 AS token, w.ts, w.block, w.tx_index, w.pos, toUInt16(leg.1) AS sub, w.order_class, w.tx, w.row_key,
        w.word, w.source,
        if(w.word = 'SPLIT', w.shares, -w.shares) AS ds,
        if(w.word = 'SPLIT', -1, 1) * intDiv(w.shares + 1 - leg.1, 2) AS du,
        0, 0, 0, 0, '', 0, 0, '', ''
    FROM winners AS w
    INNER JOIN legs AS l ON w.condition = l.condition
    ARRAY JOIN l.outcomes AS leg
    WHERE w.word IN ('SPLIT', 'MERGE')

    UNION ALL
    -- redemptions: cash on the first redeemed outcome, share counts where the source tells them
    SELECT
        wallet, leg.2 AS token, ts, block, tx_index, pos, toUInt16(leg.1) AS sub, order_class, tx, row_key, word, source,
        0 AS ds,
        if(leg.1 = redeemed[1].1, cash, 0) AS du,
        0, 0, 0, 0, '',
        multiIf(one_outcome, shares, notEmpty(amounts), toInt64(amounts[leg.1 + 1]), -1) AS amount,
        0, '', ''
    FROM
    (
        SELECT
            w.*,
            w.token != toFixedString('', 32) AS one_outcome,
            arrayFilter(o -> multiIf(one_outcome, o.2 = w.token,
                                     notEmpty(w.amounts), w.amounts[o.1 + 1] > 0 OR (arraySum(w.amounts) = 0 AND o.1 = 0),
                                     w.index_set = toFixedString('', 32), true,
                                     bitTest(reinterpretAsUInt8(substring(w.index_set, 32, 1)), o.1)), l.outcomes) AS redeemed
        FROM winners AS w
        INNER JOIN legs AS l ON w.condition = l.condition
        WHERE w.word = 'REDEEM'
    )
    ARRAY JOIN redeemed AS leg

    UNION ALL
    -- conversions: one row per leg
    SELECT
        c.wallet, leg.1 AS token, c.ts, c.block, c.tx_index, c.pos, leg.2 AS sub, c.order_class, c.tx, c.row_key,
        'CONVERT', c.source,
        leg.3 AS ds,
        if(leg.2 = c.burned[1], collateral, 0) AS du,
        0, 0, 0, 0, c.market, c.amount, collateral AS convert_cash, '', ''
    FROM
    (
        SELECT
            c.*,
            c.amount - intDiv(c.amount * n.fee_bips, 10000) AS credited,
            (length(c.burned) - 1) * credited AS collateral,
            arrayFilter(x -> x.3 != 0, arrayMap(
                q -> (if(has(c.burned, q.1), q.3, q.2), q.1,
                      multiIf(has(c.burned, q.1), -c.amount,
                              q.1 < if(n.question_count = 0, length(k.questions), n.question_count), credited, 0)),
                k.questions)) AS changes
        FROM conversions AS c
        INNER JOIN questions AS k ON c.market = k.market
        LEFT JOIN
        (
            SELECT market, argMax(question_count, version) AS question_count, argMax(fee_bips, version) AS fee_bips
            FROM neg_risk_markets FINAL GROUP BY market
        ) AS n ON c.market = n.market
    ) AS c
    ARRAY JOIN c.changes AS leg

    UNION ALL
    SELECT
        wallet, toFixedString('', 32), ts, block, tx_index, pos, sub, order_class, tx, row_key, word, source,
        0, if(word = 'WITHDRAWAL', -cash, cash), 0, 0, 0, 0, '', 0, 0, toString(label), ''
    FROM winners
    WHERE word IN ('INCOME', 'DEPOSIT', 'WITHDRAWAL', 'TIP')
)
