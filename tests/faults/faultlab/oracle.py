"""What must hold: after every commit, at the end of every process, and once the faults are over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from faultlab.memory_state import MemoryState
from faultlab.schedule import Faults
from faultlab.stores import FaultyState
from faultlab.upstream import Row
from faultlab.vtime import Life
from polyhouse.ports import PageCommit
from polyhouse.sync.manifest import position_text

if TYPE_CHECKING:
    from faultlab.lives import Process
    from faultlab.world import World

_ACTIVITY, _TRADES = "data.activity", "data.trades"
_KINDS = {"CONVERSION": "CONVERT", "REWARD": "INCOME"}


def after_commit(world: World, commits: Sequence[PageCommit]) -> None:
    """P3 and P8: a checkpoint that just became durable stands behind rows that are there, and counts them right."""
    world.result.commits += len(commits)
    pages: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in world.tables.all("sync_pages"):
        pages.setdefault((row["stream"], row["partition"], row["position_to"]), []).append(row)
    present: dict[str, Counter[bytes]] = {}
    for commit in commits:
        where = f"{commit.stream} {commit.partition}"
        found = pages.get((commit.stream, commit.partition, position_text(commit.position)))
        if not found:
            world.problem(f"P3 {where}: a checkpoint without its manifest row")
            continue
        served = world.answers.served.get(str(commit.position.get("cursor", "")))
        accounted = {page["rows"] + page["rejected"] + page["ignored"] for page in found}
        if served is not None and served not in accounted:
            world.problem(f"P8 {where}: {served} rows came, {accounted} are accounted for")
        if (commit.rows, len(commit.rejected)) not in {(page["rows"], page["rejected"]) for page in found}:
            world.problem(f"P8 {where}: manifest and checkpoint count differently")
        source = {_ACTIVITY: "activity", _TRADES: "trades"}.get(commit.stream)
        if source is None:
            continue
        if source not in present:
            present[source] = stored(world, source)
        _check_behind(world, where, _behind(world, commit), present[source])


def stored(world: World, source: str) -> Counter[bytes]:
    """Transaction → its rows of one source."""
    return Counter(row["tx"] for row in world.tables.all("observations") if row["source"] == source)


def _behind(world: World, commit: PageCommit) -> list[Row]:
    """The rows that a checkpoint claims, but for those about which the upstream was late or wrong."""
    position = commit.position
    if commit.stream == _ACTIVITY:
        rows = world.upstream.visible(commit.partition)
        if "cursor" in position:
            return [row for row in rows if row.order <= _anchor(position["cursor"])]
        return [row for row in rows if row.ts <= position.get("from", 0)]
    names = _conditions(world, commit.partition)
    rows = world.upstream.trades(names, takers=False)
    if "cursor" in position:
        low, stop = _anchor(position["cursor"]), position["stop"]
        return [row for row in rows if row.order >= low and stop <= row.ts <= position["head"]]
    return [row for row in rows if row.ts <= position.get("head_ts", 0)]


def _conditions(world: World, partition: str) -> list[str]:
    first, _, last = partition.partition("#")[0].partition("..")
    names = world.upstream.conditions
    return names[names.index(first) : names.index(last) + 1]


def _check_behind(world: World, where: str, rows: Sequence[Row], present: Counter[bytes]) -> None:
    wanted = Counter(row.tx for row in rows)
    doubtful = {row.tx for row in rows if row.is_doubtful}
    missing = [tx for tx, times in wanted.items() if tx not in doubtful and present[bytes.fromhex(tx[2:])] < times]
    if missing:
        world.problem(f"P3 {where}: the checkpoint is past {len(missing)} rows that are not stored, first {missing[0]}")


def after_life(world: World, process: Process, program: str) -> None:
    """P8 and "an error is never an empty result": what the run said is so."""
    report = process.report
    if report is None:
        return
    counts = report.counts
    if counts.get("fetched", 0) != counts.get("rows", 0) + counts.get("rejected", 0) + counts.get("ignored", 0):
        world.problem(f"P8 {program}: {dict(counts)}")
    if report.status == "ok" and (report.errors or counts.get("rejected") or counts.get("failed")):
        world.problem(f"a run with errors or rejected rows called itself ok: {dict(counts)} {report.errors}")
    if report.status != "ok" and not report.exit_code:
        world.problem(f"a run that is {report.status} ends with exit code 0")
    if report.status not in {"ok", "interrupted"} and not (report.errors or counts.get("rejected")):
        world.problem(f"a run that is {report.status} names nothing")
    _check_finished(world, program)


def _check_finished(world: World, program: str) -> None:
    """Who is called finished has every row that was there when it was read."""
    state = observer(world)
    present = stored(world, "activity")
    for wallet in world.upstream.ledgers:
        checkpoint = state.checkpoint(_ACTIVITY, wallet)
        record = state.wallet(bytes.fromhex(wallet[2:]))
        if record is None or record.status not in {"completed", "empty"}:
            continue
        if checkpoint is None or (checkpoint.status not in {"ok", "empty"} and not record.last_synced_at):
            world.problem(f"{program}: {wallet} is called {record.status} and was never read to its end")
            continue
        until = checkpoint.position.get("from", 0) if checkpoint is not None else 0
        rows = [row for row in world.upstream.visible(wallet) if row.ts <= until]
        _check_behind(world, f"{program}: {wallet} is {record.status},", rows, present)


def observer(world: World) -> FaultyState | MemoryState:
    """A reader of the state store that nothing happens to."""
    return world.state(Faults(world.seed, 97), Life("observer", world.loop))


def at_the_end(world: World) -> None:
    """The tables are equal to the truth, row by row and value by value."""
    state = observer(world)
    quarantine = [row.raw for row in state.quarantined(limit=10_000)]
    for wallet in world.upstream.ledgers:
        _compare(world, "activity", wallet, world.upstream.visible(wallet), quarantine)
        checkpoint = state.checkpoint(_ACTIVITY, wallet)
        if checkpoint is None or checkpoint.status not in {"ok", "empty"}:
            world.problem(f"a healthy run left {wallet} unfinished: {checkpoint}")
        trades = [row for row in world.upstream.visible(wallet) if row.kind == "TRADE"]
        _compare(world, "trades", wallet, trades, quarantine)
        _compare_positions(world, wallet)
        world.result.pages.append(-(-len(world.upstream.visible(wallet)) // world.upstream.page_rows))
        world.result.tied += world.upstream.has_tied_edge(wallet)
        world.result.wallets += 1
    paid = {row["condition"] for row in world.tables.all("resolutions")}
    if missing := {bytes.fromhex(one[2:]) for one in world.upstream.resolved} - paid:
        world.problem(f"resolutions are missing: {len(missing)}")


def _compare(world: World, source: str, wallet: str, rows: Sequence[Row], quarantine: Sequence[str]) -> None:
    """Lost, duplicated, unexpected and stale rows, each told apart."""
    mine = [row for row in world.tables.all("observations") if row["source"] == source]
    mine = [row for row in mine if row["wallet"] == bytes.fromhex(wallet[2:])]
    have, want = Counter(row["tx"] for row in mine), Counter(bytes.fromhex(row.tx[2:]) for row in rows)
    known = {bytes.fromhex(row.tx[2:]): row for row in rows}
    for tx in want - have:
        row = known[tx]
        if not (row.tx in world.answers.mangled and _is_quarantined(row, quarantine)):
            world.problem(f"lost: {source} {wallet} row {row.number} of second {row.ts}")
    for tx, times in (have - want).items():
        name = "0x" + tx.hex()
        told = world.answers.repeated[name] if tx in want else 0
        if times > told and name not in world.answers.withdrawn:
            world.problem(
                f"{'duplicated' if tx in want else 'unexpected'}: {source} {wallet} {name[-6:]} {times} times"
            )
    for row in mine:
        true = known.get(row["tx"])
        if true is not None and (wrong := _differences(row, true)):
            world.problem(f"stale: {source} {wallet} row {true.number}: {wrong}")


def _differences(row: dict[str, Any], true: Row) -> list[str]:
    micros = int(float(true.size) * 1_000_000)
    kind = true.side if true.kind == "TRADE" else _KINDS.get(true.kind, true.kind)
    right = {"ts": true.ts, "kind": kind, "cash": micros, "outcome": true.outcome}
    if kind != "INCOME":
        right["shares"] = micros
    return [f"{name} {row[name]} instead of {value}" for name, value in right.items() if row[name] != value]


def _is_quarantined(row: Row, quarantine: Sequence[str]) -> bool:
    """Somewhere in quarantine lies the row, less one field: by its transaction or, without it, by its size."""
    for raw in quarantine:
        doc = json.loads(raw)
        if doc.get("transaction_hash") == row.tx or doc.get("size") == row.size:
            return True
    return False


def _compare_positions(world: World, wallet: str) -> None:
    mine = {
        int.from_bytes(row["token"], "big"): row["shares"]
        for row in world.tables.all("reported_positions")
        if row["wallet"] == bytes.fromhex(wallet[2:]) and row["status"] != "GONE"
    }
    if mine != world.upstream.positions[wallet]:
        world.problem(f"positions of {wallet}: {mine} instead of {world.upstream.positions[wallet]}")


def _anchor(cursor: str) -> tuple[int, int]:
    ts, number, _ = cursor.split(".")
    return int(ts), int(number)
