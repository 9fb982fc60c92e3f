"""Runs, checkpoints, wallets, quarantine, notes.

The tables are written out here, not taken from ``schema.metadata``: a migration must do the same for ever.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "runs",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        _text("command"), _text("args"), _int("started_at"), _int("finished_at"), _text("status"), _text("counts"),
        _text("error"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_table(
        "checkpoints",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("partition", sa.Text, primary_key=True),
        _text("position"), _text("status"), _int("pages"), _int("rows"), _int("rejected"), _int("updated_at"),
        _text("error"), _int("run"),
    )  # fmt: skip
    op.create_index("checkpoints_by_partition", "checkpoints", ["partition"])
    op.create_table(
        "wallets",
        sa.Column("address", sa.LargeBinary(20), primary_key=True),
        _text("status"), _text("provenance"), _int("first_seen"), _int("last_seen"), _int("attempts"),
        _int("next_attempt"), _text("last_error"), _int("last_synced_at"), _int("trades_synced"), _int("last_trade_at"),
    )  # fmt: skip
    op.create_index("wallets_queue", "wallets", ["status", "next_attempt", "first_seen", "address"])
    op.create_table(
        "quarantine",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False, unique=True),
        _text("stream"), _text("partition"), _text("reason"), _text("location"), _text("raw"), _int("run"),
        _int("count"), _int("first_seen"), _int("last_seen"),
    )  # fmt: skip
    op.create_index("quarantine_by_reason", "quarantine", ["reason"])
    op.create_table("notes", sa.Column("key", sa.Text, primary_key=True), _text("value"), _int("updated_at"))


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)
