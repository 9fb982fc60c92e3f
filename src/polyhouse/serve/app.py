"""The FastAPI application: routers on the open stores, and what every answer goes through."""

from __future__ import annotations

from fastapi import FastAPI

import polyhouse
from polyhouse.serve import middleware, openapi, pages, problems
from polyhouse.serve.context import ServeContext
from polyhouse.serve.responses import ExactJSONResponse
from polyhouse.serve.routes import admin, events, internal, operations, public, wallets


def create_app(context: ServeContext) -> FastAPI:
    """The application. Each concern is a router of its own; a new one is one more line here."""
    app = FastAPI(
        title="Polyhouse",
        version=polyhouse.__version__,
        description="A complete, correct and fresh copy of Polymarket, and who is good at it.",
        docs_url=None,
        redoc_url=None,
        default_response_class=ExactJSONResponse,
    )
    problems.install(app)
    middleware.install(app, context)
    for concern in (public, wallets, events, admin, operations, internal):
        app.include_router(concern.router(context))
    pages.install(app, context)
    openapi.install(app)
    return app
