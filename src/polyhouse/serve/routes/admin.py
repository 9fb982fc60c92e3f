"""Admin routes: jobs, wallets, schedule, audit log. Off without a key; every change is logged with its outcome."""

from __future__ import annotations

import hashlib
import time
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from polyhouse.domain.ids import format_address, parse_address
from polyhouse.errors import BadInputError
from polyhouse.jobs.actions import ACTIONS, INGEST
from polyhouse.jobs.plans import schedule_document
from polyhouse.reads.exact import moment
from polyhouse.reads.wallet import unknown_wallet
from polyhouse.serve.access import Access, Principal
from polyhouse.serve.context import ServeContext
from polyhouse.serve.openapi import EXAMPLE_WALLET, answers, example
from polyhouse.serve.refusals import NothingThereError, TooLargeError
from polyhouse.serve.responses import ExactJSONResponse
from polyhouse.serve.routes.internal import small_body
from polyhouse.serve.routes.parameters import Address
from polyhouse.state import JobRecord
from polyhouse.state.jobs import JobRequest

_MOST_KEY_CHARACTERS = 255
_Number = Annotated[int, Path(ge=1, lt=2**63, description="number of the job")]
_Limit = Annotated[int, Query(ge=1, le=200, description="rows of one page")]
_Cursor = Annotated[str | None, Query(description="`next` of the page before", max_length=20)]
_INGEST = example('POST /api/admin/ingest {"action": "process"}') | {
    "parameters": [
        {
            "name": "Idempotency-Key", "in": "header", "required": False,
            "description": "a repeat with the same key answers with the same job",
            "schema": {"type": "string", "minLength": 1, "maxLength": _MOST_KEY_CHARACTERS},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object", "required": ["action"], "additionalProperties": False,
                    "properties": {"action": {"type": "string", "enum": list(INGEST)}},
                },
                "example": {"action": "full"},
            }
        },
    },
}  # fmt: skip


def _answers(schema: str, status: int = 200) -> dict[int | str, Any]:
    found = answers(schema, status=status, errors=(401, 403, 404, 413))
    return {code: what for code, what in found.items() if code not in {304, 406}}


class IngestRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /api/admin/ingest``."""

    action: Literal["discover", "process", "full"]


def router(context: ServeContext) -> APIRouter:
    """The admin routes."""
    routes = APIRouter(prefix="/api/admin", tags=["admin"])
    access = Access(context.settings, context.answers)
    _add_jobs(routes, context, access)
    _add_wallets(routes, context, access)
    _add_schedule(routes, context, access)

    @routes.get(
        "/audit", summary="What was done or tried, newest first", responses=_answers("Audit"),
        openapi_extra=example("GET /api/admin/audit?limit=10"),
    )  # fmt: skip
    async def audit(request: Request, limit: _Limit = 50, cursor: _Cursor = None) -> Response:
        await access.principal(request, "audit")
        state, before = context.answers.stores.state, _number_of(cursor)
        entries = await context.answers.run(lambda: state.audit_log(before=before, limit=limit + 1))
        rows = [
            {
                "id": entry.id, "at": moment(entry.at), "actor": entry.actor, "address": entry.address,
                "action": entry.action, "target": entry.target or None, "outcome": entry.outcome,
                "request_id": entry.request,
            }
            for entry in entries[:limit]
        ]  # fmt: skip
        return ExactJSONResponse(_page(rows, more=len(entries) > limit))

    return routes


def _add_jobs(routes: APIRouter, context: ServeContext, access: Access) -> None:
    state, jobs = context.answers.stores.state, context.jobs

    @routes.post(
        "/ingest", status_code=202, summary="Start discovery, processing, or both",
        responses=_answers("Job", status=202), openapi_extra=_INGEST,
    )  # fmt: skip
    async def ingest(request: Request) -> Response:
        return await _start(context, access, request, None)

    @routes.get(
        "/jobs", summary="Jobs, newest first", responses=_answers("Jobs"),
        openapi_extra=example("GET /api/admin/jobs", "GET /api/admin/jobs?status=failed&limit=10"),
    )  # fmt: skip
    async def job_list(
        request: Request,
        status: Literal["queued", "running", "done", "partial", "failed", "cancelled"] | None = None,
        limit: _Limit = 50,
        cursor: _Cursor = None,
    ) -> Response:
        await access.principal(request, "read")
        before = _number_of(cursor)
        found = await context.answers.run(lambda: state.jobs(status=status, before=before, limit=limit + 1))
        return ExactJSONResponse(_page([job_document(job) for job in found[:limit]], more=len(found) > limit))

    @routes.get(
        "/jobs/{id}", summary="One job with its progress and result", responses=_answers("Job"),
        openapi_extra=example("GET /api/admin/jobs/1"),
    )  # fmt: skip
    async def job(request: Request, number: Annotated[_Number, Path(alias="id")]) -> Response:
        await access.principal(request, "read")
        found = await context.answers.run(lambda: state.job(number))
        return ExactJSONResponse(job_document(_there(found, number)))

    @routes.post(
        "/jobs/{id}/cancel", status_code=202, summary="Cancel a job that waits, stop one that runs",
        responses=_answers("Job", status=202), openapi_extra=example("POST /api/admin/jobs/1/cancel"),
    )  # fmt: skip
    async def cancel(request: Request, number: Annotated[_Number, Path(alias="id")]) -> Response:
        def work(_who: Principal) -> JobRecord:
            return _there(state.cancel_job(number), number)

        found = await access.logged(request, "ingest", "job.cancel", str(number), work)
        jobs.cancel(number)
        return ExactJSONResponse(job_document(found), 202)


def _add_wallets(routes: APIRouter, context: ServeContext, access: Access) -> None:
    state = context.answers.stores.state

    @routes.post(
        "/wallets/{address}/retry", summary="Put a failed wallet back into the queue",
        responses=_answers("Queued"), openapi_extra=example(f"POST /api/admin/wallets/{EXAMPLE_WALLET}/retry"),
    )  # fmt: skip
    async def retry(request: Request, address: Address) -> Response:
        def work(_who: Principal) -> dict[str, Any]:
            wallet = _registered(context, address)
            return {"wallet": format_address(wallet), "queued": bool(state.retry([wallet]))}

        return ExactJSONResponse(await access.logged(request, "wallets", "wallet.retry", address, work))

    @routes.post(
        "/wallets/{address}/reset", summary="Forget a wallet's cursors and read it again from the start",
        responses=_answers("Queued"), openapi_extra=example(f"POST /api/admin/wallets/{EXAMPLE_WALLET}/reset"),
    )  # fmt: skip
    async def reset(request: Request, address: Address) -> Response:
        def work(_who: Principal) -> dict[str, Any]:
            wallet = _registered(context, address)
            return {"wallet": format_address(wallet), "queued": bool(state.reset(wallet))}

        return ExactJSONResponse(await access.logged(request, "wallets", "wallet.reset", address, work))


def _add_schedule(routes: APIRouter, context: ServeContext, access: Access) -> None:
    @routes.get(
        "/schedule", summary="The plans, when each runs next, and how its last job ended",
        responses=_answers("Schedule"), openapi_extra=example("GET /api/admin/schedule"),
    )  # fmt: skip
    async def schedule(request: Request) -> Response:
        await access.principal(request, "read")
        chosen, state = context.settings.schedule, context.answers.stores.state
        document = await context.answers.run(lambda: schedule_document(chosen, state, int(time.time())))
        return ExactJSONResponse({"is_on": context.is_scheduled, **document})

    @routes.post(
        "/schedule/{plan}/run", status_code=202, summary="Run a plan now",
        responses=_answers("Job", status=202), openapi_extra=example("POST /api/admin/schedule/metrics/run"),
    )  # fmt: skip
    async def run_plan(request: Request, plan: str) -> Response:
        return await _start(context, access, request, plan)


async def _start(context: ServeContext, access: Access, request: Request, plan: str | None) -> Response:
    """Queue a job for a plan, or for the action that the body names."""
    body = await small_body(request)
    state = context.answers.stores.state

    def work(who: Principal) -> tuple[JobRecord, bool]:
        action = _action_of(body) if plan is None else plan
        if action not in ACTIONS:
            raise NothingThereError(f"there is no plan {action[:40]!r}", hint=f"one of: {' '.join(ACTIONS)}")
        return state.add_job(action, f"key:{who.name}", _request_of(request, who, action))

    job, is_new = await access.logged(request, "ingest", "job.start", plan or _action_or_nothing(body), work)
    context.jobs.wake()
    headers = {"Location": f"/api/admin/jobs/{job.id}", "Idempotency-Replayed": str(not is_new).lower()}
    return ExactJSONResponse(job_document(job), 202, headers)


def job_document(job: JobRecord) -> dict[str, Any]:
    """A job for programs. ``error`` is None unless it failed."""
    return {
        "id": job.id,
        "action": job.action,
        "summary": ACTIONS[job.action].summary if job.action in ACTIONS else "",
        "origin": job.origin,
        "status": job.status,
        "created_at": moment(job.created_at),
        "started_at": moment(job.started_at),
        "finished_at": moment(job.finished_at),
        "deaths": job.deaths,
        "cancel_asked": job.cancel_asked,
        "progress": job.progress,
        "result": job.result,
        "error": {"code": job.error_code, "detail": job.error} if job.error_code else None,
    }


def _action_of(body: bytes | None) -> str:
    if body is None:
        raise TooLargeError("the body is too large")
    try:
        return msgspec.json.decode(body, type=IngestRequest).action
    except msgspec.ValidationError as error:
        raise BadInputError(f"the body: {error}", hint=f'{{"action": "{"|".join(INGEST)}"}}') from None
    except msgspec.DecodeError as error:
        raise BadInputError(f"the body is not JSON: {error}") from None


def _action_or_nothing(body: bytes | None) -> str:
    """For the log: what the body asks for, if it can be read."""
    try:
        return _action_of(body)
    except (BadInputError, TooLargeError):
        return ""


def _request_of(request: Request, who: Principal, action: str) -> JobRequest | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not key.strip() or len(key) > _MOST_KEY_CHARACTERS:
        raise BadInputError(f"an Idempotency-Key has 1 to {_MOST_KEY_CHARACTERS} characters")
    return JobRequest(_sha256(f"{who.name}\0{key}"), _sha256(f"{request.url.path}\0{action}"))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _registered(context: ServeContext, address: str) -> bytes:
    wallet = parse_address(address)
    if not context.answers.stores.state.known_wallets([wallet]):
        raise unknown_wallet(wallet)
    return wallet


def _there(job: JobRecord | None, number: int) -> JobRecord:
    if job is None:
        raise NothingThereError(f"there is no job {number}")
    return job


def _number_of(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise BadInputError("this is not the cursor of a page before")
    return int(cursor)


def _page(rows: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """One page; ``next`` is the cursor of the page that follows, None on the last one."""
    return {"count": len(rows), "rows": rows, "next": str(rows[-1]["id"]) if more else None}
