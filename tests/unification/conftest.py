"""Lets the tests of this folder share ``unification_roads``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
