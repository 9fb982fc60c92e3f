"""A disk that is full, or that became read-only, under a store; then it is well again, and the same command goes on.

``python tests/kills/fulldisk.py --points 40`` makes a small disk in memory, in a mount namespace of its own, and prints
what it found as one JSON document. A point is a number of free kilobytes with which a command begins: the fewer there
are, the earlier it meets the end of the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parent))

import killing
from killlab import SOURCE, Lab
from stories import Story

DISK_KB = 48 * 1024
_UNAVAILABLE = 3
PLACES = ("both", "warehouse", "state")
"""What lies on the small disk."""


def in_own_namespace(*arguments: str) -> dict[str, Any]:
    """Run this file where it may mount disks that nobody else sees; returns its report.

    Raises:
        RuntimeError: this system lets neither root nor a user namespace mount a tmpfs.
    """
    ways = (["unshare", "-m"], ["unshare", "-Urm"])
    may = next(
        (way for way in ways if subprocess.run([*way, "mount", "-t", "tmpfs", "none", "/mnt"]).returncode == 0), None
    )
    if may is None:
        raise RuntimeError("These tests need to mount a tmpfs: as root, or with user namespaces (unshare -Urm).")
    done = subprocess.run(
        [*may, sys.executable, __file__, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


class Disk:
    """A small disk.

    Args:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @contextmanager
    def mounted(self) -> Iterator[Disk]:
        """While the block runs."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", str(self.folder)], check=True)
        try:
            yield self
        finally:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def leave(self, kilobytes: int) -> None:
        """Fill it up to so many kilobytes."""
        self._ballast.unlink(missing_ok=True)
        rest = shutil.disk_usage(self.folder).free - kilobytes * 1024
        with self._ballast.open("wb") as file:
            file.write(bytes(rest))

    def make_room(self) -> None:
        """It is no longer full."""
        self._ballast.unlink()

    def protect(self, *, is_read_only: bool) -> None:
        """As a system does with a disk that failed, and the other way round."""
        subprocess.run(["mount", "-o", f"remount,{'ro' if is_read_only else 'rw'}", str(self.folder)], check=True)


class Trial:
    """One command on one disk.

    Args:
        lab: where the rest is.
        story: the command, and what is right.
        disk: small.
        place: what of the home lies on it.
    """

    def __init__(self, lab: Lab, story: Story, disk: Disk, place: str) -> None:
        self._lab, self._story, self._disk = lab, story, disk
        self.home = lab.copy(story.base, "trial")
        self.on_disk = {"both": ("warehouse", "state.db"), "warehouse": ("warehouse",), "state": ("state.db",)}[place]
        for name in self.on_disk:
            target = disk.folder / name
            shutil.rmtree(target, ignore_errors=True)
            for left in disk.folder.glob(f"{name}*"):
                left.unlink()
            shutil.move(self.home / name, target)
        self._environment = {}
        if "warehouse" in self.on_disk:
            self._environment["POLYHOUSE_WAREHOUSE"] = f"chdb://{disk.folder}/warehouse"
        if "state.db" in self.on_disk:
            self._environment["POLYHOUSE_STATE"] = f"sqlite:///{disk.folder}/state.db"

    def run(self) -> tuple[int, str]:
        """Exit code, and what the command said of it."""
        self._lab.log.unlink(missing_ok=True)
        ended = self._lab.run(self.home, self._story.world, *self._story.arguments(self.home), env=self._environment)
        return ended.code, self._lab.last_words()

    def judge(self) -> dict[str, Any]:
        """Differences to the undisturbed run; {} = none."""
        for name in self.on_disk:
            for path in self._disk.folder.glob(f"{name}*"):
                target = self.home / path.name
                if target.exists():
                    target.unlink()
                shutil.move(path, target)
        found = killing.Round(self._story.kind, 0)
        killing.judge(self._lab, self._story, self.home, found)
        return found.differences


def fill_up(lab: Lab, story: Story, disk: Disk, points: int) -> list[dict[str, Any]]:
    """A full disk at so many points of the command."""
    report = []
    for number in range(points):
        place = PLACES[number % len(PLACES)]
        trial = Trial(lab, story, disk, place)
        # What the command writes in all is about a megabyte of state and one to three of warehouse.
        kilobytes = 8 + number * (150 if place == "state" else 1_400) // points
        disk.leave(kilobytes)
        code, words = trial.run()
        disk.make_room()
        again, more = trial.run()
        report.append(
            {"place": place, "free_kb": kilobytes, "code": code, "words": words[-700:], "again": again,
             "more": more[-700:] if again else "", "differences": trial.judge()}
        )  # fmt: skip
    return report


def protect(lab: Lab, story: Story, disk: Disk) -> list[dict[str, Any]]:
    """A disk that is read-only."""
    report = []
    for place in ("both", "state"):
        trial = Trial(lab, story, disk, place)
        disk.protect(is_read_only=True)
        code, words = trial.run()
        disk.protect(is_read_only=False)
        again, more = trial.run()
        report.append(
            {"place": place, "code": code, "words": words[-700:], "again": again,
             "more": more[-700:] if again else "", "differences": trial.judge()}
        )  # fmt: skip
    return report


@click.command(help=__doc__)
@click.option("--points", default=40, show_default=True)
def main(points: int) -> None:
    with tempfile.TemporaryDirectory(prefix="full-") as folder, killing.library(Path(folder)) as (lab, stories):
        mount = Path(folder) / "disk"
        mount.mkdir()
        story = stories.story("ledgers")
        with Disk(mount).mounted() as disk:
            report = {"full": fill_up(lab, story, disk, points), "read_only": protect(lab, story, disk)}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
