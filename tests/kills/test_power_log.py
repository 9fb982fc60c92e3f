"""The model of a power cut: what it takes from a file, and what it leaves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from powerlog import PAGE, Call, PowerCut

SEEDS = range(20)


def left_of(folder: Path, calls: list[tuple[str, int, int]], seed: int) -> bytes:
    """Contents of a file after ``pwrite64`` (start, bytes) and ``fdatasync`` calls, a cut, and nothing else."""
    home, name = folder / "home", str(folder / "home" / "file")
    recorded = [
        Call(0.0, "openat", f'AT_FDCWD, "{name}", O_RDWR|O_CREAT', 3, name),
        Call(0.0, "fsync", f"3<{home}>", 0, ""),
    ]
    contents = bytearray()
    for what, start, size in calls:
        if what == "write":
            contents[start : start + size] = b"x" * size
            recorded.append(Call(0.0, "pwrite64", f'3<{name}>, ""..., {size}, {start}', size, ""))
        else:
            recorded.append(Call(0.0, "fdatasync", f"3<{name}>", 0, ""))
    copy = folder / "copy"
    copy.mkdir(exist_ok=True)
    (copy / "file").write_bytes(contents)
    PowerCut(recorded, home).apply(copy, seed)
    return (copy / "file").read_bytes()


def test_synced_bytes_stay_beside_others_of_their_page_that_were_not(tmp_path: Path) -> None:
    left = [left_of(tmp_path, [("write", 0, 100), ("sync", 0, 0), ("write", 100, 50)], seed) for seed in SEEDS]
    assert all(contents[:100] == b"x" * 100 for contents in left)
    assert {contents[100:] for contents in left} == {b"", bytes(50), b"x" * 50}


@pytest.mark.parametrize("start", [PAGE - 10, 10])
def test_what_was_written_over_is_never_cut_off_with_what_stands_behind(tmp_path: Path, start: int) -> None:
    size = 3 * PAGE
    left = [left_of(tmp_path, [("write", 0, size), ("sync", 0, 0), ("write", start, 20)], seed) for seed in SEEDS]
    assert {len(contents) for contents in left} == {size}
    assert all(contents[:start] + contents[start + 20 :] == b"x" * (size - 20) for contents in left)
    assert b"x" * size in left
    assert any(bytes(10) in contents for contents in left)


def test_what_was_never_synced_may_go_as_a_whole(tmp_path: Path) -> None:
    left = [left_of(tmp_path, [("write", 0, 2 * PAGE)], seed) for seed in SEEDS]
    assert b"" in left
    assert bytes(2 * PAGE) in left
