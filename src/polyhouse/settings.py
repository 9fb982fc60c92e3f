"""Settings: what they are, where each value came from, and how it is shown without its secrets.

Precedence: flag > environment > ``polyhouse.toml`` in the working directory > ``polyhouse.toml`` in ``POLYHOUSE_HOME``
> default. Nothing else in the product reads the environment.
"""

from __future__ import annotations

import difflib
import json
import logging
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo

from polyhouse.errors import ConfigError

PREFIX = "POLYHOUSE_"
FILE_NAME = "polyhouse.toml"
MASK = "***"
BIGQUERY_SCHEME = "bigquery://"

_TABLES = frozenset({"schedule", "notify"})
_KNOWN_VARIABLES = frozenset({"POLYHOUSE_FAILPOINT"})
_HTTP_FIELDS = ("gamma_url", "clob_url", "data_url", "rpc_url", "hypersync_url", "subgraph_url", "dome_url")
_log = logging.getLogger("polyhouse.settings")
_SHOWN_PATH = 200


class Settings(BaseModel):
    """All settings of the product, resolved and frozen. Field ``x`` is ``POLYHOUSE_X`` and ``x = …`` in TOML."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    home: Path = Field(default=Path("~/.polyhouse"), description="embedded stores, logs")
    warehouse: SecretStr = Field(
        default=SecretStr(""),
        description="chdb:///folder, clickhouse://user:pass@host:8123/db or bigquery://project/dataset",
    )
    state: SecretStr = Field(default=SecretStr(""), description="sqlite:///file or postgresql://…")
    publish: SecretStr = Field(
        default=SecretStr(""),
        description="postgresql://… in which wallets and scores are published; default: the state store's; or off",
    )
    publish_schema: str = Field(default="polymarket", description="schema of the published tables")
    gamma_url: str = Field(default="https://gamma-api.polymarket.com", description="events and markets")
    clob_url: str = Field(default="https://clob.polymarket.com", description="the order book's market list")
    data_url: str = Field(default="https://data-api.polymarket.com", description="trades, activity, positions")
    rpc_url: SecretStr | None = Field(
        default=None, description="Polygon JSON-RPC; several nodes separated by commas, best first"
    )
    rpc_limit: str = Field(default="200", description="requests per ten seconds of a node, or of each: 200,50")
    rpc_range: int = Field(default=10_000, ge=1, description="blocks of one question to a node at most")
    rpc_batch: int = Field(default=50, ge=1, description="calls of one request to a node at most")
    confirmations: int = Field(default=128, ge=1, description="newest blocks of the chain that may still change")
    hypersync_url: str = Field(
        default="https://polygon.hypersync.xyz", description="HyperSync: final blocks of the chain, much faster"
    )
    hypersync_token: SecretStr | None = Field(default=None, description="its token; unset: the nodes are asked instead")
    subgraph_url: str = Field(
        default="https://api.goldsky.com/api/public/project_cl6mb8i9h0003e201j6li0diw",
        description="base of the history subgraphs; /subgraphs/<name>/<version>/gn is appended",
    )
    dome_url: str = Field(default="https://api.domeapi.io/v1", description="Dome-compatible order history")
    dome_api_key: SecretStr | None = Field(default=None, description="its key")
    live_url: str = Field(default="wss://ws-live-data.polymarket.com", description="live trades")
    live_settle_seconds: float = Field(
        default=25.0,
        ge=0,
        le=3_600,
        description="a live trade's wallet is read so much later: the index lags and caches",
    )
    user_wallets_url: SecretStr | None = Field(
        default=None, description="a Postgres/Supabase database whose user tables are a wallet source"
    )
    admin_api_key: SecretStr | None = Field(default=None, description="key of the admin routes; unset: they are off")
    api_rate_per_minute: int = Field(
        default=1_200, ge=0, description="requests per minute of one client of the HTTP API; 0 = no limit"
    )
    api_cors_origins: str = Field(
        default="", description="origins whose pages may read the API, separated by commas; * = any"
    )
    api_hosts: str = Field(
        default="",
        description="names in requests that the HTTP API answers to, separated by commas, *.example.com too; * = any;"
        " default: on loopback only this machine's own, elsewhere any",
    )
    api_trusted_proxies: str = Field(
        default="", description="addresses of proxies whose X-Forwarded-For is believed, separated by commas"
    )
    schedule: dict[str, str] = Field(
        default_factory=dict,
        description='the server\'s plans over the defaults: {"top": "0 * * * *", "full": "off"}; a [schedule] table',
    )
    schedule_jitter_seconds: int = Field(
        default=20, ge=0, le=3_600, description="each planned job is queued up to so many seconds late"
    )
    notify_urls: SecretStr | None = Field(
        default=None, description="where notifications go: Apprise URLs, separated by spaces; unset: nowhere"
    )
    notify_private_hosts: str = Field(
        default="",
        description="hosts of one's own network that notifications may go to, separated by commas or spaces; * = any",
    )
    notify: dict[str, str] = Field(
        default_factory=dict,
        description='rules over the defaults: {"whale_trade": "50000", "insider": "off"}; a [notify] table',
    )
    notify_wallets: str = Field(default="", description="wallets whose trades are told, separated by commas or spaces")
    notify_pause_seconds: int = Field(
        default=3_600, ge=0, le=604_800, description="between two notifications on one subject"
    )
    lease_seconds: int = Field(
        default=300, ge=5, le=86_400, description="a dead worker's wallets come back to the others after this time"
    )
    bigquery_endpoint: str = Field(
        default="", description="another address of BigQuery's API, as an emulator's; asked without credentials"
    )
    bigquery_location: str = Field(default="US", description="where a dataset of BigQuery is made")
    bigquery_query_bytes: int = Field(
        default=50 << 30, ge=10 << 20, description="what one statement may read of BigQuery at most"
    )
    bigquery_daily_bytes: int = Field(
        default=400 << 30, ge=0, description="what all statements of a day (UTC) may read of BigQuery"
    )
    bigquery_models_seconds: int = Field(
        default=21_600, ge=0, le=604_800, description="BigQuery's accounts follow this often; 0 = always"
    )
    bigquery_metrics_seconds: int = Field(
        default=86_400, ge=-1, le=604_800, description="BigQuery's statistics follow this often; 0 = always, -1 = never"
    )
    rate_scale: float = Field(
        default=0.8, gt=0, allow_inf_nan=False, description="factor on each published rate limit; above 1 warns"
    )
    from_block: int | None = Field(default=None, ge=0, description="where the chain source starts")
    checks: Literal["stop", "tell", "off"] = Field(
        default="stop",
        description="what a broken check does to a build: stop keeps its tables as they were, tell only says so",
    )
    keep_previous_build: bool = Field(
        default=True, description="keep the models that a build of all wallets replaces, for metrics --rollback"
    )
    traces: str = Field(
        default="", description="where traces go: OTLP over HTTP, as http://127.0.0.1:4318; unset: nowhere"
    )
    log_format: Literal["console", "json"] | None = Field(
        default=None, description="console or json; default: console on a terminal, else json"
    )

    @field_validator("home", mode="after")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        if "\0" in str(value):
            raise ValueError("no path has a NUL character")
        # resolve() would follow symbolic links, and Path's own expanduser fails where there is no such user.
        return Path(os.path.abspath(os.path.expanduser(value)))  # noqa: PTH100, PTH111

    @field_validator(*_HTTP_FIELDS, "live_url", mode="after")
    @classmethod
    def _check_url(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is None:
            return value
        for one in text.split(","):  # only the nodes may be several
            parts = _url_parts(one.strip())
            if parts is None or parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname:
                raise ValueError("must be a URL like https://host[:port][/path]")
        return value

    def rpc_urls(self) -> list[str]:
        """The Polygon nodes, best first; [] if none is set."""
        text = "" if self.rpc_url is None else self.rpc_url.get_secret_value()
        return [one.strip() for one in text.split(",") if one.strip()]

    def warehouse_url(self) -> str:
        """The warehouse URL, with its password; the embedded store in ``home`` unless set."""
        return self.warehouse.get_secret_value() or f"chdb://{self.home / 'warehouse'}"

    def engine_url(self) -> str:
        """Where the engine is that computes: the warehouse, or the embedded store that a BigQuery dataset follows."""
        url = self.warehouse_url()
        if not self.is_bigquery():
            return url
        from polyhouse.warehouse.bigquery import cache_folder, parse_dataset

        return f"chdb://{cache_folder(self.home, parse_dataset(url))}"

    def is_bigquery(self) -> bool:
        """Whether the warehouse is a dataset of BigQuery that follows an embedded store."""
        return self.warehouse_url().startswith(BIGQUERY_SCHEME)

    def state_url(self) -> str:
        """The state store's URL, with its password; a SQLite file in ``home`` unless set."""
        return self.state.get_secret_value() or f"sqlite:///{self.home / 'state.db'}"

    def publish_url(self) -> str:
        """Where tables are published, with its password; "" = where the state store is, if that is a server."""
        return self.publish.get_secret_value()


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the place each value came from (``flag``, ``environment``, a file's path, ``default``)."""

    settings: Settings
    sources: Mapping[str, str]

    def explain(self) -> list[tuple[str, str, str]]:
        """(environment name, value with secrets masked, source) of every setting, in the documented order."""
        return [
            (PREFIX + name.upper(), _shown(self.settings, name), self.sources.get(name, "default"))
            for name in Settings.model_fields
        ]


def load(flags: Mapping[str, Any] | None = None, *, working_directory: Path | None = None) -> Loaded:
    """Resolve all settings.

    Args:
        flags: values given on the command line; ``None`` values count as not given.
        working_directory: where the first ``polyhouse.toml`` is looked for; the process's own by default.

    Raises:
        ConfigError: an unknown key, an unreadable file or an impossible value; names the place.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = [
        ("flag", {k: v for k, v in (flags or {}).items() if v is not None}),
        ("environment", _environment()),
    ]
    local = (working_directory or Path.cwd()) / FILE_NAME
    layers.append((str(local), _read_file(local)))
    home = Path(os.path.expanduser(_first(layers, "home") or "~/.polyhouse"))  # noqa: PTH111 - str or Path
    user = home / FILE_NAME
    if user.absolute() != local.absolute():
        layers.append((str(user), _read_file(user)))
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for place, layer in layers:
        for name, value in layer.items():
            if name not in values:
                values[name], sources[name] = value, place
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _explain_error(error, sources) from None
    if settings.rate_scale > 1:
        _log.warning(
            "POLYHOUSE_RATE_SCALE is %s: above 1 exceeds the published limits; only for simulators and private mirrors",
            settings.rate_scale,
        )
    return Loaded(settings, sources)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` Did you mean …?`` if one of ``known`` is close to ``word``, else an empty text."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def mask_url(url: str) -> str:
    """``url`` with its password, query and fragment masked; nothing of one that cannot be read."""
    parts = _url_parts(url)
    if parts is None:
        return MASK
    netloc = parts.netloc
    if "@" in netloc:
        user, host = netloc.rsplit("@", 1)
        netloc = f"{user.split(':', 1)[0]}:{MASK}@{host}" if ":" in user else f"{user}@{host}"
    query = MASK if parts.query else ""
    return urlunsplit((parts.scheme, netloc, parts.path, query, "")) if parts.netloc or parts.query else url


def _url_parts(text: str) -> SplitResult | None:
    """The parts of a URL, None if it is none."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _environment() -> dict[str, Any]:
    for variable in os.environ:
        name = variable.removeprefix(PREFIX)
        if variable.startswith(PREFIX) and name.lower() not in Settings.model_fields:
            known = [PREFIX + field.upper() for field in Settings.model_fields]
            if variable not in _KNOWN_VARIABLES:
                _log.warning("%s is not a setting and is ignored.%s", variable, suggestion(variable, known))
    # Without the prefix it is somebody else's variable: ``HOME`` is not ours. In any case, but capitals win.
    given = {variable.lower(): text for variable, text in sorted(os.environ.items(), reverse=True) if text}
    texts = {name: given.get(PREFIX.lower() + name) for name in Settings.model_fields}
    return {name: _from_text(name, text) for name, text in texts.items() if text is not None}


def _from_text(name: str, text: str) -> Any:
    """The value of a variable: tables are JSON objects, everything else is read from its text."""
    if name not in _TABLES:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{PREFIX}{name.upper()}: not a JSON object: {error}", hint='{"top": "0 * * * *", "full": "off"}'
        ) from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        problem = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise ConfigError(
            f"{str(path)[:_SHOWN_PATH]} cannot be read: {problem}", hint="fix the file or move it away"
        ) from None
    for key in content:
        if key not in Settings.model_fields:
            raise ConfigError(
                f"{path}: unknown setting {key!r}.{suggestion(key, Settings.model_fields)}",
                hint="`polyhouse config` lists all settings",
            )
    if _SECRETS & content.keys() and path.stat().st_mode & 0o077:
        _log.warning("%s holds secrets and can be read by others: chmod 600 %s", path, path)
    return content


def _first(layers: list[tuple[str, Mapping[str, Any]]], name: str) -> str:
    return next((str(layer[name]) for _, layer in layers if name in layer), "")


def _explain_error(error: ValidationError, sources: Mapping[str, str]) -> ConfigError:
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if name not in Settings.model_fields:
        return ConfigError(f"unknown setting {name!r}.{suggestion(name, Settings.model_fields)}")
    reason = str(first["msg"]).removeprefix("Value error, ")
    return ConfigError(
        f"{PREFIX}{name.upper()} (from {sources.get(name, 'default')}): {reason[:1].lower()}{reason[1:]}",
        hint="`polyhouse config --help` shows the settings; `polyhouse init` writes a commented polyhouse.toml",
    )


def _shown(settings: Settings, name: str) -> str:
    if name == "warehouse":
        return mask_url(settings.warehouse_url())
    if name == "state":
        return mask_url(settings.state_url())
    if name == "publish":
        return mask_url(settings.publish_url())
    value = getattr(settings, name)
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        if name == "rpc_url":
            return ",".join(map(_masked_secret, settings.rpc_urls()))
        if name == "notify_urls":  # what stands where a host would is a key of many services
            urls = value.get_secret_value().replace(",", " ").split()
            return " ".join(f"{url.split('://', 1)[0][:20]}://{MASK}" if "://" in url else MASK for url in urls)
        return _masked_secret(value.get_secret_value())
    if isinstance(value, dict):
        return json.dumps(value) if value else ""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return mask_url(value) if name.endswith("_url") else str(value)


def _masked_secret(text: str) -> str:
    """A key shows nothing; a URL shows its host only, since providers put keys into paths."""
    parts = _url_parts(text)
    if parts is None or not parts.scheme or not parts.hostname:
        return MASK
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/{MASK}"


_SECRETS = {name for name, info in Settings.model_fields.items() if "SecretStr" in str(info.annotation)}


def describe(name: str) -> str:
    """One line on what a setting means."""
    info: FieldInfo = Settings.model_fields[name]
    return info.description or ""


__all__ = ["FILE_NAME", "PREFIX", "Loaded", "Settings", "describe", "load", "mask_url", "suggestion"]
