"""Where the warehouse is: the forms of the ``POLYHOUSE_WAREHOUSE`` setting."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from polyhouse.errors import ConfigError

SUPPORTED = "chdb:///absolute/folder (embedded) or clickhouse://user:password@host:8123/database (server)"
_NAME = re.compile(r"[\w.-]+", re.ASCII)
_QUORUM = re.compile(r"auto|\d{1,3}")
_SECRET = re.compile(r"(://[^/\s:@]*:)[^@\s]+(@)")


@dataclass(frozen=True, slots=True)
class Embedded:
    """A chDB store: one folder, owned by one process at a time."""

    path: Path

    @property
    def lock_path(self) -> Path:
        """The lock file, beside the folder so that the engine never sees it."""
        return self.path.with_name(self.path.name + ".lock")


@dataclass(frozen=True, slots=True)
class Server:
    """A ClickHouse server, spoken to over HTTP."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    secure: bool = False
    cluster: str = ""
    """Name of the cluster that the server is a node of; '' = it stands alone."""
    quorum: str = "auto"
    """Replicas of a shard that must have an insert before it is acknowledged: a number, or ``auto``, more than half."""


def without_secrets(text: str) -> str:
    """The text with the password of every ``scheme://user:password@host`` in it replaced by ``***``."""
    return _SECRET.sub(r"\1***\2", text)


def parse_location(url: str) -> Embedded | Server:
    """Read a warehouse URL.

    Raises:
        ConfigError: not one of the supported forms; the message says what is wrong and never shows a password.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigError(f"The warehouse {without_secrets(url)!r} is not a URL.", hint=f"Use {SUPPORTED}.")
    if scheme == "chdb":
        return _embedded(url, rest)
    if scheme == "clickhouse":
        return _server(url)
    if scheme == "bigquery":
        raise ConfigError(
            "A BigQuery dataset is kept by a local store and is not an engine itself (docs/bigquery.md).",
            hint=f"Set it as POLYHOUSE_WAREHOUSE, or name an engine here: {SUPPORTED}.",
        )
    raise ConfigError(f"{scheme}:// is not a supported warehouse.", hint=f"Use {SUPPORTED}.")


def _embedded(url: str, rest: str) -> Embedded:
    # The engine reads "?" in its connection string as options, so such a folder would silently be another one.
    if not rest.startswith("/") or "?" in rest or "#" in rest or "\0" in rest:
        raise ConfigError(
            f"The warehouse {url!r} must name an absolute folder without '?' and '#'.",
            hint="For example chdb:///home/me/.polyhouse/warehouse",
        )
    path = Path(rest).resolve()
    if path == Path(path.anchor):
        raise ConfigError(f"The warehouse {url!r} names the root folder.")
    if path.exists() and not path.is_dir():
        raise ConfigError(f"The warehouse {path} is a file; it must be a folder.")
    return Embedded(path)


def _server(url: str) -> Server:
    shown = without_secrets(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"The warehouse {shown} is malformed: {error}.", hint=f"Use {SUPPORTED}.") from None
    options = parse_qs(parts.query)
    unknown = sorted(set(options) - {"secure", "cluster", "quorum"})
    if unknown:
        raise ConfigError(
            f"The warehouse {shown} has unknown options: {', '.join(unknown)}.",
            hint="Known: secure=1, cluster=NAME, quorum=auto or a number of replicas.",
        )
    cluster, quorum = options.get("cluster", [""])[0], options.get("quorum", ["auto"])[0]
    if (cluster and not _NAME.fullmatch(cluster)) or not _QUORUM.fullmatch(quorum):
        raise ConfigError(
            f"The warehouse {shown} names a cluster or a quorum that cannot be.",
            hint="cluster= takes letters, digits, '_', '-' and '.', quorum= takes auto or a number of replicas.",
        )
    database = unquote(parts.path).strip("/")
    if not parts.hostname or not database or "/" in database:
        raise ConfigError(f"The warehouse {shown} needs a host and one database.", hint=f"Use {SUPPORTED}.")
    secure = options.get("secure", ["0"])[0].lower() in {"1", "true", "yes"} or port in {443, 8443}
    return Server(
        host=parts.hostname,
        port=port or (8443 if secure else 8123),
        database=database,
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        secure=secure,
        cluster=cluster,
        quorum=quorum,
    )
