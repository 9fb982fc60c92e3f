"""A network between two loopback addresses that can be cut: what is sent meanwhile arrives when it is whole again, as
with packets that were lost and sent again.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

_ADDRESS = "127.0.0.2"


class Relay:
    """Passes connections on to a port of 127.0.0.1. Its own address is another one, with a port of its own."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._passes = threading.Event()
        self._passes.set()
        self._listener = socket.create_server((_ADDRESS, 0))
        self.address = f"{_ADDRESS}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing arrives at the other side."""
        self._passes.clear()

    def heal(self) -> None:
        """What was held up arrives, and what follows too."""
        self._passes.set()

    def close(self) -> None:
        self.heal()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._passes.wait()
        far = socket.create_connection(self._target)
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._passes.wait()
                target.sendall(data)
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
