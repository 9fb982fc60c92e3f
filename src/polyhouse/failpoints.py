"""Named places where a test can kill the process, so that a bug report can say "K10".

``POLYHOUSE_FAILPOINT=K10`` kills at the first reach, ``K10:7`` at the seventh, ``K7:3@0.002`` two milliseconds after
the third one, from another thread: in the middle of what follows. Unset, a reach costs one comparison.

=====  ================================================================
K1     wallets leased inside a transaction that is not committed yet
K2     partition claimed, nothing fetched
K3     a request is about to leave; with a pause: in flight
K4     answer received, not decoded
K5     page decoded, nothing written
K6     between the tables of one batch
K7     an insert begins; with a pause: inside one insert
K8     rows written, the answer not yet seen
K9     all rows of a batch written, its manifest not
K10    manifest written, checkpoints not
K11    inside a transaction of the state store, before its commit
K12    checkpoints committed, the answer not yet seen
K14    last page committed, the wallet not yet marked as complete
K15    wallets marked as complete, the run without an end
K16    some unknown tokens and markets looked up, others not
K17    a build is published, the wallets that waited for it not crossed out
K18    between two statements of a migration
K20    the first signal to stop was received
M1     a run has ended, the models of its wallets are not built
L1     live reading has committed its pages, the models are not built
B1     everything of a backup is copied, its manifest not written
B2     the manifest is written, the backup not yet under its name
R1     a backup is checked and laid beside the stores, nothing replaced
R2     the stores are marked as being restored
R3     the old warehouse is moved away
R4     the new warehouse is in its place, the state store not
P1     between two tables of a publication
P2     a publication is complete, its transaction not committed
X1     the parts of an export are all there, the file is not made
X2     the file of an export is in its place, its manifest not
=====  ================================================================

K13, a lease that ends while its worker is paused, is a matter of two machines (tests/machines).
"""

from __future__ import annotations

import os
import signal
import threading
import time

NAMES = frozenset(
    {
        *(f"K{number}" for number in (*range(1, 13), 14, 15, 16, 17, 18, 20)),
        *("M1", "L1", "B1", "B2", "R1", "R2", "R3", "R4", "P1", "P2", "X1", "X2"),
    }
)

_lock = threading.Lock()
_reached = 0
_target = ""
_nth = 1
_pause = 0.0


def arm(text: str) -> None:
    """Choose where to die, in the spelling of the environment variable; ``""``: nowhere."""
    global _target, _nth, _pause, _reached  # noqa: PLW0603  (one choice per process is the point)
    place, _, pause = text.partition("@")
    _target, _, nth = place.partition(":")
    _nth = int(nth) if nth.isdigit() else 1
    _pause = float(pause or 0)
    _reached = 0


def reach(name: str) -> None:
    """Kill this process with SIGKILL if ``name`` is the chosen failpoint and this is its n-th reach."""
    global _reached  # noqa: PLW0603  (one counter per process is the point)
    if name != _target:
        return
    with _lock:
        _reached += 1
        if _reached != _nth:
            return
    if _pause:
        threading.Thread(target=_die_later, args=(_pause,), daemon=True).start()
    else:
        _die()


def _die_later(seconds: float) -> None:
    time.sleep(seconds)
    _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("POLYHOUSE_FAILPOINT", ""))
