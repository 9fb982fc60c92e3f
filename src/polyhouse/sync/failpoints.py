"""Named places where a test can kill the process, so that a bug report can say "K10".

``POLYHOUSE_FAILPOINT=K10`` kills at the first reach, ``K10:7`` at the seventh. Unset, a reach costs one comparison.

=====  ================================================================
K2     partition claimed, nothing fetched
K5     page decoded, nothing written
K6     between the tables of one batch
K8     rows written, the answer not yet seen
K9     all rows of a batch written, its manifest not
K10    manifest written, checkpoints not
K12    checkpoints committed, the answer not yet seen
K14    last page committed, the wallet not yet marked as complete
L1     live reading has committed its pages, the models are not built
B1     everything of a backup is copied, its manifest not written
B2     the manifest is written, the backup not yet under its name
R1     a backup is checked and laid beside the stores, nothing replaced
R2     the stores are marked as being restored
R3     the old warehouse is moved away
R4     the new warehouse is in its place, the state store not
=====  ================================================================

K7 (inside one insert) and K11 (inside the state transaction) lie in the engines below; tests reach them by time and by
the database driver's own hooks.
"""

from __future__ import annotations

import os
import signal
import threading

NAMES = frozenset({"K2", "K5", "K6", "K8", "K9", "K10", "K12", "K14", "L1", "B1", "B2", "R1", "R2", "R3", "R4"})

_lock = threading.Lock()
_reached = 0


def _parse(text: str) -> tuple[str, int]:
    name, _, nth = text.partition(":")
    return name, int(nth) if nth.isdigit() else 1


_target, _nth = _parse(os.environ.get("POLYHOUSE_FAILPOINT", ""))


def reach(name: str) -> None:
    """Kill this process with SIGKILL if ``name`` is the chosen failpoint and this is its n-th reach."""
    global _reached  # noqa: PLW0603  (one counter per process is the point)
    if name != _target:
        return
    with _lock:
        _reached += 1
        if _reached == _nth:
            os.kill(os.getpid(), signal.SIGKILL)
