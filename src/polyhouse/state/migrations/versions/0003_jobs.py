"""Jobs of the server, idempotency keys, schedules, keys of the admin routes, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "jobs",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        *_texts("action", "origin", "status"),
        *_ints("created_at", "started_at", "finished_at"),
        *_texts("worker"),
        *_ints("lease_until", "deaths", "cancel_asked"),
        *_texts("progress", "result", "error", "error_code"),
        sqlite_autoincrement=True,
    )
    op.create_index("jobs_by_status", "jobs", ["status", "id"])
    op.create_table(
        "job_requests",
        sa.Column("key", sa.LargeBinary(32), primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        *_ints("job", "created_at"),
    )
    op.create_table(
        "schedules", sa.Column("plan", sa.Text, primary_key=True), *_texts("rule"), *_ints("last_slot", "last_job")
    )
    op.create_table(
        "api_keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        *_texts("hint", "scopes"),
        *_ints("created_at", "expires_at", "revoked_at", "used_at"),
    )
    op.create_table(
        "audit",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        *_ints("at"),
        *_texts("actor", "address", "action", "target", "outcome", "request"),
        sqlite_autoincrement=True,
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _ints(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]
