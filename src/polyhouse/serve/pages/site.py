"""What all pages share: the templates, the frame around them, and the way to the documents they show."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

import polyhouse
from polyhouse.reads.builds import newest_build_time, read_marks
from polyhouse.reads.exact import encode, moment
from polyhouse.reads.progress_file import read_progress
from polyhouse.serve.answers import Answer
from polyhouse.serve.coalesce import Fresh
from polyhouse.serve.context import ServeContext
from polyhouse.serve.pages import charts, formats
from polyhouse.serve.pages.assets import Assets

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""The content security policy of every page: nothing inline, nothing from elsewhere."""
T = TypeVar("T")
STALE_SECONDS = 24 * 3_600
"""After a day without a run, pages say so in a banner."""

NAVIGATION = (
    ("/", "Leaderboard", "l"), ("/specialists", "Specialists", "s"), ("/categories", "Categories", "c"),
    ("/markets", "Markets", "m"), ("/live", "Live", "v"), ("/sync", "Sync", "y"), ("/quality", "Data quality", "q"),
    ("/jobs", "Jobs", "j"), ("/glossary", "Glossary", "g"),
)  # fmt: skip
"""Path, name and the second key of the shortcut ``g …``."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How new the numbers of a page are, and whether a run goes on."""

    build: int
    as_of: str | None
    last_run: dict[str, Any] | None
    progress: dict[str, Any] | None

    @property
    def is_running(self) -> bool:
        """Whether a run writes at the moment."""
        return self.progress is not None and self.progress.get("state") == "running"

    @property
    def is_stale(self) -> bool:
        """Whether the last run is so long ago that pages say so."""
        if self.is_running or self.last_run is None or not self.last_run["at"]:
            return False
        return time.time() - formats.seconds_of(self.last_run["at"]) > STALE_SECONDS

    def document(self) -> dict[str, Any]:
        """What the script of a page polls."""
        return {"build": self.build, "as_of": self.as_of, "last_run": self.last_run, "progress": self.progress}


@dataclass(frozen=True, slots=True)
class Page:
    """A page to be rendered.

    Attributes:
        template: file below ``templates/``.
        title: for the browser.
        view: what the template gets; made only if the page is not kept from before.
        version: of the documents behind it; "" = never kept.
        status: of the answer.
    """

    template: str
    title: str
    view: Callable[[], Mapping[str, Any]]
    version: str = ""
    status: int = 200


class Site:
    """Renders pages of one server.

    Args:
        context: the server's inside.
    """

    def __init__(self, context: ServeContext) -> None:
        self.context = context
        self.assets = Assets()
        self._environment = environment(self.assets)
        self._fresh = Fresh(lambda: context.answers.run(self._read_freshness))

    async def ask(self, command: str, /, **arguments: Any) -> Answer:
        """The document of a read command and its version, as the API answers it."""
        return await self.context.answers.get(command, arguments)

    async def freshness(self) -> Freshness:
        """How new the numbers are; asked once for all who ask at the same time."""
        return await self._fresh()

    async def kept(self, name: str, read: Callable[[], T]) -> T:
        """What ``read`` returns: read once for every state of the store and of the runs.

        Args:
            name: of the thing, with whatever it depends on besides.
            read: reads the stores; called in a thread.
        """
        answers = self.context.answers
        marks = await answers.marks()

        def version() -> str:
            last = answers.stores.state.last_run()
            run = "" if last is None else f"{last.id} {last.status} {last.finished_at}"
            return f"{marks} {run}"

        async def make() -> tuple[T, int]:
            value = await answers.run(read)
            return value, len(str(value))

        found: T = await answers.kept(f"page data {name}", await answers.run(version), make)
        return found

    async def show(self, request: Request, page: Page) -> Response:
        """The page; 304 if the browser has it already."""
        fresh = await self.freshness()

        def render() -> bytes:
            text = self._render(request, page.template, {**page.view(), "title": page.title}, fresh)
            return text.encode()

        async def make() -> tuple[bytes, int]:
            body = await self.context.answers.run(render)
            return body, len(body)

        if page.version:
            # Relative times are shown to the minute, so a page may be kept for as long.
            version = f"{page.version} {encode(fresh.document()).decode()} {int(time.time() // 60)}"
            body = await self.context.answers.kept(f"page {here(request)}", version, make)
        else:
            body, _ = await make()
        return _answer(request, body, page.status)

    def error(self, request: Request, problem: Mapping[str, Any]) -> Response:
        """The page of an error: what happened and what to do. It asks no store, which may be what failed."""
        text = self._render(request, "error.html", {"problem": problem, "title": problem["title"]}, None)
        return _answer(request, text.encode(), int(problem["status"]))

    def _render(self, request: Request, template: str, view: Mapping[str, Any], fresh: Freshness | None) -> str:
        return self._environment.get_template(template).render(
            view, fresh=fresh, path=request.url.path, here=here(request), query=request.query_params, now=time.time(),
        )  # fmt: skip

    def _read_freshness(self) -> Freshness:
        stores = self.context.answers.stores
        last = stores.state.last_run()
        run = None
        if last is not None:
            run = {"command": last.command, "status": last.status, "at": moment(last.finished_at or last.started_at)}
        return Freshness(
            read_marks(stores.warehouse).build, moment(newest_build_time(stores.warehouse)), run,
            _shown(read_progress(self.context.settings.home)),
        )  # fmt: skip


def _shown(progress: dict[str, Any] | None) -> dict[str, Any] | None:
    """What readers of pages get to know of a run: not on which machine it runs, and as which process."""
    return progress and {name: value for name, value in progress.items() if name not in ("pid", "host")}


def here(request: Request) -> str:
    """The page's own address, path and query."""
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def link(path: str, **parameters: Any) -> str:
    """An address with the parameters that have a value."""
    kept = {name: value for name, value in parameters.items() if value not in (None, "", False)}
    return path + (f"?{urlencode(kept)}" if kept else "")


def _answer(request: Request, body: bytes, status: int) -> Response:
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    if status == 200 and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, media_type="text/html; charset=utf-8")


def environment(assets: Assets) -> Environment:
    """The templates with their filters. Everything is escaped, and an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("polyhouse.serve"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    # Documents hold exact decimals, which the standard encoder refuses.
    made.policies["json.dumps_function"] = lambda value, **_: encode(value).decode()
    for name in (
        "usd", "pnl", "count", "shares", "ratio", "percent", "cents", "moment", "day", "ago", "lasting", "short_id",
        "words", "title_words", "metric_value", "metric_title", "measured", "lower_first",
    ):  # fmt: skip
        made.filters[name] = getattr(formats, name)
    made.globals.update(
        asset=assets.url, navigation=NAVIGATION, version=polyhouse.__version__, link=link, nothing=formats.nothing,
        sparkline=charts.sparkline, diverging=charts.diverging, meter=charts.meter, split_bar=charts.split,
    )  # fmt: skip
    return made
