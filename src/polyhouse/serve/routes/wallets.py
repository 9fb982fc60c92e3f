"""Public read-only routes about one wallet."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from polyhouse.reads.totals import OVERALL
from polyhouse.serve.conditional import respond
from polyhouse.serve.context import ServeContext
from polyhouse.serve.openapi import EXAMPLE_WALLET, answers, example
from polyhouse.serve.responses import ExactJSONResponse
from polyhouse.serve.routes.parameters import Address, AsOf, Category, Limit, MetricWindow, Window, given

_WALLET = f"GET /api/wallets/{EXAMPLE_WALLET}"


def router(context: ServeContext) -> APIRouter:
    """The wallet document and what belongs to it. Included behind ``/api/wallets/specialists``."""
    routes = APIRouter(prefix="/api/wallets/{address}", default_response_class=ExactJSONResponse, tags=["public"])

    @routes.get(
        "", summary="Everything known about one wallet",
        responses=answers("Wallet", errors=(404,)), openapi_extra=example(_WALLET, f"{_WALLET}?window=30d"),
    )  # fmt: skip
    async def wallet(request: Request, address: Address, window: Window = "lifetime", as_of: AsOf = None) -> Response:
        return await respond(request, context, "wallet", given(address=address, window=window, as_of=as_of))

    @routes.get(
        "/trades", summary="Its fills, newest first",
        responses=answers("Trades", table="wallet_trades", errors=(404,)),
        openapi_extra=example(f"{_WALLET}/trades?limit=10"),
    )  # fmt: skip
    async def trades(
        request: Request,
        address: Address,
        limit: Limit = 100,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before", max_length=1_000)] = None,
        market: Annotated[str | None, Query(description="condition id: only its fills", max_length=100)] = None,
    ) -> Response:
        asked = given(address=address, limit=limit, cursor=cursor, market=market)
        return await respond(request, context, "wallet_trades", asked)

    @routes.get(
        "/days", summary="Its daily series, for charts",
        responses=answers("Days", table="wallet_days", errors=(404,)),
        openapi_extra=example(f"{_WALLET}/days?window=90d"),
    )  # fmt: skip
    async def days(
        request: Request, address: Address, category: Category = OVERALL, window: MetricWindow = "lifetime",
        as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        asked = given(address=address, category=category, window=window, as_of=as_of)
        return await respond(request, context, "wallet_days", asked)

    @routes.get(
        "/metrics", summary="Its metrics, each with status and sample",
        responses=answers("WalletMetrics", table="wallet_metrics", errors=(404,)),
        openapi_extra=example(f"{_WALLET}/metrics"),
    )  # fmt: skip
    async def metrics(
        request: Request, address: Address, category: Category = OVERALL, window: MetricWindow = "lifetime",
        as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        asked = given(address=address, category=category, window=window, as_of=as_of)
        return await respond(request, context, "wallet_metrics", asked)

    @routes.get(
        "/explain/{name}", summary="Where one of its numbers comes from, down to transactions",
        responses=answers("Explained", errors=(404,)), openapi_extra=example(f"{_WALLET}/explain/realized"),
    )  # fmt: skip
    async def explain(
        request: Request,
        address: Address,
        name: Annotated[str, Path(description="a number of the wallet document", examples=["realized"])],
        category: Category = OVERALL,
        window: Window = "lifetime",
        unit: Annotated[str | None, Query(description="the number of this unit", max_length=100)] = None,
        token: Annotated[str | None, Query(description="the number of this position", max_length=100)] = None,
        limit: Limit = 100,
        offset: Annotated[int, Query(ge=0, lt=2**31, description="rows to pass over")] = 0,
        as_of: AsOf = None,
    ) -> Response:
        asked = given(
            address=address, name=name, category=category, window=window, unit=unit, token=token, limit=limit,
            offset=offset, as_of=as_of,
        )  # fmt: skip
        return await respond(request, context, "explain", asked)

    return routes
