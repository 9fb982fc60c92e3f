"""All that the doctor looks at, in the order in which one thing depends on the other."""

from __future__ import annotations

import platform
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from polyhouse.doctor.finding import Finding, of_error
from polyhouse.doctor.machine import examine_machine
from polyhouse.doctor.stores import examine_stores
from polyhouse.doctor.upstreams import examine_upstreams
from polyhouse.errors import PolyhouseError
from polyhouse.settings import Loaded

_SECRETS = frozenset({"warehouse", "state", "publish", "rpc_url", "hypersync_token", "dome_api_key", "admin_api_key",
                      "notify_urls", "user_wallets_url"})  # fmt: skip


def examine(load: Callable[[], Loaded], *, offline: bool = False) -> Iterator[Finding]:
    """Look at everything.

    Args:
        load: resolves the settings; what it raises is a finding.
        offline: ask no upstream.
    """
    import polyhouse

    yield Finding("version", "ok", f"Polyhouse {polyhouse.__version__}, Python {platform.python_version()}")
    try:
        loaded = load()
    except PolyhouseError as error:
        yield of_error("settings", error, "polyhouse config names the place; correct it there")
        return
    settings = loaded.settings
    yield _settings(loaded)
    folders = {}
    for name, url, scheme in (
        ("warehouse", settings.engine_url(), "chdb://"),
        ("state", settings.state_url(), "sqlite:///"),
    ):
        if url.startswith(scheme):
            folders[name] = Path(url.removeprefix(scheme)).parent
    machine = list(examine_machine(settings.home, folders))
    yield from machine
    if any(one.name == "home" and one.level == "fail" for one in machine):
        return
    yield from examine_stores(settings)
    if not offline:
        yield from examine_upstreams(settings)


def _settings(loaded: Loaded) -> Finding:
    """Where they come from, and whether others can read the secrets among them."""
    given = sorted({place for place in loaded.sources.values() if place != "default"})
    exposed = sorted(
        place
        for name, place in loaded.sources.items()
        if name in _SECRETS and Path(place).is_file() and Path(place).stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    )
    if exposed:
        text = f"other users of this machine can read the secrets in {exposed[0]}"
        return Finding("settings", "warn", text, f"chmod 600 {exposed[0]}")
    return Finding("settings", "ok", f"read from {', '.join(given) or 'nowhere: all are the usual ones'}")
