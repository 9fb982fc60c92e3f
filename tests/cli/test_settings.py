import itertools
import logging

import pytest
from commands import in_process

from polyhouse.errors import ConfigError
from polyhouse.settings import Settings, load, mask_url


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A clean environment, a working directory and a home folder."""
    import os

    for name in list(os.environ):
        if name.startswith("POLYHOUSE_"):
            monkeypatch.delenv(name)
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    monkeypatch.setenv("POLYHOUSE_HOME", str(home))
    return work, home


@pytest.mark.parametrize("given", list(itertools.product([False, True], repeat=4)))
def test_the_first_place_that_says_something_wins(places, monkeypatch, given):
    work, home = places
    flag, environment, local, user = given
    flags = {"data_url": "http://flag"} if flag else {"data_url": None}
    if environment:
        monkeypatch.setenv("POLYHOUSE_DATA_URL", "http://environment")
    if local:
        (work / "polyhouse.toml").write_text('data_url = "http://local"\n')
    if user:
        (home / "polyhouse.toml").write_text('data_url = "http://user"\n')
    names = ["flag", "environment", str(work / "polyhouse.toml"), str(home / "polyhouse.toml")]
    values = ["http://flag", "http://environment", "http://local", "http://user"]
    expected = next(
        ((v, n) for v, n, here in zip(values, names, given, strict=True) if here),
        ("https://data-api.polymarket.com", "default"),
    )
    loaded = load(flags, working_directory=work)
    shown = {name: (value, source) for name, value, source in loaded.explain()}
    assert shown["POLYHOUSE_DATA_URL"] == expected
    assert loaded.settings.data_url == expected[0]


def test_stores_live_in_home_unless_set(places, monkeypatch):
    work, home = places
    settings = load(working_directory=work).settings
    assert settings.warehouse_url() == f"chdb://{home}/warehouse"
    assert settings.state_url() == f"sqlite:///{home}/state.db"
    monkeypatch.setenv("POLYHOUSE_WAREHOUSE", "clickhouse://u:pw@h/db")
    assert load(working_directory=work).settings.warehouse_url() == "clickhouse://u:pw@h/db"


def test_an_empty_variable_counts_as_unset(places, monkeypatch):
    monkeypatch.setenv("POLYHOUSE_RATE_SCALE", "")
    assert load(working_directory=places[0]).settings.rate_scale == 0.8


def test_variables_of_others_are_not_ours(places, monkeypatch):
    """``HOME``, or another program's ``PUBLISH``, must not count as ``POLYHOUSE_HOME`` or ``POLYHOUSE_PUBLISH``."""
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "http://of-another-program")
        monkeypatch.setenv(name, "http://of-another-program")
    shown = load(working_directory=places[0]).explain()
    assert {name: source for name, _, source in shown if source != "default"} == {"POLYHOUSE_HOME": "environment"}
    assert shown[0][1] == str(places[1])


def test_the_default_home_is_a_folder_of_its_own(places, monkeypatch, tmp_path):
    monkeypatch.delenv("POLYHOUSE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(working_directory=places[0]).settings.home == tmp_path / ".polyhouse"


def test_capitals_win_over_another_case_of_the_same_variable(places, monkeypatch):
    monkeypatch.setenv("POLYHOUSE_FROM_BLOCK", "5")
    monkeypatch.setenv("polyhouse_from_block", "7")
    monkeypatch.setenv("polyhouse_rate_scale", "0.5")
    settings = load(working_directory=places[0]).settings
    assert (settings.from_block, settings.rate_scale) == (5, 0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('warehose = "x"', ["warehose", "Did you mean warehouse?"]),
        ("[gamma]\nurl = 1", ["gamma"]),
        ("rate_scale = 0", ["POLYHOUSE_RATE_SCALE", "polyhouse.toml", "greater than 0"]),
        ("rate_scale = nan", ["POLYHOUSE_RATE_SCALE"]),
        ("from_block = -1", ["POLYHOUSE_FROM_BLOCK"]),
        ('data_url = "ftp://x"', ["POLYHOUSE_DATA_URL", "https://host"]),
        ('log_format = "xml"', ["POLYHOUSE_LOG_FORMAT", "console"]),
        ("rate_scale = ", ["cannot be read"]),
    ],
)
def test_wrong_files_are_refused_with_the_place_and_the_fix(places, text, words):
    work, _ = places
    (work / "polyhouse.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(working_directory=work)
    for word in words:
        assert word in f"{caught.value}"


def test_secrets_never_show(places, monkeypatch):
    monkeypatch.setenv("POLYHOUSE_ADMIN_API_KEY", "planted")
    monkeypatch.setenv("POLYHOUSE_RPC_URL", "https://node.example/v2/planted")
    monkeypatch.setenv("POLYHOUSE_USER_WALLETS_URL", "postgresql://u:planted@db/x")
    monkeypatch.setenv("POLYHOUSE_STATE", "postgresql://u:planted@db:5432/x?sslkey=planted")
    loaded = load(working_directory=places[0])
    assert "planted" not in repr(loaded.explain())
    assert "planted" not in repr(loaded.settings)
    shown = {name: value for name, value, _ in loaded.explain()}
    assert shown["POLYHOUSE_RPC_URL"] == "https://node.example/***"
    assert shown["POLYHOUSE_STATE"] == "postgresql://u:***@db:5432/x?***"


def test_a_wrong_secret_is_not_repeated_in_the_error(places, monkeypatch):
    monkeypatch.setenv("POLYHOUSE_RPC_URL", "planted")
    with pytest.raises(ConfigError) as caught:
        load(working_directory=places[0])
    assert "planted" not in str(caught.value)


def test_high_rates_and_unknown_variables_warn(places, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("polyhouse"), "propagate", True)
    monkeypatch.setenv("POLYHOUSE_RATE_SCALE", "2")
    monkeypatch.setenv("POLYHOUSE_GAMA_URL", "http://x")
    load(working_directory=places[0])
    assert "exceeds the published limits" in caplog.text
    assert "Did you mean POLYHOUSE_GAMMA_URL?" in caplog.text


def test_settings_are_frozen():
    with pytest.raises(ValueError):
        Settings().rate_scale = 1.0


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://h/p", "https://h/p"),
        ("https://u:p@w@h/p", "https://u:***@h/p"),
        ("https://h/p?key=1#x", "https://h/p?***"),
        ("chdb:///a/b", "chdb:///a/b"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_urls_are_masked(url, masked):
    assert mask_url(url) == masked


@pytest.mark.parametrize("place", ["a-file", "a-file/below", "/proc/no-folder"])
def test_a_home_that_cannot_be_is_named(tmp_path, place):
    (tmp_path / "a-file").write_text("")
    for command in (["leaderboard"], ["status"]):
        result = in_process(tmp_path, "--home", place, *command)
        assert result.returncode == 2, (place, command, result.stderr)
        assert place.rpartition("/")[2] in result.stderr
        assert "bug" not in result.stderr
