"""When wallets and scores are published: after every build, where the settings say where to."""

from __future__ import annotations

from collections.abc import Callable

from polyhouse.errors import PolyhouseError
from polyhouse.publish import Report, Target, find_target, publish
from polyhouse.settings import Settings
from polyhouse.sync.turns import building
from polyhouse.wiring import STATE_PATIENCE_SECONDS, Stores


def publish_tables(settings: Settings, stores: Stores, *, full: bool = False) -> Report | None:
    """Publish wallets and scores where the settings say so; None: nowhere.

    Raises:
        RetryableError: the database does not answer, also after a minute.
        ConfigError: it cannot be used.
        AuthError: it refused the user.
    """
    found = find_target(settings.publish_url(), settings.state_url(), settings.publish_schema)
    if found is None:
        return None
    target = Target(*found)
    try:
        with building(stores.state):  # half of a build is nothing to publish
            return publish(stores.warehouse, target, full=full, patience_seconds=STATE_PATIENCE_SECONDS)
    finally:
        target.close()


def publish_after_build(settings: Settings, stores: Stores, note: Callable[[str], None]) -> bool:
    """``publish_tables``; False if it failed, which is told through ``note``: what was read and built stands."""
    try:
        publish_tables(settings, stores)
    except PolyhouseError as error:
        note(f"not published, the tables stay as they were: {error}")
        return False
    return True
