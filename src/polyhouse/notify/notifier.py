"""Tells people: throttled, by whatever services their URLs name (Slack, Discord, Telegram, e-mail, webhooks …)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from polyhouse.errors import ConfigError, PolyhouseError
from polyhouse.notify.outgoing import Outgoing
from polyhouse.notify.rules import Rules
from polyhouse.notify.watch import Message, look
from polyhouse.ports import Warehouse

if TYPE_CHECKING:
    from apprise import Apprise

    from polyhouse.state import StateStore

MARKS_NOTE = "notify.marks"
"""Note: what was looked at and sent."""
LOOK_SECONDS = 15.0
_FORGET_SECONDS = 7 * 86_400
_log = logging.getLogger("polyhouse.notify")


class Channels:
    """The services that messages go to.

    Args:
        urls: of Apprise, separated by spaces or commas; they hold secrets and are never shown.
        private_hosts: see ``Outgoing``.

    Raises:
        ConfigError: a URL is of no known service, or the package ``apprise`` is not installed.
    """

    def __init__(self, urls: str, private_hosts: str = "") -> None:
        self._services = list(_services(urls))
        self._outgoing = Outgoing(private_hosts)
        for service in self._services:
            service.redirects = False

    def send(self, message: Message) -> bool:
        """Hand a message to all services; False if one of them did not take it."""
        kind = "warning" if message.is_problem else "info"
        self._outgoing.refused.clear()
        with self._outgoing.checking():
            taken = [self._sent(service, message, kind) for service in self._services]
        for host in sorted(self._outgoing.refused):
            _log.warning(
                "notifications: %s is no host of the internet; POLYHOUSE_NOTIFY_PRIVATE_HOSTS may name it", host
            )
        return all(taken)

    @staticmethod
    def _sent(service: Any, message: Message, kind: str) -> bool:
        try:
            return bool(service.notify(title=f"Polyhouse: {message.title}", body=message.body, notify_type=kind))
        except Exception as error:  # noqa: BLE001 - a service that fails in its own way has not taken it
            # The text of such an error may hold the URL.
            _log.warning("notifications: a service failed with %s", type(error).__name__)
            return False


def _services(urls: str) -> Apprise:
    try:
        import apprise
    except ImportError as error:
        raise ConfigError("notifications need the package apprise", hint="pip install 'polyhouse[notify]'") from error
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its warnings quote URLs
    services = apprise.Apprise()
    for number, url in enumerate(urls.replace(",", " ").split(), start=1):
        if not services.add(url):
            scheme = url.split("://", 1)[0][:20] if "://" in url else ""
            raise ConfigError(
                f"POLYHOUSE_NOTIFY_URLS: URL {number} ({scheme}://…) is of no known service, or incomplete",
                hint="see the list of services of Apprise, e.g. slack://…, discord://…, mailto://…, json://host/path",
            )
    return services


class Notifier:
    """Looks, throttles, sends.

    A message that no service took is tried again at the next look, with what it is about as it is then; nothing that
    was found is forgotten before it was sent.

    Args:
        warehouse: open; read only.
        state: open; keeps the marks.
        rules: what is watched.
        followed: wallets whose trades are told, addresses in lower case.
        send: hands a message over; False = not taken (``Channels.send``).
        pause: seconds between two messages on one subject.
        now: wall clock.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        state: StateStore,
        rules: Rules,
        followed: frozenset[str],
        send: Callable[[Message], bool],
        *,
        pause: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._warehouse = warehouse
        self._state = state
        self._rules = rules
        self._followed = followed
        self._send = send
        self._pause = pause
        self._now = now
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="notify", daemon=True)

    def start(self) -> None:
        """Look again and again, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking. Blocks until the look that goes on is over."""
        self._over.set()
        self._thread.join()

    def once(self) -> tuple[int, int]:
        """Look once; returns how many messages were sent, and how many wait (throttled, or not taken).

        Raises:
            PolyhouseError: a store does not answer.
        """
        now = int(self._now())
        noted: dict[str, Any] = self._state.get_note(MARKS_NOTE) or {}
        waiting = [Message(**fields | {"facts": tuple(fields["facts"])}) for fields in noted.get("waiting", [])]
        sent_at: dict[str, int] = dict(noted.get("sent", {}))
        found, marks = look(self._warehouse, self._state, self._rules, self._followed, noted.get("marks", {}), now)
        rest, sent = [], 0
        for key, message in _merged([*waiting, *found]).items():
            if now - sent_at.get(key, 0) >= self._pause and self._send(message):
                sent_at[key] = now
                sent += 1
            elif not message.lasts:
                rest.append(message)
        self._state.set_note(
            MARKS_NOTE,
            {
                "marks": marks,
                "waiting": [asdict(one) for one in rest],
                "sent": {key: at for key, at in sent_at.items() if now - at < _FORGET_SECONDS},
            },
        )
        return sent, len(rest)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            try:
                self.once()
            except PolyhouseError as error:
                _log.warning("notifications wait: %s", error)
            except Exception:  # noqa: BLE001 - our bug silences one look, named in the log, not the watch
                _log.exception("a look for notifications failed")


def _merged(messages: Sequence[Message]) -> dict[str, Message]:
    """One message for each rule and subject."""
    merged: dict[str, Message] = {}
    for message in messages:
        key = f"{message.rule} {message.subject}"
        merged[key] = merged[key].with_more(message) if key in merged else message
    return merged
