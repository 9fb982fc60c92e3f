-- wallet_coverage: where a wallet's history came from, and why its numbers may still move.
-- Reasons: conversion (its legs were read from REST), resolution (the payout is not proven), unseen_shares (sold,
-- redeemed or converted more than ever arrived), shares_differ (Polymarket reports another balance, or paid for one: a
-- transfer, which REST does not show), redemption (worthless shares were burned and
-- the source does not say how many), unmapped (rows of tokens nobody could name yet), fills_only (some fills are known only from a
-- source that tells neither refunds nor position changes: an old subgraph, a dump of orders).
WITH
    reported AS
    (
        SELECT wallet, token, sum(shares) AS shares
        FROM reported_positions FINAL
        WHERE (wallet, run) IN (SELECT wallet, max(run) FROM reported_positions FINAL WHERE /*wallets*/ GROUP BY wallet) AND /*wallets*/
        GROUP BY wallet, token
    ),
    asked AS
    (
        SELECT wallet, max(seen_at) AS seen_at FROM reported_values FINAL WHERE /*wallets*/ GROUP BY wallet
    ),
    -- Polymarket hides positions below 0.1 share, so smaller differences say nothing
    differing AS
    (
        SELECT wallet
        FROM
        (
            SELECT p.wallet AS wallet, p.token AS token, p.shares + p.external_shares AS ours, toInt64(0) AS theirs
            FROM (SELECT * FROM positions FINAL WHERE wallet IN (SELECT wallet FROM asked)) AS p
            INNER JOIN asked AS a ON a.wallet = p.wallet
            WHERE p.last_ts <= a.seen_at
            UNION ALL
            SELECT wallet, token, toInt64(0), shares FROM reported
        )
        WHERE wallet IN (SELECT wallet FROM asked)
        GROUP BY wallet, token
        HAVING abs(sum(ours) - sum(theirs)) >= 100000
    ),
    -- a redemption of everything pays what we settled, up to a micro a call and outcome: else the balance was another
    paid_otherwise AS
    (
        SELECT wallet
        FROM positions FINAL
        WHERE (wallet, condition) IN
        (
            SELECT l.wallet, t.condition
            FROM ledger AS l FINAL
            INNER JOIN (SELECT token, condition FROM token_map FINAL) AS t ON t.token = l.token
            WHERE l.kind = 'REDEEM' AND l.source != 'chain' AND /*wallets*/
        ) AND /*wallets*/
        GROUP BY wallet, condition
        HAVING sum(redeemed_cash) > 0 AND sum(shares) = 0 AND abs(sum(redeemed_cash) - sum(settled_value)) > 100
    ),
    -- before 2026-08-10 a REST redemption names no share amounts (accounting §1.10); cash proves those of a winner, but
    -- nothing proves how many worthless shares were left
    burned_unseen AS
    (
        SELECT DISTINCT l.wallet AS wallet
        FROM ledger AS l FINAL
        INNER JOIN (SELECT token FROM token_map FINAL WHERE resolved AND numerator = 0) AS t ON t.token = l.token
        WHERE l.kind = 'REDEEM' AND l.source != 'chain' AND l.amount = -1
          AND (l.wallet, l.token) IN (SELECT wallet, token FROM positions FINAL WHERE settled_shares > 0 AND /*wallets*/)
          AND /*wallets*/
    ),
    facts AS
    (
        SELECT DISTINCT wallet, source != 'chain' AS is_rest,
               multiIf(source IN ('subgraph', 'dump'), 'fills_only', kind = 'CONVERT' AND is_rest, 'conversion', '') AS reason
        FROM ledger FINAL
        WHERE /*wallets*/
        UNION ALL
        SELECT wallet, NULL, if(untracked_shares > 0, 'unseen_shares', '')
        FROM positions FINAL
        WHERE untracked_shares > 0 AND /*wallets*/
        UNION ALL
        SELECT p.wallet, NULL, 'resolution'
        FROM positions AS p FINAL
        INNER JOIN (SELECT token FROM token_map FINAL WHERE resolved AND provisional) AS t ON t.token = p.token
        WHERE p.settled_shares > 0 AND /*wallets*/
        UNION ALL
        SELECT wallet, NULL, 'unmapped' FROM unmapped FINAL WHERE /*wallets*/
        UNION ALL
        SELECT wallet, NULL, 'shares_differ' FROM differing
        UNION ALL
        SELECT wallet, NULL, 'shares_differ' FROM paid_otherwise
        UNION ALL
        SELECT wallet, NULL, 'redemption' FROM burned_unseen
    )
SELECT
    wallet,
    multiIf(min(is_rest) = 1, 'rest', max(is_rest) = 0, 'chain', 'mixed') AS coverage,
    arraySort(groupUniqArrayIf(reason, reason != '')) AS provisional
FROM facts
GROUP BY wallet
