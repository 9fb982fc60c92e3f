"""How many files this process may have open."""

from __future__ import annotations

WANTED = 65_536


def allow_open_files() -> None:
    """Raise the soft limit of open files as far as the hard one allows, up to ``WANTED``.

    The embedded engine keeps three files of each of its threads open (up to 200 of them), and a merge opens every
    column of every part: more than the 1,024 that shells and services usually start with. Who wants fewer lowers the
    hard limit.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = WANTED if hard == unlimited else min(WANTED, hard)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
