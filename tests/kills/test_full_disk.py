"""A full and a read-only disk, for real: one clear sentence, nothing corrupted, and the same command goes on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fulldisk

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return fulldisk.in_own_namespace("--points", "3")


def test_a_full_disk_is_named_with_its_folder_and_what_is_free(report: dict[str, Any]) -> None:
    met = [one for one in report["full"] if one["code"]]
    assert {one["place"] for one in met} >= {"both", "warehouse"}, "the disk was never full: the test proved nothing"
    for one in met:
        assert one["code"] == 3, one["words"]
        assert "is full: " in one["words"]
        assert "MB are free)" in one["words"]


def test_a_read_only_disk_is_named(report: dict[str, Any]) -> None:
    for one in report["read_only"]:
        assert one["code"] == 3, one["words"]
        assert "is read-only: " in one["words"]
        assert "code:  DISK (exit 3)" in one["words"]


def test_the_same_command_goes_on_to_the_same_tables(report: dict[str, Any]) -> None:
    for one in (*report["full"], *report["read_only"]):
        assert (one["again"], one["more"], one["differences"]) == (0, "", {}), one
