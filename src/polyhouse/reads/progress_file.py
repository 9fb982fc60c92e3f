"""The progress file of a home folder, as a reader finds it: the run that goes on, or how the last one ended."""

from __future__ import annotations

import json
import os
import socket
from decimal import Decimal
from pathlib import Path
from typing import Any

FILE_NAME = "progress.json"
"""In the home folder. Written by ``sync.checkpoint_file``, replaced as a whole at most once a second."""


def read_progress(home: Path) -> dict[str, Any] | None:
    """The document of the newest run, None if no run was ever made here.

    ``state`` is ``running``, ``done``, ``failed`` or ``interrupted``, as the run wrote it; ``killed`` stands for a run
    that is said to go on by a process of this machine that is gone.
    """
    try:
        document: dict[str, Any] = json.loads((home / FILE_NAME).read_bytes(), parse_float=Decimal)
    except (OSError, ValueError):
        return None  # never made, or not readable for this user: the file is a convenience, the stores are the truth
    if document.get("state") == "running" and not is_alive(document):
        document["state"] = "killed"
    return document


def is_alive(document: dict[str, Any]) -> bool:
    """Whether the process that wrote the document still runs; one of another machine counts as running."""
    if document.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(document["pid"]), 0)
    except PermissionError:
        return True
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return True
