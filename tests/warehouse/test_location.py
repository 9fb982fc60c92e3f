"""Forms of the warehouse URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyhouse.errors import AuthError, ConfigError, PolyhouseError, WarehouseUnavailableError
from polyhouse.warehouse import holder, open_warehouse
from polyhouse.warehouse.faults import translate
from polyhouse.warehouse.location import Embedded, Server, parse_location, without_secrets


def test_embedded_folders():
    assert parse_location("chdb:///var/lib/poly house/w%20") == Embedded(Path("/var/lib/poly house/w%20"))
    assert parse_location("chdb:///a/b/../c/") == Embedded(Path("/a/c"))


def test_servers():
    assert parse_location("clickhouse://me:p%40ss@host/db") == Server("host", 8123, "db", "me", "p@ss")
    assert parse_location("clickhouse://host:8443/db") == Server("host", 8443, "db", "default", "", secure=True)
    assert parse_location("clickhouse://host/db?secure=1").port == 8443
    clustered = parse_location("clickhouse://me:p%40ss@host/db?cluster=all-nodes&quorum=2")
    assert clustered == Server("host", 8123, "db", "me", "p@ss", cluster="all-nodes", quorum="2")
    assert "p@ss" not in repr(parse_location("clickhouse://me:p%40ss@host/db"))
    assert holder("clickhouse://host/db") is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/var/lib/warehouse",
        "chdb://relative/folder",
        "chdb://",
        "chdb:///",
        "chdb:///a?mode=ro",
        "clickhouse://me:secret@host",
        "clickhouse://me:secret@host/a/b",
        "clickhouse://me:secret@host:port/db",
        "clickhouse://me:secret@host:99999/db",
        "clickhouse://me:secret@host/db?colour=red",
        "clickhouse://me:secret@host/db?cluster=a'b",
        "clickhouse://me:secret@host/db?cluster=c&quorum=most",
        "bigquery://project/dataset",
        "duckdb:///a.db",
    ],
)
def test_everything_else_is_a_settings_error_without_secrets(url):
    with pytest.raises(ConfigError) as caught:
        open_warehouse(url)
    assert "secret" not in str(caught.value) + caught.value.hint
    assert str(caught.value).endswith(".")


def test_bigquery_names_what_is_supported():
    with pytest.raises(ConfigError) as caught:
        open_warehouse("bigquery://project/dataset")
    assert "chdb://" in caught.value.hint
    assert "clickhouse://" in caught.value.hint


def test_a_file_is_not_a_store(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is a file"):
        open_warehouse(f"chdb://{tmp_path}/file")
    with pytest.raises(ConfigError, match="cannot be used"):
        open_warehouse(f"chdb://{tmp_path}/file/below")


def test_a_server_that_does_not_answer_is_a_retryable_error():
    with pytest.raises(WarehouseUnavailableError) as caught:
        open_warehouse("clickhouse://me:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)
    assert caught.value.exit_code == 3


class EngineError(Exception):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


@pytest.mark.parametrize(
    ("code", "kind"),
    [(516, AuthError), (81, ConfigError), (241, WarehouseUnavailableError), (243, WarehouseUnavailableError),
     (None, WarehouseUnavailableError), (62, PolyhouseError), (60, PolyhouseError)],
)  # fmt: skip
def test_engine_errors_become_ours(code, kind):
    text = f"Code: {code}. DB::Exception: no luck at http://me:secret@host/. (NO_LUCK) (version 26.9.2.1 (official))"
    error = translate(EngineError(text, code))
    assert type(error) is kind
    assert "no luck at http://me:***@host/" in str(error)
    assert "26.9" not in str(error)
    assert without_secrets("nothing: to hide @ all") == "nothing: to hide @ all"
