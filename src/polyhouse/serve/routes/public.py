"""Public read-only routes: leaderboards, specialists, markets, categories, the catalogue of metrics, status."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from polyhouse.jobs.plans import plans
from polyhouse.metrics.catalogue import METRICS
from polyhouse.reads.exact import moment
from polyhouse.serve.answers import Body
from polyhouse.serve.coalesce import Fresh
from polyhouse.serve.conditional import conditional, respond
from polyhouse.serve.context import ServeContext
from polyhouse.serve.forms import chosen_form
from polyhouse.serve.openapi import EXAMPLE_MARKET, answers, example
from polyhouse.serve.responses import ExactJSONResponse
from polyhouse.serve.routes.parameters import MAX_API_LIMIT, AsOf, BoardParameters, MetricWindow, OneCategory, given


def router(context: ServeContext) -> APIRouter:
    """The routes that are about more than one wallet."""
    routes = APIRouter(default_response_class=ExactJSONResponse, tags=["public"])
    current_status = Fresh(lambda: status_document(context))
    _add_boards(routes, context)

    @routes.get(
        "/api/markets/{condition_id}", summary="One market: prices, holders, smart-money split, flow",
        responses=answers("Market", errors=(404,)), openapi_extra=example(f"GET /api/markets/{EXAMPLE_MARKET}"),
    )  # fmt: skip
    async def market(request: Request, condition_id: str, as_of: AsOf = None) -> Response:
        return await respond(request, context, "market", given(condition_id=condition_id, as_of=as_of))

    @routes.get(
        "/api/categories", summary="The categories and windows, and what it is like to bet there",
        responses=answers("Categories"), openapi_extra=example("GET /api/categories", "GET /api/categories?window=90d"),
    )  # fmt: skip
    async def categories(request: Request, window: MetricWindow = "lifetime", as_of: AsOf = None) -> Response:
        return await respond(request, context, "categories", given(window=window, as_of=as_of))

    @routes.get(
        "/api/metrics", summary="The catalogue: every metric with its definition",
        responses=answers("Metrics", table="metrics"), openapi_extra=example("GET /api/metrics"),
    )  # fmt: skip
    async def metrics(request: Request) -> Response:
        form = chosen_form("metrics", request.headers.get("accept", ""))
        rows = [metric.definition() for metric in METRICS]
        content = form.render("metrics", {"count": len(rows), "rows": rows})
        return conditional(request, Body(form.media_type, content, None, "catalogue", 0))

    @routes.get(
        "/api/status", summary="Progress, queue, failures, what runs next",
        responses=answers("Status"), openapi_extra=example("GET /api/status"),
    )  # fmt: skip
    async def status(request: Request) -> Response:
        chosen_form("status", request.headers.get("accept", ""))
        return ExactJSONResponse(await current_status(), headers={"Cache-Control": "no-store"})

    return routes


def _add_boards(routes: APIRouter, context: ServeContext) -> None:
    async def leaderboard(request: Request, query: Annotated[BoardParameters, Query()]) -> Response:
        return await respond(request, context, "leaderboard", given(**query.model_dump()))

    documented = answers("Leaderboard", table="leaderboard")
    routes.get(
        "/api/leaderboard", summary="Ranked wallets", responses=documented, operation_id="leaderboard",
        openapi_extra=example(
            "GET /api/leaderboard?category=politics&window=90d&sort=pnl&limit=10",
            "GET /api/leaderboard?preset=copy_trading",
        ),
    )(leaderboard)  # fmt: skip
    routes.get(
        "/api/omega/leaderboard", summary="The older name of /api/leaderboard", responses=documented,
        operation_id="omega_leaderboard", openapi_extra=example("GET /api/omega/leaderboard?limit=10"),
    )(leaderboard)  # fmt: skip

    @routes.get(
        "/api/wallets/specialists",
        summary="Wallets that are better in one category, tested",
        responses=answers("Specialists", table="specialists"),
        openapi_extra=example("GET /api/wallets/specialists?category=politics"),
    )
    async def specialists(
        request: Request,
        category: OneCategory = None,
        limit: Annotated[int, Query(ge=1, le=MAX_API_LIMIT, description="rows at most")] = 100,
        tested: Annotated[bool, Query(description="also those that were tested and are none")] = False,
        as_of: AsOf = None,
    ) -> Response:
        arguments = given(category=category, limit=limit, tested=tested, as_of=as_of)
        return await respond(request, context, "specialists", arguments)


async def status_document(context: ServeContext) -> dict[str, Any]:
    """The status of the store, and of this server: jobs that run, plans that come next."""
    found = await context.answers.get("status", {})
    state, now = context.answers.stores.state, int(time.time())

    def look() -> dict[str, Any]:
        running = [
            {"id": job.id, "action": job.action, "origin": job.origin, "progress": job.progress}
            for job in state.jobs(status="running")
        ]
        return {"running": running, "queued": len(state.jobs(status="queued", limit=1_000))}

    held = [plan for plan in plans(context.settings.schedule) if plan.rule is not None]
    coming = sorted((plan.rule.next_after(now), plan.name) for plan in held if plan.rule is not None)
    schedule = {
        "is_on": context.is_scheduled,
        "next": [{"plan": name, "at": moment(at)} for at, name in coming] if context.is_scheduled else [],
    }
    return {**found.document, "schedule": schedule, "jobs": await context.answers.run(look)}
