-- token_map: what every outcome token is, how it was resolved, and its marks now and at the start of each window.
-- Resolution: the first payout vector of the best source (accounting §2.4). Mark: price of the last fill that is no
-- self trade, or 1 - price of the complement's last fill, whichever is later, own wins a tie (§3.4); without any fill
-- the listed price. A mark given by hand wins over all of them. Never an input to realised PnL.
WITH
    described AS
    (
        SELECT
            condition,
            argMaxIf(event_id, priority, event_id != 0) AS event_id,
            argMaxIf(neg_risk_market, priority, neg_risk_market != '') AS neg_risk_market,
            argMinIf(question_index, -priority, question_index != 65535) AS given_index,
            argMaxIf(question_id, priority, question_id != '') AS question_id,
            argMaxIf(prices_e6, priority, notEmpty(prices_e6)) AS prices_e6,
            countIf(question_index != 65535) > 0 AS has_index
        FROM
        (
            SELECT *, transform(toString(source), ['gamma', 'chain', 'clob', 'file'], [4, 3, 2, 1], 0) AS priority
            FROM markets FINAL
        )
        GROUP BY condition
    ),
    settled AS
    (
        SELECT
            condition,
            argMin((numerators, ts, block, tx_index, pos, provisional),
                   (transform(toString(source), ['chain'], [0], 1), block, tx_index, pos, ts)) AS r
        FROM resolutions FINAL
        WHERE length(numerators) = 2 AND arraySum(numerators) > 0
        GROUP BY condition
    ),
    known AS
    (
        SELECT condition, token, outcome FROM tokens FINAL WHERE length(condition) IN (31, 32) AND outcome < 2
    )
SELECT
    t.token AS token,
    t.condition AS condition,
    t.outcome AS outcome,
    if(e.category = '', 'other', toString(e.category)) AS category,
    d.neg_risk_market AS neg_risk_market,
    multiIf(d.neg_risk_market = '', 65535, d.has_index, d.given_index,
            length(d.question_id) = 32, reinterpretAsUInt8(substring(d.question_id, 32, 1)), 65535) AS question_index,
    notEmpty(s.r.1) AS resolved,
    if(resolved, s.r.1[t.outcome + 1], 0) AS numerator,
    if(resolved, arraySum(s.r.1), 0) AS denominator,
    s.r.2 AS resolved_ts,
    s.r.3 AS resolved_block,
    s.r.4 AS resolved_tx_index,
    s.r.5 AS resolved_pos,
    s.r.6 AS provisional,
    multiIf(g.given, toNullable(g.mark_e6), own_is_last, toNullable(own.last_price), other_traded, 1000000 - other.last_price,
            length(d.prices_e6) = 2, d.prices_e6[t.outcome + 1], NULL) AS mark_e6,
    toDateTime(toUInt32(bitShiftRight(if(own_is_last, own.last_place, other.last_place), 80)), 'UTC') AS mark_ts,
    multiIf(g.given, 'given', own_is_last, 'fill', other_traded, 'complement', length(d.prices_e6) = 2, 'listed', '') AS mark_source,
    multiIf(own.place_1d > 0 AND own.place_1d >= other.place_1d, toNullable(own.price_1d),
            other.place_1d > 0, 1000000 - other.price_1d, NULL) AS mark_1d,
    multiIf(own.place_7d > 0 AND own.place_7d >= other.place_7d, toNullable(own.price_7d),
            other.place_7d > 0, 1000000 - other.price_7d, NULL) AS mark_7d,
    multiIf(own.place_30d > 0 AND own.place_30d >= other.place_30d, toNullable(own.price_30d),
            other.place_30d > 0, 1000000 - other.price_30d, NULL) AS mark_30d,
    multiIf(own.place_90d > 0 AND own.place_90d >= other.place_90d, toNullable(own.price_90d),
            other.place_90d > 0, 1000000 - other.price_90d, NULL) AS mark_90d,
    multiIf(own.place_180d > 0 AND own.place_180d >= other.place_180d, toNullable(own.price_180d),
            other.place_180d > 0, 1000000 - other.price_180d, NULL) AS mark_180d,
    own.last_place > 0 AND own.last_place >= other.last_place AS own_is_last,
    other.last_place > 0 AS other_traded
FROM known AS t
LEFT JOIN known AS c ON c.condition = t.condition AND c.outcome = 1 - t.outcome
LEFT JOIN described AS d ON d.condition = t.condition
LEFT JOIN (SELECT event_id, category FROM events FINAL) AS e ON e.event_id = d.event_id
LEFT JOIN settled AS s ON s.condition = t.condition
LEFT JOIN fill_marks AS own ON own.token = t.token
LEFT JOIN fill_marks AS other ON other.token = c.token
LEFT JOIN (SELECT token, mark_e6, true AS given FROM given_marks FINAL) AS g ON g.token = t.token
