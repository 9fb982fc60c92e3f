"""An answer as bytes of an Arrow IPC stream, piece by piece: what a server sends and a file holds."""

from __future__ import annotations

import io
from collections.abc import Iterator

from polyhouse.reads.relations.answer import Answer


def arrow_stream(answer: Answer) -> Iterator[bytes]:
    """The stream in pieces of one batch each; in memory is one at a time."""
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, answer.schema) as writer:
        for batch in answer.batches:
            writer.write_batch(batch)
            yield _taken(sink)
    yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece
