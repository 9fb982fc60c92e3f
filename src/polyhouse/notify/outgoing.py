"""Where notifications may go: to the internet, and to hosts of one's own network that the settings name.

Somebody who may write a webhook's URL must not reach this machine, its neighbours, or the metadata service of a cloud
with it (OWASP API7). A name says nothing about where it leads, and may lead elsewhere a second later. So the addresses
are looked at where a connection is made, and the connection goes to one of the very addresses that were looked at.
Redirects are not followed.

The services are Apprise's, which opens its connections in several libraries (requests, smtplib, sockets). What all of
them pass is ``socket.getaddrinfo``, once for each connection; it is checked there, in the thread that sends.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ANY = "*"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_inside = threading.local()
_install_lock = threading.Lock()


class PrivateHostError(socket.gaierror):
    """A name leads to an address that is not on the internet."""


class Outgoing:
    """Which hosts may be reached.

    Args:
        private_hosts: names or addresses of one's own network that may be reached too; ``*`` = any.

    Attributes:
        refused: hosts that were not, for a message.
    """

    def __init__(self, private_hosts: str = "") -> None:
        self._allowed = frozenset(word.lower().strip("[]") for word in private_hosts.replace(",", " ").split())
        self.refused: set[str] = set()

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Connections of this thread are checked meanwhile."""
        _install()
        before = getattr(_inside, "rule", None)
        _inside.rule = self
        try:
            yield
        finally:
            _inside.rule = before

    def check(self, host: str, addresses: list[str]) -> None:
        """Refuse a host if one of its addresses is private.

        Raises:
            PrivateHostError: it is.
        """
        name = host.lower().rstrip(".").strip("[]")
        if ANY in self._allowed or name in self._allowed:
            return
        for address in addresses:
            if not is_public(address) and address not in self._allowed:
                self.refused.add(name[:100])
                raise PrivateHostError(f"{name[:100]} is no host of the internet")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, also where it wraps an address of version 4."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner: list[ipaddress.IPv4Address | None] = []
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())]
        if parsed in _NAT64 or int(parsed) >> 32 == 0:
            inner.append(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF))
    wrapped = [one for one in inner if one is not None]
    if wrapped:
        return all(one.is_global and not one.is_multicast for one in wrapped)
    return parsed.is_global and not parsed.is_multicast


def _install() -> None:
    with _install_lock:
        if not getattr(socket.getaddrinfo, "checks_hosts", False):
            socket.getaddrinfo = _checking(socket.getaddrinfo)


def _checking(original: Any) -> Any:
    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        found = original(host, *args, **options)
        rule: Outgoing | None = getattr(_inside, "rule", None)
        if rule is not None:
            text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
            rule.check(text, [str(entry[4][0]) for entry in found])
        return found

    getaddrinfo.checks_hosts = True  # type: ignore[attr-defined]
    return getaddrinfo
