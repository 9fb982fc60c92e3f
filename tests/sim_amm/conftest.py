from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
for folder in ("chain_sync", "sim_rpc"):  # the simulated node, and a second reading of its raw logs
    sys.path.append(str(TESTS / folder))
