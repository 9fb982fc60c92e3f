"""What the page about extensions says is enough: its blocks, put where they say, give a source, a metric and a page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import polyhouse

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("extended_product.py")
PLACE = re.compile(r"(?:#|<!--) (\S+), (new|after: (?P<after>.*)|instead of: (?P<instead>.*?))(?: -->)?$")


@dataclass(frozen=True)
class Block:
    """A block of the page: what is put where."""

    file: str
    text: str
    after: str | None
    instead: str | None

    def apply(self, root: Path) -> None:
        path = root / self.file.removeprefix("src/")
        mark = self.after or self.instead
        if mark is None:
            assert not path.exists(), f"{path} is not new"
            path.write_text(self.text)
            return
        old = path.read_text()
        assert old.count(mark + "\n") == 1, f"{self.file} has no single line {mark!r}"
        kept = "" if self.after is None else mark + "\n"
        path.write_text(old.replace(mark + "\n", kept + self.text))


def blocks() -> list[Block]:
    found = []
    for body in re.findall(r"```(?:python|html)\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL):
        head, _, text = body.partition("\n")
        place = PLACE.match(head)
        assert place is not None, head
        found.append(Block(place[1], text, place["after"], place["instead"]))
    return found


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the product with the extensions says, in a process of its own."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(Path(polyhouse.__file__).parent, folder / "polyhouse", ignore=shutil.ignore_patterns("__pycache__"))
    for block in blocks():
        block.apply(folder)
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder / "home")],
        env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_source_is_one_file_of_less_than_150_lines(answers: dict[str, object]) -> None:
    (source,) = [block for block in blocks() if block.file.endswith("sources/mirror.py")]
    assert source.text.count("\n") < 150
    assert answers["fills"] == answers["fills_by_rule"] == answers["fills_again"]
    assert answers["fills"]


def test_a_metric_is_one_entry_with_one_expression(answers: dict[str, object]) -> None:
    (metric,) = [block for block in blocks() if "Metric(" in block.text]
    assert metric.text.count("Metric(") == 1
    assert answers["metric"] == answers["metric_by_hand"]
    assert answers["metric"]
    assert answers["definition"] == "Share of won bets that at least doubled their stake"


def test_a_page_is_a_read_a_route_and_a_template(answers: dict[str, object]) -> None:
    assert answers["page_status"] == 200
    assert answers["page_rows"] == answers["resolutions"]
    assert answers["page_rows"]
