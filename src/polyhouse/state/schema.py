"""Tables of the state store, for SQLite and PostgreSQL alike. Times are Unix seconds, 0 = never."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

HEAD = "0004"
"""Newest migration of this version (a test holds it equal to the migration folder)."""

RUN_STATUSES = ("running", "ok", "partial", "failed", "interrupted")
WALLET_STATUSES = ("pending", "syncing", "completed", "failed", "parked", "empty")
"""pending = queued · syncing = a worker holds a lease on it · completed · failed = tried again later · parked = given
up until `polyhouse retry` · empty = read to the proven end and nothing there: out of the queue until it is seen."""

LEASED = text("lease_until > 0")
"""Condition of the index over leases; a query repeats it word for word, since a bound value would not use the index.
Only wallets that are being worked on have a lease."""

metadata = MetaData()
# SQLite numbers rows by itself only for INTEGER keys.
_Id = BigInteger().with_variant(Integer, "sqlite")

runs = Table(
    "runs",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("command", Text, nullable=False),
    Column("args", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("worker", Text, nullable=False, server_default=""),
    Column("alive_at", BigInteger, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)
"""One row per command that wrote. Ids are never used twice: warehouse rows carry them."""

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("partition", Text, primary_key=True),
    Column("position", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("pages", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("doubtful", BigInteger, nullable=False, server_default="0"),
    Index("checkpoints_by_partition", "partition"),
)

wallets = Table(
    "wallets",
    metadata,
    Column("address", LargeBinary(20), primary_key=True),
    Column("status", Text, nullable=False),
    Column("provenance", Text, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("next_attempt", BigInteger, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("last_synced_at", BigInteger, nullable=False),
    Column("trades_synced", BigInteger, nullable=False),
    Column("last_trade_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False, server_default="0"),
    Column("rank", BigInteger, nullable=False, server_default="0"),
    Column("lease_until", BigInteger, nullable=False, server_default="0"),
    Column("whale_score", BigInteger, nullable=False, server_default="0"),
    Column("last_attempt_at", BigInteger, nullable=False, server_default="0"),
    Column("sync_duration_ms", BigInteger, nullable=False, server_default="0"),
    Column("rows_synced", BigInteger, nullable=False, server_default="0"),
    Column("updated_at", BigInteger, nullable=False, server_default="0"),
    Column("lease_owner", Text, nullable=False, server_default=""),
    Column("queued_reason", Text, nullable=False, server_default=""),
    Index("wallets_queue", "status", "rank"),
    Index("wallets_due", "status", "due_at"),
    Index("wallets_leases", "lease_until", sqlite_where=LEASED, postgresql_where=LEASED),
    Index("wallets_changed", "updated_at", "address"),
)
"""The registry of wallets and their queue; the rule of ``due_at`` and ``rank`` is in ``priority``. ``whale_score`` is
in tenths. ``queued_reason``: why a wallet waits; on one that is being worked on: why it must be read once more. Indexes
do not end with the address where its order is not needed: a million new wallets, of one rank and in any order, are
appended to them instead of changing every page."""

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("fingerprint", LargeBinary(32), nullable=False, unique=True),
    Column("stream", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Index("quarantine_by_reason", "reason"),
)

notes = Table(
    "notes",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("action", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("deaths", BigInteger, nullable=False),
    Column("cancel_asked", BigInteger, nullable=False),
    Column("progress", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("error_code", Text, nullable=False),
    Index("jobs_by_status", "status", "id"),
    sqlite_autoincrement=True,
)
"""What was asked of a server: see ``state.jobs``. ``progress`` and ``result`` are JSON, empty = none yet."""

job_requests = Table(
    "job_requests",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("job", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""Idempotency keys (SHA-256 of client and key), what was asked with them (SHA-256), and the job that came of it."""

schedules = Table(
    "schedules",
    metadata,
    Column("plan", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("last_slot", BigInteger, nullable=False),
    Column("last_job", BigInteger, nullable=False),
)
"""Per plan: the rule (crontab) that holds, the newest of its times that was seen to, the job that came of it."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("hint", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
)
"""Keys of the admin routes: SHA-256 of the secret (32 random bytes, so nothing slower is needed) and its first
characters, by which people recognise it. A name is used once."""

audit = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("request", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""What was done or tried through the admin routes: when, by which key, from where, what, to what, how it ended."""
