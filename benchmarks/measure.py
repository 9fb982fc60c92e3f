"""CPU seconds, wall seconds and peak memory of a piece of work in this process."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Cost:
    """What the work took. ``cpu`` counts all threads of this process; memory is the peak so far, in MB."""

    wall: float = 0.0
    cpu: float = 0.0
    peak_mb: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Fill a ``Cost`` with what the block took."""
    cost = Cost()
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    yield cost
    after = resource.getrusage(resource.RUSAGE_SELF)
    cost.wall = time.perf_counter() - started
    cost.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cost.peak_mb = after.ru_maxrss / 1024


def in_fresh_process(function, *args):
    """Run ``function(*args)`` in a new process, so that neither memory nor warm caches of another benchmark count."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()
