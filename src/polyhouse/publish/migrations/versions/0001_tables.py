"""The four tables, and the record of publications. The schema is the first of the search path.

Money has 6 decimals, ratios have 9. What is not known, or not defined, is null.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

_MONEY, _RATIO = "numeric(38, 6)", "numeric(38, 9)"
_RESULTS = f"""
    omega_ratio        {_RATIO},
    omega_status       text NOT NULL,
    omega_shrunk       {_RATIO},
    total_positions    bigint NOT NULL,
    closed_positions   bigint NOT NULL,
    total_pnl          {_MONEY},
    total_gains        {_MONEY} NOT NULL,
    total_losses       {_MONEY} NOT NULL,
    win_rate           {_RATIO},
    avg_gain           {_MONEY},
    avg_loss           {_MONEY},
    overall_roi        {_RATIO},
    grade              text,
    omega_momentum     {_RATIO},
    momentum_direction text NOT NULL,
"""


def upgrade() -> None:
    """Make them."""
    for statement in (_WALLETS, _SYNC, _SCORES, _BY_CATEGORY, _PUBLICATIONS):
        op.execute(statement)
    for table, name, columns in (
        ("wallets", "whales", "whale_score DESC NULLS LAST"),
        ("wallet_sync_metadata", "status", "sync_status, last_synced_at DESC NULLS LAST"),
        ("wallet_scores", "omega", "omega_shrunk DESC NULLS LAST"),
        ("wallet_scores_by_category", "omega", "category, omega_shrunk DESC NULLS LAST"),
    ):
        op.execute(f"CREATE INDEX {table}_by_{name} ON {table} ({columns})")


_WALLETS = f"""
CREATE TABLE wallets
(
    wallet_address         text PRIMARY KEY,
    is_whale               boolean,
    whale_score            numeric(5, 2),
    is_suspected_insider   boolean,
    insider_score          numeric(5, 2),
    total_volume_usd       {_MONEY},
    total_trades           bigint,
    total_markets_traded   bigint,
    realized_pnl_usd       {_MONEY},
    unrealized_pnl_usd     {_MONEY},
    total_pnl_usd          {_MONEY},
    win_rate               {_RATIO},
    first_seen_at          timestamptz NOT NULL,
    last_seen_at           timestamptz NOT NULL,
    last_processed_at      timestamptz,
    active_positions_count bigint NOT NULL,
    closed_positions_count bigint NOT NULL,
    portfolio_value_usd    {_MONEY},
    portfolio_last_updated timestamptz,
    updated_at             timestamptz NOT NULL
)
"""
_SYNC = """
CREATE TABLE wallet_sync_metadata
(
    wallet_address         text PRIMARY KEY,
    sync_status            text NOT NULL,
    queue_status           text NOT NULL,
    total_trades_synced    bigint NOT NULL,
    total_trades_processed bigint NOT NULL,
    last_synced_at         timestamptz,
    last_error             text,
    error_count            integer NOT NULL,
    sync_duration_ms       bigint NOT NULL,
    trades_per_second      numeric(18, 2),
    last_trade_timestamp   timestamptz,
    needs_resync           boolean NOT NULL,
    sync_version           text NOT NULL,
    discovery_sources      text[] NOT NULL,
    whale_score            numeric(5, 2) NOT NULL,
    last_attempt_at        timestamptz,
    next_attempt_at        timestamptz,
    due_at                 timestamptz,
    created_at             timestamptz NOT NULL,
    last_seen_at           timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL
)
"""
_SCORES = f"""
CREATE TABLE wallet_scores
(
    wallet_address text PRIMARY KEY,{_RESULTS}
    meets_minimum_trades boolean NOT NULL,
    whale_score          numeric(5, 2),
    insider_score        numeric(5, 2),
    calculated_at        timestamptz NOT NULL
)
"""
_BY_CATEGORY = f"""
CREATE TABLE wallet_scores_by_category
(
    wallet_address text NOT NULL,
    category       text NOT NULL,{_RESULTS}
    roi_per_bet    {_RATIO},
    calculated_at  timestamptz NOT NULL,
    PRIMARY KEY (wallet_address, category)
)
"""
_PUBLICATIONS = """
CREATE TABLE publications
(
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    is_full  boolean NOT NULL,
    wallets  bigint NOT NULL,
    inserted bigint NOT NULL,
    updated  bigint NOT NULL,
    deleted  bigint NOT NULL,
    marks    jsonb NOT NULL
)
"""
