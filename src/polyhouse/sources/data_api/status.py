"""How far the Data API's own indexer has come (``/v2/status``); recorded with every run."""

from __future__ import annotations

import msgspec

from polyhouse.sources.data_api.envelope import Envelope, check_data
from polyhouse.sources.http import HttpClient


class _Serving(msgspec.Struct):
    lag_seconds: float | None = None


class _Ingestion(msgspec.Struct):
    max_synced_block: int | None = None
    min_synced_block: int | None = None


class ServiceStatus(msgspec.Struct):
    """The upstream's own account of itself.

    Attributes:
        computed_at: when, as printed.
        serving: ``lag_seconds`` behind the chain; None = not told.
        ingestion: first and last block that its parts have reached.
    """

    computed_at: str | int | None = None
    serving: _Serving = msgspec.field(default_factory=_Serving)
    ingestion: _Ingestion = msgspec.field(default_factory=_Ingestion)


_decoder = msgspec.json.Decoder(Envelope[ServiceStatus], strict=False)


def _decode(body: bytes) -> ServiceStatus:
    envelope = _decoder.decode(body)
    check_data(envelope, "data.status")
    return envelope.data if isinstance(envelope.data, ServiceStatus) else ServiceStatus()


async def status(client: HttpClient) -> ServiceStatus:
    """Ask the upstream how far behind the chain it is."""
    return await client.get("/v2/status", None, _decode)
