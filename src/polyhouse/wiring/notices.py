"""Builds who tells somebody what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyhouse.settings import Settings
from polyhouse.wiring.stores import Stores

if TYPE_CHECKING:
    from polyhouse.notify.notifier import Channels, Notifier


def notification_channels(settings: Settings) -> Channels | None:
    """The services that notifications go to, None if none is set.

    Raises:
        ConfigError: a URL that no service has.
    """
    from polyhouse.notify.notifier import Channels

    urls = settings.notify_urls.get_secret_value() if settings.notify_urls else ""
    return Channels(urls, settings.notify_private_hosts) if urls.strip() else None


def notifier(settings: Settings, stores: Stores, channels: Channels) -> Notifier:
    """Watches open stores by the rules of the settings.

    Raises:
        ConfigError: a rule or an address that cannot be.
    """
    from polyhouse.notify.notifier import Notifier
    from polyhouse.notify.rules import followed_wallets, rules

    watched, followed = rules(settings.notify), followed_wallets(settings.notify_wallets)
    pause = settings.notify_pause_seconds
    return Notifier(stores.warehouse, stores.state, watched, followed, channels.send, pause=pause)
