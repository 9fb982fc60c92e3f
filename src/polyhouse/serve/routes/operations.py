"""Routes for those who run the server: is it alive, can it answer, what does it do."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from polyhouse.errors import PolyhouseError
from polyhouse.serve.context import ServeContext
from polyhouse.serve.gauges import exposition


def router(context: ServeContext) -> APIRouter:
    """Liveness, readiness, Prometheus."""
    routes = APIRouter()
    stores = context.answers.stores

    @routes.get("/healthz", summary="The process lives", response_class=PlainTextResponse)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @routes.get("/readyz", summary="Both stores answer", response_class=PlainTextResponse)
    async def readyz() -> Response:
        def look() -> None:
            stores.warehouse.query("SELECT 1")
            stores.state.last_run()

        try:
            await context.answers.run(look)
        except PolyhouseError as error:
            return PlainTextResponse(f"not ready: {error.code}\n", 503)
        return PlainTextResponse("ready\n")

    @routes.get("/metrics", summary="Prometheus text", response_class=PlainTextResponse)
    async def metrics() -> Response:
        text = await context.answers.run(lambda: exposition(stores.warehouse, stores.state, context.counter))
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return routes
