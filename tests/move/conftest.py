"""Stores with a few rows, made by hand, that are moved about."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from moved_stores import Home, fill_stores


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Made once: the schema takes longer than everything else."""
    made = Home(tmp_path_factory.mktemp("template") / "home")
    fill_stores(made, 1, 2)
    return made.folder


@pytest.fixture
def home(template, tmp_path):
    """An installation with two wallets."""
    return Home(shutil.copytree(template, tmp_path / "home", symlinks=True))
