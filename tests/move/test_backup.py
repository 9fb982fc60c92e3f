"""Backups of embedded stores: complete or not there; restores: checked first, whole or not at all."""

from __future__ import annotations

import json
import shutil
import signal
from contextlib import contextmanager

import pytest
from moved_stores import Home, fill_stores, state_rows, wallets_of

from polyhouse.cli.app import run_command_line
from polyhouse.errors import ConfigError, StoreInUseError
from polyhouse.move.backup import back_up
from polyhouse.move.manifest import read_manifest
from polyhouse.move.restore import restore
from polyhouse.settings import Settings
from polyhouse.state import open_state
from polyhouse.warehouse import open_warehouse
from polyhouse.wiring import open_state_only


def made(home, folder, **options):
    return back_up(home.warehouse, home.state, folder, **options)


def put_back(home, folder, **options):
    return restore(folder, home.warehouse, home.state, **options)


@pytest.fixture
def ends_at(monkeypatch):
    """Lets a restore end at a point as if the process had."""

    @contextmanager
    def ending(point):
        def reach(name):
            if name == point:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr("polyhouse.move.restore.reach", reach)
            yield

    return ending


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    }  # fmt: skip


def test_a_backup_brings_both_stores_back_here_and_elsewhere(home, tmp_path):
    manifest = made(home, tmp_path / "one")
    assert manifest.tables["observations"] == 2
    assert manifest.state["wallets"] == 2
    assert not (tmp_path / ".one.partial").exists()
    before, state = contents(tmp_path / "one"), state_rows(home.state)
    elsewhere = Home(tmp_path / "elsewhere")
    done = elsewhere.run("restore", str(tmp_path / "one"))
    assert done.returncode == 0, done.stderr
    assert "what was there before" not in done.stderr
    assert wallets_of(elsewhere) == [1, 2]
    assert state_rows(elsewhere.state) == state
    fill_stores(home, 3)
    done = put_back(home, tmp_path / "one")
    assert wallets_of(home) == [1, 2]
    assert contents(tmp_path / "one") == before, "a restore changes no backup"
    kept_state, kept_store = done.kept
    shutil.move(kept_store, elsewhere.folder / "old")
    assert wallets_of(Home(home.folder, f"chdb://{elsewhere.folder}/old", f"sqlite:///{kept_state}")) == [1, 2, 3]


def test_what_an_earlier_backup_has_takes_no_space_again(home, tmp_path):
    made(home, tmp_path / "one")
    fill_stores(home, 3)
    manifest = made(home, tmp_path / "two", base=tmp_path / "one")
    shared = {
        file.path
        for file in manifest.files
        if (tmp_path / "one" / file.path).exists()
        and (tmp_path / "one" / file.path).samefile(tmp_path / "two" / file.path)
    }
    parts = {file.path for file in manifest.files if file.path.endswith("data.bin")}
    assert len(parts - shared) < len(parts & shared), "only the new part was copied"
    shutil.rmtree(tmp_path / "one")
    put_back(home, tmp_path / "two")
    assert wallets_of(home) == [1, 2, 3]


def test_a_place_without_room_is_named_and_keeps_nothing(home, tmp_path, monkeypatch, capsys):
    def full(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("polyhouse.move.backup.copy_file", full)
    assert run_command_line(["--home", str(home.folder), "backup", str(tmp_path / "one")]) == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert str(tmp_path) in said
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_stores_that_were_worked_with_since_are_replaced_only_by_force(home, tmp_path):
    made(home, tmp_path / "one")
    with open_state(home.state, now=lambda: 4e9) as state:
        state.start_run("run", {})
    with pytest.raises(ConfigError, match=r"worked with after this backup was made, at 2096-10-02"):
        put_back(home, tmp_path / "one")
    put_back(home, tmp_path / "one", force=True)
    assert wallets_of(home) == [1, 2]


def test_a_state_store_that_cannot_be_read_any_more_is_kept_and_replaced_by_force(home, tmp_path):
    made(home, tmp_path / "one")
    file = home.folder / "state.db"
    file.write_bytes(b"\0" * 5000)
    with pytest.raises(ConfigError, match="damaged"):
        put_back(home, tmp_path / "one")
    kept, _ = put_back(home, tmp_path / "one", force=True).kept
    assert wallets_of(home) == [1, 2]
    assert open(kept, "rb").read() == b"\0" * 5000  # noqa: PTH123, SIM115


def test_a_damaged_or_foreign_backup_replaces_nothing(home, tmp_path):
    good = tmp_path / "good"
    made(home, good)
    largest = max(good.rglob("data.bin"), key=lambda path: path.stat().st_size).relative_to(good)
    document = json.loads((good / "manifest.json").read_text())
    newer = {**document, "migrations": document["migrations"] | {"9999_later.sql": "00"}}
    harms = {
        "another content": lambda folder: (folder / largest).write_bytes(b"x" * (good / largest).stat().st_size),
        "bytes instead of": lambda folder: (folder / largest).write_bytes((good / largest).read_bytes()[:-1]),
        "is missing": lambda folder: (folder / largest).unlink(),
        "another version": lambda folder: (folder / "manifest.json").write_text(json.dumps(newer)),
        "is damaged": lambda folder: (folder / "manifest.json").write_text(json.dumps(document)[:-50]),
        "is no backup": lambda folder: (folder / "manifest.json").unlink(),
    }
    before = state_rows(home.state)
    for number, (words, harm) in enumerate(harms.items()):
        folder = shutil.copytree(good, tmp_path / str(number), symlinks=True)
        harm(folder)
        with pytest.raises(ConfigError, match=words):
            put_back(home, folder, force=True)
    assert sorted(path.name for path in home.folder.iterdir()) == ["state.db", "warehouse", "warehouse.lock"]
    assert state_rows(home.state) == before


def test_a_store_that_is_open_is_neither_copied_nor_replaced(home, tmp_path):
    made(home, tmp_path / "one")
    with open_warehouse(home.warehouse):
        with pytest.raises(StoreInUseError):
            made(home, tmp_path / "two")
        with pytest.raises(StoreInUseError):
            put_back(home, tmp_path / "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "one"]
    with pytest.raises(ConfigError, match="there already"):
        made(home, tmp_path / "one")


def test_a_killed_backup_leaves_none_and_the_next_one_clears_up(home, tmp_path):
    assert home.run("backup", str(tmp_path / "one"), failpoint="B2").returncode == -signal.SIGKILL
    assert not (tmp_path / "one").exists()
    made(home, tmp_path / "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "one"]
    assert read_manifest(tmp_path / "one").tables["observations"] == 2


def test_a_restore_that_ends_before_it_replaces_anything_changed_nothing(home, tmp_path, ends_at):
    made(home, tmp_path / "one")
    fill_stores(home, 3)
    with ends_at("R1"):
        put_back(home, tmp_path / "one")
    assert wallets_of(home) == [1, 2, 3]
    put_back(home, tmp_path / "one")
    assert not (home.folder / "warehouse__restoring").exists()


@pytest.mark.parametrize("point", ["R3", "R4"])
def test_nobody_works_on_half_a_restore_and_the_next_one_ends_it(home, tmp_path, ends_at, point):
    made(home, tmp_path / "one")
    fill_stores(home, 3)
    if point == "R3":  # the old warehouse is moved away, the new one is not there
        assert home.run("restore", str(tmp_path / "one"), failpoint=point).returncode == -signal.SIGKILL
    else:
        with ends_at(point):
            put_back(home, tmp_path / "one")
    settings = Settings(home=home.folder)
    with pytest.raises(ConfigError, match="restore is going on") as refused, open_state_only(settings):
        pass
    assert f"polyhouse restore {tmp_path / 'one'} --force" in refused.value.hint
    put_back(home, tmp_path / "one")
    with open_state_only(settings):
        assert wallets_of(home) == [1, 2]
