"""One store for the tests of this folder, and the helpers of the tests of scores."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "scores"))

from shared_store import shared, warehouse

__all__ = ["shared", "warehouse"]
