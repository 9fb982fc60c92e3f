"""Settings of any kind are taken or refused with one sentence; secrets are their owner's, and compared well."""

from __future__ import annotations

import ast
import json
import os
import random
import stat
from pathlib import Path

import pytest

import polyhouse
from polyhouse.errors import ConfigError
from polyhouse.notify.rules import RULES, followed_wallets, rules
from polyhouse.settings import FILE_NAME, PREFIX, Settings, load

SOURCE = Path(polyhouse.__file__).parent
VALUES = [
    "", " ", "0", "-1", "1", "1e400", "NaN", "nan", "inf", "-inf", "true", "null", "[]", "{}", '{"a": 1}',
    '{"a": {"b": []}}',
    "[" * 5_000, '{"a":' * 2_000, "9" * 5_000, "0x10", "1_000", "\u0663", "\u0000", "a\0b", "\ud800", "\u202e",
    "\ufeff1", "x" * 100_000,
    "https://", "https://[::1", "https://[::1]:99999/", "https://host:port/", "https://user:p@ss@host/",
    "https://h\u0000st/",
    "https://xn--/", "http://127.0.0.1:0", "javascript:alert(1)", "file:///etc/passwd", "chdb://",
    "chdb:///\0", "sqlite:///",
    "sqlite:////nowhere/at/all.db", "postgresql://", "postgresql://[::1", "clickhouse://h:99999/db",
    "bigquery://", "../..", "~nobody/x",
    "a,b,c", ",,,", "%s%n", "${HOME}", "$(id)", "'; DROP TABLE runs --",
]  # fmt: skip


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYHOUSE_HOME", str(tmp_path / "home"))
    return tmp_path


def one_sentence(error):
    assert error.exit_code == 2
    assert len(str(error)) < 1_000


def judged(work):
    """The settings, if they are taken; each can be shown, and asked for its URLs."""
    try:
        loaded = work()
    except ConfigError as error:
        one_sentence(error)
        return None
    for _ in loaded.explain():
        pass
    loaded.settings.rpc_urls()
    return loaded


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_any_value_of_any_setting_is_taken_or_refused(name, places, monkeypatch):
    for value in VALUES:
        if "\0" not in value:
            monkeypatch.setenv(
                PREFIX + name.upper(), value.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
            )
            judged(load)
    monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    for value in [*VALUES, 0, -1, 2**70, 1.5, float("nan"), True, None, [], {}, {"a": {"b": 1}}, b"bytes"]:
        judged(lambda value=value: load({name: value}))


DOCUMENTS = [
    b"", b"\0", b"\xff\xfea\0", b"\xef\xbb\xbfrpc_limit = '1'", b"a = [" * 5_000,
    b"a = " + b"[" * 20_000 + b"]" * 20_000,
    b"rpc_range = " + b"9" * 10_000, b"rpc_range = 1e400", b"rpc_range = nan", b"rpc_range = 1\nrpc_range = 2",
    b"[schedule]\nfull = {}",
    b"[notify]\nwhale_trade = 5", b"[[notify]]\na = 1", b"home = '\\ud800'", b'home = "\\u0000"',
    b"gamma_url = 'https://[::1'",
    b"warehouse = 2026-01-01", b"unknown = 1", b"'' = 1", b"a.b.c = 1", b"\xed\xa0\x80 = 1", b"x" * 1_000_000,
    b"rate_scale = -0.0",
    b"schedule = 'x'", b"[schedule.full.deep]\nx = 1", b"admin_api_key = ''", b"admin_api_key = 5",
    b"log_format = 'xml'",
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_any_file_of_settings_is_taken_or_refused(document, places):
    (places / FILE_NAME).write_bytes(document)
    judged(load)


def test_spoiled_files_of_settings_are_taken_or_refused(places):
    good = b'rpc_range = 100\ngamma_url = "https://a.example"\n[schedule]\nfull = "off"\n[notify]\ninsider = "off"\n'
    pick = random.Random(8)
    for _ in range(400):
        spoiled = bytearray(good)
        for _ in range(pick.randrange(1, 5)):
            spoiled[pick.randrange(len(spoiled))] = pick.randrange(256)
        (places / FILE_NAME).write_bytes(bytes(spoiled))
        judged(load)


@pytest.mark.parametrize("rule", RULES)
def test_any_threshold_of_a_rule_is_taken_or_refused(rule):
    for value in VALUES:
        for work in (lambda value=value: rules({rule: value}), lambda value=value: followed_wallets(value)):
            try:
                work()
            except ConfigError as error:
                one_sentence(error)


SECRET_WORDS = {
    "secret",
    "password",
    "api_key",
    "digest",
    "signature",
    "hmac",
    "expected",
    "given",
    "master",
    "credential",
}
"""Names of values that somebody could guess byte by byte. ``token`` is not among them: here it names outcomes."""
COMPARING = (
    "serve/access.py",
    "serve/routes",
    "state/access.py",
    "fleet/protocol.py",
    "fleet/owner.py",
    "fleet/worker.py",
)


def names_in(node):
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)
    }


def compared_secrets(text):
    """Lines that compare a secret with ``==`` or ``!=`` or look for it in a collection."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Compare):
            continue
        kinds = {type(operator) for operator in node.ops}
        sides = [node.left, *node.comparators]
        is_between_values = not any(isinstance(side, ast.Constant) for side in sides)
        has_secret = any(names_in(side) & SECRET_WORDS for side in sides if isinstance(side, ast.Name | ast.Attribute))
        if kinds & {ast.Eq, ast.NotEq} and is_between_values and has_secret:
            found.append(node.lineno)
    return found


def test_secrets_are_compared_in_constant_time_only():
    looked_at = 0
    for place in COMPARING:
        path = SOURCE / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            assert compared_secrets(file.read_text(encoding="utf-8")) == [], file
            looked_at += 1
    assert looked_at >= 10
    assert compared_secrets("if given == expected:\n    pass") == [1]
    assert compared_secrets("ok = self.digest != row.digest") == [1]
    assert compared_secrets("ok = secrets.compare_digest(given, expected)") == []


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_stored_is_for_its_owner_only(tmp_path):
    from polyhouse.wiring import open_stores

    before = os.umask(0o022)
    try:
        home = tmp_path / "home"
        with open_stores(load({"home": home}).settings) as stores:
            stores.state.create_key("ann", ["read"])
            assert mode(home) == 0o700
            assert mode(home / "state.db") == 0o600
    finally:
        os.umask(before)


def test_a_file_with_secrets_that_others_can_read_is_named(places, caplog):
    file = places / FILE_NAME
    file.write_text('admin_api_key = "hush"\n')
    file.chmod(0o644)
    load()
    assert "polyhouse.toml" in caplog.text
    assert "hush" not in caplog.text
    caplog.clear()
    file.chmod(0o600)
    load()
    file.write_text("rpc_range = 5\n")
    file.chmod(0o644)
    load()
    assert "can be read" not in caplog.text


def test_keys_are_shown_nowhere(places, monkeypatch):
    planted = {
        "admin_api_key": "planted-admin", "dome_api_key": "planted-dome", "hypersync_token": "planted-hyper",
        "rpc_url": "https://node.example/v2/planted-rpc", "notify_urls": "slack://planted/notify/url",
        "state": "postgresql://u:planted-state@h/d",
        "warehouse": "clickhouse://u:planted-house@h:1/d", "user_wallets_url": "postgresql://u:planted-users@h/d",
        "publish": "postgresql://u:planted-publish@h/d",
    }  # fmt: skip
    loaded = load(planted)
    shown = [json.dumps(loaded.explain()), repr(loaded), str(loaded.settings), repr(loaded.settings.model_dump())]
    assert [text for text in shown if "planted" in text] == []
