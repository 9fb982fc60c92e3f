"""Damaged stores are refused or repaired, and never taken for new ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from powercheck import batches, go_on, page
from powerlab import ENVIRONMENT, HERE
from powerwriter import ROWS

from polyhouse.errors import StoreDamagedError
from polyhouse.state import open_state
from polyhouse.sync.verify import verify
from polyhouse.warehouse import open_warehouse

BATCHES = 4
_WRITER = str(HERE / "powerwriter.py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with four batches; ``older`` beside it is its warehouse after two of them."""
    home = tmp_path_factory.mktemp("damaged") / "home"
    home.mkdir()
    with subprocess.Popen(
        [sys.executable, _WRITER, str(home), str(BATCHES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as writer:  # fmt: skip
        assert writer.stdin
        assert writer.stdout
        for number in range(BATCHES):
            assert int(writer.stdout.readline()) == number + 1
            if number == 1:
                shutil.copytree(home / "warehouse", home.with_name("older"), symlinks=True)
            writer.stdin.write(b"\n")
            writer.stdin.flush()
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "home", symlinks=True))


def part_of(home: Path) -> Path:
    """The folder of a part of the observations."""
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        sql = "SELECT path FROM system.parts WHERE table = 'observations' AND active ORDER BY name LIMIT 1"
        return Path(str(warehouse.query(sql).rows[0][0]))


def cut_off(part: Path) -> None:
    os.truncate(part / "data.bin", 100)


def without_columns(part: Path) -> None:
    (part / "columns.txt").unlink()


def empty_checksums(part: Path) -> None:
    os.truncate(part / "checksums.txt", 0)


@pytest.mark.parametrize("damage", [cut_off, without_columns, empty_checksums])
def test_a_part_that_the_engine_would_leave_out_is_named(home: Path, damage: Callable[[Path], None]) -> None:
    damage(part_of(home))
    for _ in range(2):  # it stays refused
        with pytest.raises(StoreDamagedError, match="observations: broken-on-start") as caught:
            open_warehouse(f"chdb://{home}/warehouse")
    assert "polyhouse restore" in caught.value.hint
    assert caught.value.exit_code == 2


def test_one_wrong_bit_is_met_when_it_is_read(home: Path) -> None:
    file = part_of(home) / "data.bin"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with (
        open_warehouse(f"chdb://{home}/warehouse") as warehouse,
        pytest.raises(StoreDamagedError, match="Checksum doesn't match"),
    ):
        warehouse.query("SELECT * FROM observations")


def test_a_folder_without_its_list_of_tables_is_not_taken_for_a_new_one(home: Path) -> None:
    (home / "warehouse" / "metadata" / "default").unlink()
    with pytest.raises(StoreDamagedError, match="metadata/default is missing"):
        open_warehouse(f"chdb://{home}/warehouse")


def test_a_result_of_a_merge_that_is_broken_is_replaced_by_its_sources(home: Path) -> None:
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        warehouse.command("OPTIMIZE TABLE observations FINAL")
    merged = part_of(home)
    assert merged.name.startswith("all_1_")
    cut_off(merged)
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        assert batches(warehouse) == dict.fromkeys(range(BATCHES), ROWS)


def test_a_lost_state_store_is_rebuilt_from_the_warehouse(home: Path) -> None:
    for file in home.glob("state.db*"):
        file.unlink()
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse, open_state(f"sqlite:///{home}/state.db") as state:
        assert verify(warehouse, state).rebuilt == 1
        assert page(state) == BATCHES
        assert go_on(warehouse, state)


def test_a_warehouse_of_yesterday_sets_the_checkpoints_back(whole: Path, home: Path) -> None:
    shutil.rmtree(home / "warehouse")
    shutil.copytree(whole.with_name("older"), home / "warehouse", symlinks=True)
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse, open_state(f"sqlite:///{home}/state.db") as state:
        assert page(state) == BATCHES
        assert verify(warehouse, state).rewound == 1
        assert page(state) == 2
        assert go_on(warehouse, state)
