"""Pages for those who run it: sync health, data quality, jobs, and the glossary of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from polyhouse.metrics.catalogue import METRICS, RELATIONS
from polyhouse.models.checks import run_checks
from polyhouse.reads.health import HOURS, health, read_workers
from polyhouse.reads.quality import quality
from polyhouse.serve.pages.charts import Chart, Series
from polyhouse.serve.pages.formats import seconds_of
from polyhouse.serve.pages.site import Page, Site

_WHOLE = "gross_of_fees"


def router(site: Site) -> APIRouter:
    """The pages."""
    routes = APIRouter()
    _add_health(routes, site)
    _add_quality(routes, site)

    @routes.get("/jobs")
    async def jobs(request: Request) -> Response:
        return await site.show(request, Page("jobs.html", "Jobs and schedule", dict))

    @routes.get("/glossary")
    async def glossary(request: Request) -> Response:
        page = Page("glossary.html", "Glossary", lambda: {"groups": _definitions(), "relations": RELATIONS}, "glossary")
        return await site.show(request, page)

    return routes


def _add_health(routes: APIRouter, site: Site) -> None:
    stores = site.context.answers.stores

    @routes.get("/sync")
    async def sync(request: Request) -> Response:
        status = (await site.ask("status")).document
        # Its queries read whole columns, and pages that are open ask every few seconds.
        kept = await site.kept("sync health", lambda: health(stores.warehouse, stores.state))
        workers = await site.context.answers.run(lambda: read_workers(stores.state))
        view = {"status": status, "health": kept, "workers": workers, "rows": _written(kept)}
        return await site.show(request, Page("sync.html", "Sync health", lambda: view))


def _add_quality(routes: APIRouter, site: Site) -> None:
    warehouse = site.context.answers.stores.warehouse

    @routes.get("/quality")
    async def page(request: Request) -> Response:
        document = await site.kept("quality", lambda: quality(warehouse))
        view = {"quality": document, "history": _history(document)}
        return await site.show(request, Page("quality.html", "Data quality", lambda: view))

    @routes.get("/quality/checks")
    async def checks(request: Request) -> Response:
        found = await site.kept("checks", lambda: {"checks": run_checks(warehouse)})
        return await site.show(request, Page("checks.html", "Invariants", lambda: found))


def _written(document: Mapping[str, Any]) -> Chart:
    written = {hour["at"]: hour["rows"] for hour in document["hours"]}
    newest = max(written, default=0)
    times = [newest - back * 3_600 for back in range(HOURS, -1, -1)] if written else []
    summary = f"{sum(written.values()):,} rows in the {HOURS} hours to the newest page."
    series = (Series("Rows", [written.get(time, 0) for time in times], 1, "bars"),)
    return Chart("Rows written per hour", times, series, "count", summary if written else "Nothing was written yet.")


def _history(document: Mapping[str, Any]) -> Chart:
    """How many of the compared wallets were within a dollar of the published figure, run after run."""
    runs = [row for row in reversed(document["reconciliation"]) if row["kind"] == _WHOLE and row["as_of"]]
    newest = {int(seconds_of(row["as_of"])): row for row in runs}
    times = sorted(newest)
    series = (
        Series("within a cent", [newest[time]["within_cent"] for time in times], 1, "line"),
        Series("within a dollar", [newest[time]["within_dollar"] for time in times], 3, "line"),
    )
    return Chart("Wallets that agree with the published figure", times, series, "percent", f"{len(times)} comparisons.")


def _definitions() -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {relation.name: [] for relation in RELATIONS}
    for metric in METRICS:
        groups.setdefault(metric.relation if metric.state == "computed" else metric.state, []).append(metric)
    return {name: found for name, found in groups.items() if found}
