"""Commands as they look on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess


def on_a_terminal(command, environment, folder=None):
    """What a command, which must succeed, writes to a terminal: its text with the colours."""
    main, side = pty.openpty()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=side, stderr=subprocess.DEVNULL
    ) as process:
        os.close(side)
        text = b""
        try:
            while chunk := os.read(main, 4096):
                text += chunk
        except OSError:  # the other side is closed: the end on Linux
            pass
        assert process.wait(timeout=60) == 0
    os.close(main)
    return text.decode()
