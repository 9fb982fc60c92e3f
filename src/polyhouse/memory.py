"""How much memory there is to use."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes this process may still get: of the machine, or of its container if that has less; None = unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found += [int(line.split()[1]) * 1_024 for line in lines if line.startswith("MemAvailable:")]
        most = (_CGROUP / "memory.max").read_text("ascii").strip()
        if most != "max":
            found.append(int(most) - int((_CGROUP / "memory.current").read_text("ascii")))
    except (OSError, ValueError, IndexError):
        pass
    return max(min(found), 0) if found else None
