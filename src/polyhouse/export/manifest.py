"""What an export is: its question, the store it was read from, what the columns mean, and how to check the files."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polyhouse
from polyhouse.reads.exact import encode
from polyhouse.reads.relations.question import Question

if TYPE_CHECKING:
    from polyhouse.export.staging import Parts


def manifest_of(
    question: Question, parts: Parts, form: str, target: Path, written: Sequence[Path], started: float
) -> dict[str, Any]:
    """The manifest of a finished export.

    Args:
        question: what was asked.
        parts: what was read.
        form: of the files.
        target: the file or folder.
        written: the files.
        started: when they began to be written, Unix seconds.
    """
    return {
        "table": parts.facts["polyhouse.table"], "format": form, "rows": parts.rows(),
        "question": question.document(), "as_of": parts.facts["polyhouse.as_of"] or None,
        "build": parts.facts["polyhouse.build"], "versions": versions(),
        "written_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "columns": [
            {
                "name": field.name, "type": str(field.type),
                "unit": (field.metadata or {}).get(b"unit", b"").decode() or None,
            }
            for field in parts.schema()
        ],
        "files": [
            {
                "file": path.relative_to(target.parent).as_posix(), "bytes": path.stat().st_size,
                "sha256": digest(path),
            }
            for path in written
        ],
    }  # fmt: skip


def versions() -> dict[str, str]:
    """By which definitions the numbers were computed."""
    from polyhouse.domain.categories import CATEGORY_VERSION
    from polyhouse.metrics.catalogue import METRICS

    metrics = encode([metric.definition() for metric in METRICS])
    return {
        "polyhouse": polyhouse.__version__, "categories": CATEGORY_VERSION,
        "metrics": hashlib.sha256(metrics).hexdigest()[:16],
    }  # fmt: skip


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Put a document in the place of an older one, at once."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(encode(dict(document), indent=1) + b"\n")
    new.replace(path)
