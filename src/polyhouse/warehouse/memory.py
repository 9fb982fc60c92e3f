"""Keeps this process small: three allocators live in it, and each likes to keep what it freed.

The embedded engine has its own (jemalloc), Arrow has one, Python uses the C library's. A loader that holds a page or
two must not look like one that holds hundreds; the figures are in the docstring of ``sync.writer.BatchLimits``.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from polyhouse.warehouse.mapped import LoadedLibrary

# Every thread keeps freed blocks of up to 32 KB for itself unless told otherwise: a loader grew by 20 MB a minute for
# minutes. With blocks of up to 8 KB it stays as it is, and inserts cost what they did; with none they cost twice.
_ENGINE_ALLOCATOR = "percpu_arena:disabled,narenas:2,tcache_max:8192,dirty_decay_ms:{},muzzy_decay_ms:0"
# Memory given back at once is asked for again by the next statement: fifteen builds of a small store took 55 s of CPU,
# 23 of them in the system's hands, and 33 and 5 where it is given back after 300 ms. A second or more gains no more
# there, and holds 18 MB more in a loader.
_SOON_MS = 300
# System time of an import of 1,000,000 rows: 2.8 s if given back at once, 1.4 s after one second; of 10,000,000 rows
# 10.3 s after one second, 6.8 s after 2.5, at a peak of 845 and 875 MB.
_BULK_MS = 2_500
_ARROW_ALLOCATOR = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_TRIM_BYTES = 128 * 1024
_KEPT_BYTES = 1 << 30
_LARGEST_IN_HEAP = 32 << 20  # the most that the C library accepts
_ARENAS = 2
_keepers: list[object] = []
_keepers_lock = threading.Lock()
# Each kind of statement touches other pages of the library: 190 MB after a minute, where 100 are in use at a time.
# Giving all back costs 5 ms, and as much again when they return.
_library = LoadedLibrary("_chdb", seconds_between=0.5)


def import_engine(*, for_bulk: bool = False) -> Any:
    """Import the embedded engine and Arrow with allocators that give memory back, unless the user configured them.

    Args:
        for_bulk: keep freed memory for longer, for large statements; counts only if the engine is not imported yet.
    """
    _tune_libc()
    engine = {"JE_MALLOC_CONF": _ENGINE_ALLOCATOR.format(_BULK_MS if for_bulk else _SOON_MS)}
    ours = {name: value for name, value in (engine | _ARROW_ALLOCATOR).items() if name not in os.environ}
    os.environ.update(ours)
    try:
        import chdb
        import pyarrow  # noqa: F401 - reads its setting once, at import

        _look_for_pandas()
    finally:
        for name in ours:
            # Only these libraries read them, and only while they are loaded: child processes shall not inherit them.
            os.environ.pop(name, None)
    _library.release()
    return chdb


class _Blocked:
    """Finds no pandas for one thread."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        """See ``importlib.abc.MetaPathFinder``."""
        if name == "pandas" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(name)


def _look_for_pandas() -> None:
    """Let Arrow look for pandas now, in vain. It does so once, at its first list, and would import it wherever it is
    installed: half a second of every command, for nothing. Frames can be made all the same.
    """
    import pyarrow as pa

    if "pandas" in sys.modules:
        return
    blocked = _Blocked()
    sys.meta_path.insert(0, blocked)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(blocked)


@contextmanager
def keeping_freed() -> Iterator[None]:
    """Keep freed memory until the block ends: half the time of large work on columns goes into asking for it again."""
    this = object()
    with _keepers_lock:
        _keepers.append(this)
        _set_thresholds(_KEPT_BYTES, _LARGEST_IN_HEAP)
    try:
        yield
    finally:
        with _keepers_lock:
            _keepers.remove(this)
            if not _keepers:
                _set_thresholds(_TRIM_BYTES, _TRIM_BYTES)
        give_back()


def give_back() -> None:
    """Return freed memory to the system after a batch, and now and then what statements touched of the library.

    Nothing while somebody is ``keeping_freed``.
    """
    import pyarrow as pa

    if _keepers:
        return

    pa.default_memory_pool().release_unused()
    trim = _libc("malloc_trim")
    if trim is not None:
        trim(0)
    _library.release_in_turn()


def _tune_libc() -> None:
    tune = _libc("mallopt")
    if tune is not None:
        tune(_M_ARENA_MAX, _ARENAS)
        tune(_M_TRIM_THRESHOLD, _TRIM_BYTES)


def _set_thresholds(trim: int, mapped: int) -> None:
    """How much free heap is kept, and from what size on memory is mapped apart from the heap (bytes)."""
    tune = _libc("mallopt")
    if tune is not None:
        tune(_M_TRIM_THRESHOLD, trim)
        tune(_M_MMAP_THRESHOLD, mapped)


def _libc(name: str) -> Callable[..., Any] | None:
    """A function of the C library; None where it is another one than glibc."""
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except OSError:
        return None
