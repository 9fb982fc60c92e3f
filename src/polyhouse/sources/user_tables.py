"""Wallets of people: the user tables of a Postgres or Supabase database (seed_systems.md §1.4).

The database belongs to somebody else: one read-only transaction, rows through a server-side cursor, nothing but the
named columns. A table or column that is not there, or may not be read, is reported and left out. Values never show up
in reports or errors: a wallet column may hold anything, and so may the URL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from polyhouse.domain.ids import parse_address
from polyhouse.errors import AuthError, BadInputError, ConfigError, PolyhouseError, RetryableError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import DBAPIError

_GROUP = 5_000
_CONNECT_SECONDS = 10
_STATEMENT_MILLISECONDS = 600_000


@dataclass(frozen=True, slots=True)
class UserTable:
    """One table: columns with trading wallets, columns that may hold either kind, columns with signers (EOAs)."""

    name: str
    wallets: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        return self.wallets + self.either + self.owners


USER_TABLES = (
    UserTable("profiles", wallets=("trading_wallet_address",), either=("wallet_address",)),
    UserTable("turnkey_wallets", wallets=("polymarket_account_address",), owners=("eoa_address",)),
    UserTable("clob_credentials", wallets=("polymarket_account_address",)),
    UserTable("user_wallets", wallets=("proxy_wallet",), owners=("eoa_wallet",)),
)


@dataclass(slots=True)
class AddressGroup:
    """Some of the addresses of one list.

    Attributes:
        wallets: trading wallets. either: addresses of unknown kind. owners: signers.
        pairs: (signer, wallet) that one row names together.
        rejected: place → how many values there are no addresses.
        missing: what could not be read at all, in words.
    """

    wallets: list[bytes] = field(default_factory=list)
    either: list[bytes] = field(default_factory=list)
    owners: list[bytes] = field(default_factory=list)
    pairs: list[tuple[bytes, bytes]] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)


class UserTables:
    """The user tables of one database.

    Args:
        url: ``postgresql://user:password@host:5432/database``.

    Raises:
        ConfigError: not the URL of a PostgreSQL database.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)

    def read(self, *, group: int = _GROUP) -> Iterator[AddressGroup]:
        """All addresses, in groups of at most ``group`` rows; blocking.

        Raises:
            RetryableError: the database does not answer, or breaks off.
            AuthError: it refuses the user.
            ConfigError: it has none of the tables.
        """
        from sqlalchemy.exc import DBAPIError

        engine = _engine(self._url)
        try:
            with engine.connect() as connection:
                reading = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                yield from _read(reading, group)
        except DBAPIError as error:
            raise _translated(error) from None
        finally:
            engine.dispose()


def _translated(error: DBAPIError) -> PolyhouseError:
    """The driver's text may repeat the URL or a value: the kind of failure is what matters."""
    text = str(error.orig).lower()
    if "authentication failed" in text or "no password supplied" in text or "does not exist" in text:
        return AuthError(
            "The database of the user tables refused the user, the password or the database name.",
            hint="Check POLYHOUSE_USER_WALLETS_URL.",
        )
    return RetryableError(
        f"The database of the user tables is unavailable ({type(error.orig).__name__}).",
        hint="Check POLYHOUSE_USER_WALLETS_URL, or leave the source users out.",
    )


def _parsed(url: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    hint = "Use postgresql://user:password@host:5432/database."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError("POLYHOUSE_USER_WALLETS_URL is malformed.", hint=hint) from None
    if parsed.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise ConfigError("POLYHOUSE_USER_WALLETS_URL is not the URL of a PostgreSQL database.", hint=hint)
    return parsed.set(drivername="postgresql+psycopg")


def _engine(url: URL) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    # Poolers in transaction mode lose prepared statements between transactions.
    options = {"prepare_threshold": None, "connect_timeout": _CONNECT_SECONDS, "application_name": "polyhouse"}
    return create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)


def _read(connection: Connection, group: int) -> Iterator[AddressGroup]:
    from sqlalchemy import text

    connection.execute(text(f"SET LOCAL statement_timeout = {_STATEMENT_MILLISECONDS}"))
    found = 0
    for table in USER_TABLES:
        schema, columns, missing = _look(connection, table)
        if missing:
            yield AddressGroup(missing=missing)
        if columns:
            found += 1
            yield from _rows(connection, table, schema, columns, group)
    if not found:
        raise ConfigError(
            "The database of the user tables has none of them, or this user may read none: "
            + ", ".join(table.name for table in USER_TABLES),
            hint="Check the database, the search path and the grants of POLYHOUSE_USER_WALLETS_URL.",
        )


_LOOK = """
SELECT n.nspname, a.attname, has_column_privilege(c.oid, a.attnum, 'SELECT'), row_security_active(c.oid)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.oid = to_regclass(:name)
"""


def _look(connection: Connection, table: UserTable) -> tuple[str, list[str], list[str]]:
    """(schema, readable columns, what is missing in words). The first table of that name in the search path counts."""
    from sqlalchemy import text

    rows = connection.execute(text(_LOOK), {"name": table.name}).all()
    if not rows:
        return "", [], [f"the table {table.name} is not there"]
    readable = {str(column): bool(may) for _, column, may, _ in rows}
    columns = [name for name in table.columns if readable.get(name)]
    missing = [
        f"the column {table.name}.{name} " + ("may not be read by this user" if name in readable else "is not there")
        for name in table.columns
        if name not in columns
    ]
    if columns and rows[0][3]:
        missing.append(f"row security may hide rows of {table.name} from this user")
    return str(rows[0][0]), columns, missing


def _rows(
    connection: Connection, table: UserTable, schema: str, columns: Sequence[str], group: int
) -> Iterator[AddressGroup]:
    from sqlalchemy import Text, cast, column, select
    from sqlalchemy import table as relation

    source = relation(table.name, *(column(name) for name in columns), schema=schema)
    query = select(*(cast(source.c[name], Text) for name in columns))
    result = connection.execution_options(stream_results=True).execute(query)
    try:
        for rows in result.partitions(group):
            yield _group(table, columns, rows)
    finally:
        result.close()


def _group(table: UserTable, columns: Sequence[str], rows: Sequence[Any]) -> AddressGroup:
    group = AddressGroup()
    for row in rows:
        owners: list[bytes] = []
        wallets: list[bytes] = []
        for name, value in zip(columns, row, strict=True):
            text = (value or "").strip()
            if not text:
                continue
            try:
                address = parse_address(text.lower() if text[:2] in {"0X", "0x"} else text)
            except BadInputError:
                group.rejected[f"{table.name}.{name}"] += 1
                continue
            if name in table.owners:
                owners.append(address)
            elif name in table.wallets:
                wallets.append(address)
            else:
                group.either.append(address)
        group.owners += owners
        group.wallets += wallets
        group.pairs += [(owner, wallet) for owner in owners for wallet in wallets if owner != wallet]
    return group
