"""How much one client may ask: a steady rate and a burst, in one number per client (GCRA)."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CLIENTS = 50_000
"""Beyond so many the ones that were quiet longest are forgotten, so memory is bounded."""
_NOTHING = 1e-6


class ClientLimit:
    """Lets each client pass so often per minute, up to ``burst`` times at once.

    Args:
        per_minute: steady rate; 0 = no limit.
        burst: how many may come at once after a quiet time.
        monotonic: a clock, seconds.
    """

    def __init__(self, per_minute: int, burst: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pace = 60 / per_minute if per_minute else 0.0
        self._slack = self._pace * max(burst - 1, 0)
        self._monotonic = monotonic
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def take(self, client: str) -> float:
        """Let one request pass: 0.0; or seconds after which the next one may."""
        wait = self.wait(client)
        if not wait and self._pace:
            self._free_at[client] = max(self._free_at.pop(client, 0.0), self._monotonic()) + self._pace
            if len(self._free_at) > MOST_CLIENTS:
                self._free_at.popitem(last=False)
        return wait

    def wait(self, client: str) -> float:
        """Seconds after which this client may pass, 0.0 = now; takes nothing."""
        if not self._pace:
            return 0.0
        wait = self._free_at.get(client, 0.0) - self._slack - self._monotonic()
        # Sums of times differ from their parts in the last bits: who waited as told shall pass.
        return wait if wait > _NOTHING else 0.0
