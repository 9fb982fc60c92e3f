"""Builds every object from the settings. The only package that knows all of them."""

from __future__ import annotations

from polyhouse.wiring.notices import notification_channels, notifier
from polyhouse.wiring.sessions import STATE_PATIENCE_SECONDS, engine_session, live_sync
from polyhouse.wiring.sources import (
    build_sources,
    chain_reader,
    history_stream,
    published_streams,
)
from polyhouse.wiring.stores import (
    Stores,
    migrate_stores,
    open_state_only,
    open_stores,
    open_warehouse_of,
    publish_rows,
)

__all__ = [
    "STATE_PATIENCE_SECONDS", "Stores", "build_sources", "chain_reader", "engine_session", "history_stream",
    "live_sync", "migrate_stores", "notification_channels", "notifier", "open_state_only", "open_stores",
    "open_warehouse_of", "publish_rows", "published_streams",
]  # fmt: skip
