"""The notebooks of the documentation, run as they are over a loaded store."""

from pathlib import Path

import nbformat
import pytest
from api_server import environment
from nbclient import NotebookClient

pytestmark = pytest.mark.timeout(300)  # the first one waits for the store

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def test_there_are_the_three_that_the_page_names():
    page = (FOLDER.parent / "python.md").read_text(encoding="utf-8")
    assert all(f"notebooks/{name}" in page for name in NOTEBOOKS)
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_to_its_end_and_shows_something(home, name, monkeypatch):
    for variable, value in environment(home).items():
        monkeypatch.setenv(variable, value)
    notebook = nbformat.read(FOLDER / name, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "notebooks are kept without outputs"
    NotebookClient(notebook, timeout=100, kernel_name="python3", resources={"metadata": {"path": str(home)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in shown if output["output_type"] == "error"]
    assert any("data to" in output.get("data", {}).get("text/html", "") for output in shown) or name != (
        "leaderboard.ipynb"
    )
    if name != "one-wallet.ipynb":
        assert any("image/png" in output.get("data", {}) for output in shown)
