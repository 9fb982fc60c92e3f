"""Reading a body: bounded after decompression, typed before it is parsed."""

from __future__ import annotations

import aiohttp

from polyhouse.errors import UpstreamContractError

_CHUNK = 1 << 16


async def read_body(response: aiohttp.ClientResponse, max_bytes: int, where: str) -> bytes:
    """The whole body.

    Raises:
        UpstreamContractError: more than ``max_bytes`` after decompression.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        size += len(chunk)
        if size > max_bytes:
            response.close()
            raise UpstreamContractError(f"{where} sent more than {max_bytes:,} bytes in one answer")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def is_json(content_type: str) -> bool:
    """Whether a content type announces JSON (``application/json``, ``…+json``, with or without parameters)."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in {"application/json", "text/json"} or kind.endswith("+json")
