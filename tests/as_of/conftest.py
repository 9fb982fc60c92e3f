"""A store for each file of this folder, and the helpers that fill it (those of the tests of scores)."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "scores"))

from shared_store import shared

__all__ = ["shared"]
