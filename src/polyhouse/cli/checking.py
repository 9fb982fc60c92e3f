"""What ``check`` and the history of builds print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polyhouse.cli.base import Run, say
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.cli.progress import duration

if TYPE_CHECKING:
    from polyhouse.models.checks import CheckResult

_BUILDS = 50
_RESULTS = 200


def check(run: Run, *, heal: bool) -> int:
    """Test everything, note it, and show it; the exit code."""
    from polyhouse.models.checks import keep_results
    from polyhouse.reads.token_map import in_words, token_map
    from polyhouse.sync.store_checks import all_checks
    from polyhouse.wiring import open_stores

    if heal:
        _heal(run)
    with open_stores(run.settings) as stores:
        results = all_checks(stores.warehouse, stores.state)
        keep_results(stores.warehouse, results, occasion="check")
        coverage = in_words(token_map(stores.warehouse))
    rows = [_row(result, coverage) for result in results]
    if run.json:
        emit_json({"ok": all(row["ok"] for row in rows), "checks": rows})
    else:
        table = [[_word(row), row["name"], row["broken"], row["detail"]] for row in rows]
        emit_table(run, [Column("result"), Column("check"), Column("broken", right=True), Column("detail")], table)
    return 0 if all(row["ok"] for row in rows) else 1


def _heal(run: Run) -> None:
    """Register wallets that are missing, then read the chain again where it lacks something, if it was ever read."""
    from polyhouse.cli.chain import heal_chain
    from polyhouse.sync.coverage import was_read
    from polyhouse.sync.verify import register_all
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores:
        if registered := register_all(stores.warehouse, stores.state):
            say(f"heal: {registered:,} wallets with rows were missing in the registry; they are in the queue now")
        reads_chain = bool(run.settings.rpc_urls()) or was_read(stores.warehouse)
    if reads_chain:
        heal_chain(run)
    else:
        say("heal: the chain was never read, so no block of it is missing")


def _word(row: dict[str, Any]) -> str:
    return "ok" if row["ok"] else "FAIL"


def _row(result: CheckResult, coverage: str) -> dict[str, Any]:
    from polyhouse.reads.exact import shortest

    detail = f"{result.detail}; {coverage}" if result.name == "tokens_are_mapped" else result.detail
    return {
        "name": result.name, "ok": bool(result.ok), "broken": int(result.broken), "detail": detail,
        "examples": list(result.examples), "guards": list(result.guards), "seconds": shortest(round(result.seconds, 3)),
    }  # fmt: skip


def show_history(run: Run) -> int:
    """What checks found before, newest first."""
    from polyhouse.models.checks import kept_results
    from polyhouse.reads.exact import moment
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores:
        results = kept_results(stores.warehouse, limit=_RESULTS)
    rows = [
        {"at": moment(one.at), "run": one.run, "occasion": one.occasion, "scope": one.scope} | _row(one, "")
        for one in results
    ]
    if run.json:
        emit_json({"results": rows})
    else:
        columns = [Column("at"), Column("by"), Column("rows of"), Column("result"), Column("check"), Column("detail")]
        table = [[r["at"], r["occasion"], r["scope"], _word(r), r["name"], r["detail"]] for r in rows]
        emit_table(run, columns, table)
    return 0


def show_builds(run: Run) -> int:
    """Which builds readers were shown, newest first."""
    from polyhouse.models.publication import publications
    from polyhouse.reads.exact import moment, shortest
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores:
        shown = [one for one in publications(stores.warehouse, limit=_BUILDS) if one.is_done]
    rows: list[dict[str, Any]] = [
        {
            "build": one.build, "at": moment(one.build // 1_000_000), "kind": one.kind, "as_of": moment(one.as_of),
            "wallets": one.wallets if one.kind == "touched" else None, "seconds": shortest(round(one.seconds, 3)),
            "held": list(one.held), "replaced": one.replaced, "restored": one.restored or None,
        }
        for one in shown
    ]  # fmt: skip
    if run.json:
        emit_json({"builds": rows})
    else:
        columns = [Column("build"), Column("at"), Column("of"), Column("took"), Column("remarks")]
        table = [[r["build"], r["at"], r["kind"], duration(float(r["seconds"])), _remark(r)] for r in rows]
        emit_table(run, columns, table)
    return 0


def _remark(row: dict[str, Any]) -> str:
    if row["restored"]:
        return f"back to what build {row['restored']} showed"
    return f"held back: {', '.join(row['held'])}" if row["held"] else ""


def roll_back(run: Run) -> int:
    """Exchange the models with those from before the newest build of all wallets."""
    from polyhouse.publishing import publish_after_build
    from polyhouse.reads.exact import moment
    from polyhouse.sync.touched import roll_back as exchange
    from polyhouse.wiring import open_stores

    with open_stores(run.settings) as stores:
        done = exchange(stores.warehouse, stores.state)
        is_published = publish_after_build(run.settings, stores, say)
    if run.json:
        emit_json({
            "build": done.build, "restored": done.restored, "replaced": done.replaced, "as_of": moment(done.as_of),
            "tables": list(done.tables),
        })  # fmt: skip
    say(
        f"metrics: readers see what build {done.restored} showed (to {moment(done.as_of)});"
        " the same command takes that back, the next build of all wallets replaces it"
    )
    return 0 if is_published else 1
