"""What a lock file pins is installed with uv, or with pip where uv fails; both demand the hashes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("uv", "used"), [("exit 0", ["uv"]), ("exit 2", ["uv", "pip"])], ids=["uv works", "uv does not reach the index"]
)
def test_every_road_demands_the_hashes_of_the_lock_file(tmp_path: Path, uv: str, used: list[str]) -> None:
    venv, said = tmp_path / "venv", tmp_path / "said"
    program(
        venv / "bin/python",
        f'case "$*" in *config*) echo https://index.test/simple;; *) echo "pip $*" >> {said};; esac',
    )
    program(venv / ".uv/bin/uv", f'echo "uv $UV_DEFAULT_INDEX $*" >> {said}\n{uv}')
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    done = subprocess.run(
        ["sh", "scripts/install.sh", venv, "requirements.lock"], cwd=ROOT, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = said.read_text().splitlines()
    assert [line.split()[0] for line in lines] == used
    assert all("--require-hashes" in line and "requirements.lock" in line for line in lines)
    assert "https://index.test/simple" in lines[0], "uv is told where pip looks"


def test_uv_itself_is_pinned_by_hashes(tmp_path: Path) -> None:
    venv, said = tmp_path / "venv", tmp_path / "said"
    program(venv / "bin/python", f'echo "$*" >> {said}\nexit 1')
    done = subprocess.run(
        ["sh", "scripts/install.sh", venv, "requirements.lock"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, "neither could be installed"
    assert "--require-hashes" in said.read_text().splitlines()[0]
    assert "scripts/uv.lock" in said.read_text().splitlines()[0]
    lock = (ROOT / "scripts/uv.lock").read_text()
    assert lock.startswith("uv==")
    assert "--hash=sha256:" in lock
