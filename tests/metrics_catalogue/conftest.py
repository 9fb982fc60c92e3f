"""Lets the tests of this folder share their helpers, and one store."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "scores"))

from shared_store import shared, warehouse

__all__ = ["shared", "warehouse"]
