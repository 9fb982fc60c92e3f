"""The queue by rank: due times, leases, scores, and the figures of the last reading.

Known wallets keep their status and counters. Whoever waits has waited since it was found (or since its next attempt was
due); a completed wallet is due 6 hours after its last reading; a wallet that was being worked on has a lease that is
over, so that it comes back at the first look.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_STALE_SECONDS = 6 * 3600
_NEW_BONUS_SECONDS = 2 * 3600


def upgrade() -> None:
    """Add the columns, fill them, replace the index of the queue."""
    for name in (
        "due_at", "rank", "lease_until", "whale_score", "last_attempt_at", "sync_duration_ms", "rows_synced",
        "updated_at",
    ):  # fmt: skip
        op.add_column("wallets", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    for name in ("lease_owner", "queued_reason"):
        op.add_column("wallets", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.drop_index("wallets_queue", "wallets")
    op.execute(
        f"""
        UPDATE wallets SET
            due_at = CASE status WHEN 'completed' THEN last_synced_at + {_STALE_SECONDS}
                                 WHEN 'failed' THEN next_attempt WHEN 'parked' THEN 0 ELSE first_seen END,
            lease_until = CASE status WHEN 'syncing' THEN 1 ELSE 0 END,
            queued_reason = CASE WHEN status <> 'pending' THEN '' WHEN last_synced_at = 0 THEN 'new' ELSE 'asked' END,
            last_attempt_at = last_synced_at,
            updated_at = CASE WHEN last_synced_at > last_seen THEN last_synced_at ELSE last_seen END
        """
    )
    op.execute(f"UPDATE wallets SET rank = due_at - CASE last_synced_at WHEN 0 THEN {_NEW_BONUS_SECONDS} ELSE 0 END")
    op.create_index("wallets_queue", "wallets", ["status", "rank"])
    op.create_index("wallets_due", "wallets", ["status", "due_at"])
    leased = sa.text("lease_until > 0")
    op.create_index("wallets_leases", "wallets", ["lease_until"], sqlite_where=leased, postgresql_where=leased)
    op.create_index("wallets_changed", "wallets", ["updated_at", "address"])
    if op.get_bind().dialect.name == "postgresql":
        # A queue leaves many dead rows at its head; the defaults wait for a fifth of the table.
        op.execute(
            "ALTER TABLE wallets SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02)"
        )
    op.add_column("runs", sa.Column("worker", sa.Text, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("alive_at", sa.BigInteger, nullable=False, server_default="0"))
