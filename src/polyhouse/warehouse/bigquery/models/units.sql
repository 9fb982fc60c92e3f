-- units: positions by market, or by neg-risk market for wallets that converted there (accounting 3.5).
SELECT
    p.wallet AS wallet,
    p.unit_id AS unit_id,
    ARRAY_AGG(DISTINCT p.condition_id ORDER BY p.condition_id) AS condition_ids,
    MIN(p.category) AS category,
    SUM(p.realized) AS realized,
    CASE WHEN COUNT(*) = COUNT(p.unrealized) THEN SUM(p.unrealized) END AS unrealized,
    COUNT(*) - COUNT(p.unrealized) AS unmarked,
    SUM(p.cost) AS cost,
    SUM(p.bought_cost) AS bought_cost,
    SUM(p.fees) AS fees,
    SUM(p.untracked_cash) AS untracked_cash,
    SUM(p.redeemed_cash) AS redeemed_cash,
    MAX(CASE WHEN p.status = 'OPEN' THEN 1 ELSE 0 END) = 1 AS is_open,
    CASE
        WHEN MAX(CASE WHEN p.status = 'OPEN' THEN 1 ELSE 0 END) = 1 THEN NULL
        WHEN SUM(p.realized) >= 10000 THEN 'WIN'
        WHEN SUM(p.realized) <= -10000 THEN 'LOSS'
        ELSE 'FLAT'
    END AS result,
    CASE WHEN MAX(CASE WHEN p.status = 'OPEN' THEN 1 ELSE 0 END) = 0 THEN MAX(p.realized_at) END AS closed_at,
    MIN(p.first_at) AS first_at,
    MAX(p.last_at) AS last_at
FROM positions AS p
WHERE p.wallet IN (SELECT k.wallet FROM staging_touched AS k)
GROUP BY p.wallet, p.unit_id
