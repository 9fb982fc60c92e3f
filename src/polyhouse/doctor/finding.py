"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing.

    Attributes:
        name: stable word.
        level: ``fail``: commands will not work, or numbers are wrong; ``warn``: they may not for long.
        text: what was found.
        fix: the exact thing to do; "" where nothing is to be done.
    """

    name: str
    level: Level
    text: str
    fix: str = ""


def of_error(name: str, error: Exception, fix: str = "") -> Finding:
    """A failure, in the words of the error."""
    hint = getattr(error, "hint", "")
    return Finding(name, "fail", str(error), fix or str(hint) or "polyhouse doctor --debug")
