"""Partitions whose last rows may lie under those of a batch that nobody acknowledged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("checkpoints", sa.Column("doubtful", sa.BigInteger, nullable=False, server_default="0"))
