"""Logs on stderr: lines for people on a terminal, JSON objects elsewhere."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from polyhouse.telemetry import fields


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and what is bound: run, job, wallet, build."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        document |= {name: value for name, value in fields().items() if name not in document}
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


class ConsoleFormatter(logging.Formatter):
    """A line for people: level, what is bound, message."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        known = " ".join(f"{name}={value}" for name, value in fields().items())
        text = super().format(record)
        return f"{text} [{known}]" if known else text


def configure_logging(log_format: Literal["console", "json"] | None) -> None:
    """Send the product's warnings and errors to stderr in the given format (None: by what stderr is)."""
    chosen = log_format or ("console" if sys.stderr.isatty() else "json")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if chosen == "json" else ConsoleFormatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("polyhouse")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING)
    logger.propagate = False
