"""Both stores: do they open, do they fit each other, and is what they hold fresh, whole and free of contradictions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from polyhouse.doctor.finding import Finding, of_error
from polyhouse.errors import PolyhouseError
from polyhouse.models.checks import newest_results
from polyhouse.models.publication import publications
from polyhouse.settings import Settings
from polyhouse.sync import verify
from polyhouse.sync.reorg import REBUILD_NOTE

if TYPE_CHECKING:
    from polyhouse.state import StateStore
    from polyhouse.warehouse import ClickHouseWarehouse

STALE_SECONDS = 24 * 3_600


def examine_stores(settings: Settings) -> Iterator[Finding]:
    """Open both stores if nobody else has them, and look into them."""
    from polyhouse.warehouse.lock import holder
    from polyhouse.wiring import open_state_only, open_warehouse_of

    busy = holder(settings.engine_url())
    if busy is not None:
        yield _in_use(busy.describe(), busy.url)
    try:
        with open_state_only(settings) as state:
            yield Finding("state", "ok", "the state store opens, and its schema is of this version")
            yield from _of_state(state)
            if busy is not None:
                return
            try:
                with open_warehouse_of(settings) as warehouse:
                    yield Finding("warehouse", "ok", "the warehouse opens, and its schema is of this version")
                    yield from _of_warehouse(warehouse, state)
            except PolyhouseError as error:
                yield of_error("warehouse", error)
    except PolyhouseError as error:
        yield of_error("state", error)


def _in_use(who: str, url: str) -> Finding:
    if url:
        return Finding("store_in_use", "ok", f"{who} serves the store at {url}; commands that read ask it")
    return Finding(
        "store_in_use", "warn", f"{who} has the warehouse open; what lies in it is not examined",
        "wait for it to end, or let one `polyhouse serve` own the store: commands then ask it",
    )  # fmt: skip


def _of_state(state: StateStore) -> Iterator[Finding]:
    now = int(time.time())
    yield _last_run(state, now)
    failed = state.wallet_counts().get("failed", 0)
    if failed:
        text = f"{failed:,} wallets failed and wait, or were given up"
        yield Finding("wallets", "warn", text, "polyhouse retry && polyhouse process")
    else:
        yield Finding("wallets", "ok", "no wallet failed")
    lost = state.lost_leases()
    if lost:
        text = f"{lost:,} wallets are held by workers that do not renew their leases"
        yield Finding("leases", "warn", text, "polyhouse process takes them over; see that its worker is not hanging")
    else:
        yield Finding("leases", "ok", "no worker lost its wallets")


def _last_run(state: StateStore, now: int) -> Finding:
    last = state.last_run()
    if last is None:
        return Finding("last_run", "warn", "nothing was ever read", "polyhouse run")
    ended = last.finished_at or last.started_at
    hours = (now - ended) // 3_600
    if last.status == "failed":
        return Finding(
            "last_run", "warn", f"the last run ({last.command}) failed: {last.error}", f"polyhouse {last.command}"
        )
    if now - ended > STALE_SECONDS:
        return Finding(
            "last_run", "warn", f"the last run ended {hours:,} hours ago", "polyhouse run, or polyhouse serve"
        )
    return Finding("last_run", "ok", f"the last run ({last.command}, {last.status}) was {hours:,} hours ago")


def _of_warehouse(warehouse: ClickHouseWarehouse, state: StateStore) -> Iterator[Finding]:
    newest, known = verify.manifest_version(warehouse), int(state.get_note(verify.NOTE) or 0)
    if newest < known:
        text = "the state store is ahead of the warehouse: rows that it believes to be stored are not there"
        fix = "polyhouse sync wallets --all --incremental (it finds the gap first and reads it again)"
        yield Finding("stores_agree", "fail", text, fix)
    else:
        yield Finding("stores_agree", "ok", "no checkpoint is ahead of the rows")
    waiting = state.get_note(REBUILD_NOTE)
    if waiting:
        number = "all wallets" if waiting == "all" else f"{len(waiting):,} wallets"
        yield Finding("models", "warn", f"the models of {number} lag behind their rows", "polyhouse metrics")
    else:
        yield _models(warehouse)
    broken = [one for one in newest_results(warehouse) if not one.ok]
    if not broken:
        yield Finding("checks", "ok", "no check is broken")
    for one in broken:
        yield Finding(f"check {one.name}", "fail", one.detail, "polyhouse check; docs/checks.md says what to do")


def _models(warehouse: ClickHouseWarehouse) -> Finding:
    newest = next(iter(publications(warehouse, limit=1)), None)
    if newest is None:
        return Finding("models", "warn", "no models were built yet", "polyhouse metrics")
    if newest.held:
        text = f"the newest build was not shown for {', '.join(newest.held)}"
        return Finding("models", "warn", text, "polyhouse check --history")
    return Finding("models", "ok", f"readers see build {newest.build} whole")
