"""Keys of the admin routes, hashed, and the log of what was done with them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from polyhouse.errors import BadInputError
from polyhouse.state.database import Database, storable
from polyhouse.state.schema import api_keys, audit

SCOPES = ("read", "ingest", "wallets", "audit")
"""``read`` jobs and schedule · ``ingest`` start and cancel jobs · ``wallets`` retry and reset · ``audit`` the log."""

_PREFIX = "ph_"
_SECRET_BYTES = 32
_HINT_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key without its secret. Times are Unix seconds, 0 = never."""

    name: str
    hint: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int
    revoked_at: int
    used_at: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done or tried: when (Unix seconds), by which key, from where, what, to what, the outcome."""

    id: int
    at: int
    actor: str
    address: str
    action: str
    target: str
    outcome: str
    request: str


class AccessStore(Database):
    """See the module."""

    def create_key(self, name: str, scopes: Sequence[str], *, days: int | None = None) -> str:
        """Make a key and return its secret, which nobody can learn again.

        Args:
            name: how it is called in lists and in the log; used once.
            scopes: of ``SCOPES``.
            days: it ends by itself after so many; None = never.

        Raises:
            BadInputError: the name was used before, or a scope is unknown.
        """
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise BadInputError(
                f"unknown scope {unknown[0]!r}" if unknown else "a key needs a scope", hint=f"of: {' '.join(SCOPES)}"
            )
        if not name or len(name) > 100 or not name.isprintable():
            raise BadInputError("a key needs a name of 1 to 100 printable characters")
        secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        now = self._time()
        values = {
            "name": name, "digest": digest_of(secret), "hint": secret[:_HINT_CHARACTERS],
            "scopes": " ".join(scope for scope in SCOPES if scope in scopes), "created_at": now,
            "expires_at": 0 if days is None else now + days * 86_400, "revoked_at": 0, "used_at": 0,
        }  # fmt: skip
        with self._writing() as connection:
            statement = self._insert(api_keys).values(values).on_conflict_do_nothing(index_elements=[api_keys.c.name])
            if connection.execute(statement.returning(api_keys.c.name)).first() is None:
                raise BadInputError(f"there was a key {name!r} before", hint="choose another name")
        return secret

    def list_keys(self) -> list[ApiKey]:
        """All keys, also those that are over, by name."""
        with self._reading() as connection:
            return [_key(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.name))]

    def key_of(self, secret: str) -> ApiKey | None:
        """The valid key of this secret; None if there is none. Takes as long for a wrong one as for a right one."""
        given, now = digest_of(secret), self._time()
        found = None
        with self._reading() as connection:
            rows = connection.execute(select(api_keys).where(api_keys.c.revoked_at == 0)).all()
        for row in rows:
            if secrets.compare_digest(bytes(row.digest), given) and (not row.expires_at or row.expires_at > now):
                found = _key(row)
        return found

    def has_keys(self) -> bool:
        """Whether any key was ever made that holds."""
        now = self._time()
        return any(not key.revoked_at and (not key.expires_at or key.expires_at > now) for key in self.list_keys())

    def revoke_key(self, name: str) -> bool:
        """End a key at once; False if there is none of that name that holds."""
        holds = api_keys.c.name == name, api_keys.c.revoked_at == 0
        with self._writing() as connection:
            statement = update(api_keys).where(*holds).values(revoked_at=self._time())
            return bool(connection.execute(statement).rowcount)

    def note_use(self, name: str) -> None:
        """Remember that a key was used, at most once a minute."""
        now = self._time()
        with self._writing() as connection:
            old = api_keys.c.name == name, api_keys.c.used_at < now - 60
            connection.execute(update(api_keys).where(*old).values(used_at=now))

    def log(
        self, actor: str, action: str, *, outcome: str, target: str = "", address: str = "", request: str = ""
    ) -> None:
        """Write one entry of the audit log."""
        values = {
            "at": self._time(), "actor": storable(actor, 200), "address": storable(address, 100),
            "action": storable(action, 100), "target": storable(target, 200), "outcome": storable(outcome, 200),
            "request": storable(request, 100),
        }  # fmt: skip
        with self._writing() as connection:
            connection.execute(insert(audit).values(values))

    def audit_log(self, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """Entries, newest first; older than the entry ``before``, if it is given."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)
        with self._reading() as connection:
            return [AuditEntry(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - as documented


def digest_of(secret: str) -> bytes:
    """What is stored of a secret and compared: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.name, row.hint, tuple(row.scopes.split()), row.created_at, row.expires_at, row.revoked_at, row.used_at
    )
