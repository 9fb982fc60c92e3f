-- leaderboard: wallets with enough closed units to be ranked (accounting 4.1: 20 units, 100 USDC of gains and losses), by
-- omega shrunk with 50 USDC on both sides and by PnL; equal values by address. PnL is unknown where a mark is.
WITH
    ranked AS
    (
        SELECT
            t.category AS category, t.period AS period, t.wallet AS wallet,
            CAST(t.gains + 50000000 AS DOUBLE) / CAST(t.losses_abs + 50000000 AS DOUBLE) AS omega_shrunk,
            t.realized + t.unrealized AS pnl, t.gains AS gains, t.losses_abs AS losses_abs, t.volume AS volume,
            t.trades AS trades, t.wins + t.losses + t.flats AS units
        FROM wallet_totals AS t
        WHERE t.wins + t.losses + t.flats >= 20 AND t.gains + t.losses_abs >= 100000000
    )
SELECT
    r.category AS category, r.period AS period, 'omega' AS sort,
    ROW_NUMBER() OVER (PARTITION BY r.category, r.period ORDER BY r.omega_shrunk DESC, r.wallet) AS rank,
    r.wallet AS wallet, r.omega_shrunk AS omega_shrunk, r.pnl AS pnl, r.gains AS gains, r.losses_abs AS losses_abs,
    r.volume AS volume, r.trades AS trades, r.units AS units
FROM ranked AS r
UNION ALL
SELECT
    r.category, r.period, 'pnl',
    ROW_NUMBER() OVER (PARTITION BY r.category, r.period ORDER BY r.pnl DESC, r.wallet),
    r.wallet, r.omega_shrunk, r.pnl, r.gains, r.losses_abs, r.volume, r.trades, r.units
FROM ranked AS r
WHERE r.pnl IS NOT NULL
