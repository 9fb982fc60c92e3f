-- wallet_totals: wallets as a whole and by category, for the whole life and each window (accounting 3.5, 3.8).
-- A row or unit lies in a window if its moment is after the window's start; the life begins before every moment.
WITH
    changes AS
    (
        SELECT
            t.wallet_address AS wallet, t.category AS category, t.condition_id AS condition_id, t.timestamp AS moment,
            t.fee AS fee, t.volume AS volume, CASE WHEN t.counts THEN 1 ELSE 0 END AS fills,
            0 AS income, 0 AS redeemed
        FROM trades AS t
        WHERE t.wallet_address IN (SELECT k.wallet FROM staging_touched AS k)
        UNION ALL
        SELECT
            m.wallet_address, m.category, m.condition_id, m.timestamp, m.fee, 0, 0,
            CASE WHEN m.kind = 'INCOME' THEN m.cash_change ELSE 0 END,
            CASE WHEN m.kind = 'REDEEM' THEN m.cash_change ELSE 0 END
        FROM movements AS m
        WHERE m.wallet_address IN (SELECT k.wallet FROM staging_touched AS k)
    ),
    scoped_changes AS
    (
        SELECT c.wallet, 'overall' AS category, c.condition_id, c.moment, c.fee, c.volume, c.fills, c.income, c.redeemed
        FROM changes AS c
        UNION ALL
        SELECT c.wallet, c.category, c.condition_id, c.moment, c.fee, c.volume, c.fills, c.income, c.redeemed
        FROM changes AS c
        WHERE c.category IS NOT NULL
    ),
    moved AS
    (
        SELECT
            c.wallet AS wallet, c.category AS category, k.period AS period,
            SUM(CASE WHEN c.moment > k.begins THEN c.fee ELSE 0 END) AS fees,
            SUM(CASE WHEN c.moment > k.begins THEN c.income ELSE 0 END) AS income,
            SUM(CASE WHEN c.moment > k.begins THEN c.redeemed ELSE 0 END) AS redeemed_cash,
            SUM(CASE WHEN c.moment > k.begins THEN c.volume ELSE 0 END) AS volume,
            SUM(CASE WHEN c.moment > k.begins THEN c.fills ELSE 0 END) AS trades,
            COUNT(DISTINCT CASE WHEN c.moment > k.begins AND c.fills = 1 THEN c.condition_id END) AS markets,
            MIN(CASE WHEN c.fills = 1 THEN c.moment END) AS first_trade_at,
            MAX(CASE WHEN c.fills = 1 THEN c.moment END) AS last_trade_at
        FROM scoped_changes AS c
        INNER JOIN staging_touched AS k ON k.wallet = c.wallet
        GROUP BY c.wallet, c.category, k.period
    ),
    scoped_units AS
    (
        SELECT
            u.wallet, 'overall' AS category, u.realized, u.unrealized, u.unmarked, u.bought_cost, u.untracked_cash,
            u.is_open, u.result, u.closed_at
        FROM units AS u
        WHERE u.wallet IN (SELECT k.wallet FROM staging_touched AS k)
        UNION ALL
        SELECT
            u.wallet, u.category, u.realized, u.unrealized, u.unmarked, u.bought_cost, u.untracked_cash,
            u.is_open, u.result, u.closed_at
        FROM units AS u
        WHERE u.wallet IN (SELECT k.wallet FROM staging_touched AS k)
    ),
    became AS
    (
        SELECT
            u.wallet AS wallet, u.category AS category, k.period AS period,
            SUM(u.realized) AS realized,
            SUM(CASE WHEN u.unmarked = 0 THEN u.unrealized ELSE 0 END) AS unrealized_marked,
            SUM(CASE WHEN u.unmarked > 0 THEN 1 ELSE 0 END) AS unmarked,
            SUM(u.bought_cost) AS bought_cost,
            SUM(u.untracked_cash) AS untracked_cash,
            SUM(CASE WHEN u.is_open THEN 1 ELSE 0 END) AS open_units,
            SUM(CASE WHEN u.result = 'WIN' AND (k.period = 'lifetime' OR u.closed_at > k.begins) THEN 1 ELSE 0 END) AS wins,
            SUM(CASE WHEN u.result = 'LOSS' AND (k.period = 'lifetime' OR u.closed_at > k.begins) THEN 1 ELSE 0 END) AS losses,
            SUM(CASE WHEN u.result = 'FLAT' AND (k.period = 'lifetime' OR u.closed_at > k.begins) THEN 1 ELSE 0 END) AS flats,
            SUM(CASE WHEN NOT u.is_open AND u.realized > 0 AND (k.period = 'lifetime' OR u.closed_at > k.begins)
                THEN u.realized ELSE 0 END) AS gains,
            SUM(CASE WHEN NOT u.is_open AND u.realized < 0 AND (k.period = 'lifetime' OR u.closed_at > k.begins)
                THEN -u.realized ELSE 0 END) AS losses_abs
        FROM scoped_units AS u
        INNER JOIN staging_touched AS k ON k.wallet = u.wallet
        GROUP BY u.wallet, u.category, k.period
    )
SELECT
    m.wallet AS wallet,
    m.category AS category,
    m.period AS period,
    CASE WHEN m.period = 'lifetime' THEN COALESCE(b.realized, 0) ELSE v.realized END AS realized,
    CASE
        WHEN m.period = 'lifetime' AND COALESCE(b.unmarked, 0) = 0 THEN COALESCE(b.unrealized_marked, 0)
        WHEN m.period <> 'lifetime' AND v.unmarked = 0 THEN v.unrealized_marked
    END AS unrealized,
    CASE WHEN m.period = 'lifetime' THEN COALESCE(b.unrealized_marked, 0) ELSE v.unrealized_marked END AS unrealized_marked,
    CASE WHEN m.period = 'lifetime' THEN COALESCE(b.unmarked, 0) ELSE v.unmarked END AS unmarked,
    m.fees AS fees,
    m.income AS income,
    COALESCE(b.untracked_cash, 0) AS untracked_cash,
    m.redeemed_cash AS redeemed_cash,
    m.volume AS volume,
    m.trades AS trades,
    m.markets AS markets,
    COALESCE(b.wins, 0) AS wins,
    COALESCE(b.losses, 0) AS losses,
    COALESCE(b.flats, 0) AS flats,
    COALESCE(b.open_units, 0) AS open_units,
    COALESCE(b.gains, 0) AS gains,
    COALESCE(b.losses_abs, 0) AS losses_abs,
    CASE WHEN m.period = 'lifetime' THEN COALESCE(b.bought_cost, 0) ELSE v.bought_cost END AS bought_cost,
    m.first_trade_at AS first_trade_at,
    m.last_trade_at AS last_trade_at
FROM moved AS m
LEFT JOIN became AS b ON b.wallet = m.wallet AND b.category = m.category AND b.period = m.period
LEFT JOIN staging_window_values AS v ON v.wallet = m.wallet AND v.category = m.category AND v.period = m.period
