"""A universe with an AMM era equals the simulator's truth for everybody, by the ledger's rules and from the node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chain_world import RAW, check_truth, dump, dump_models, rebuild, serve, state_in, sync, write_events

from polyhouse.cli.import_logs import log_tables
from polyhouse.domain import contracts, ids
from polyhouse.domain.categories import category_of
from polyhouse.ledger.amm import lp_token
from polyhouse.ledger.chain import observations
from polyhouse.ledger.vector_logs import VectorCase, parse_case
from polyhouse.models.checks import run_checks
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.node import NodeQuirks
from polyhouse.sim.truth import Truth, compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.sync.chain_registry import UNSETTLED_NOTE
from polyhouse.sync.coverage import run_coverage_checks
from polyhouse.sync.reorg import remove_from
from polyhouse.truth_check import compare
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")


def early(seed: int, **options: Any) -> Universe:
    return Universe(seed=seed, wallets=30, fills=300, amm_markets=10, **{"with_transfers": True} | options)


def truth_of(universe: Universe) -> Truth:
    return compute_truth(universe.transactions(), universe.events, universe.neg_risk_markets)


def case_of(universe: Universe) -> VectorCase:
    """The universe's logs up to now, through the file format of ``polyhouse replay``."""
    markets = [market for event in universe.events for market in event.markets]
    return parse_case({
        "conditions": [
            {
                "id": market.condition_id, "tokens": list(market.token_ids),
                "neg_risk_market": market.neg_risk_market_id or None, "question_index": market.question_index,
            }
            for market in markets
        ],
        "neg_risk_markets": [
            {"id": market, "question_count": count, "fee_bips": bips}
            for market, (count, bips) in universe.neg_risk_markets.items()
        ],
        "fpmms": [{"id": m.pool.address, "condition": m.condition_id} for m in markets if m.pool],
        "logs": [
            {"t": log.t, "tx": tx.tx, "li": log.li, "bn": tx.block, "ti": tx.tx_index, "ts": tx.ts, **log.fields}
            for tx in universe.transactions() for log in tx.logs
        ],
    })  # fmt: skip


def load(warehouse: Warehouse, universe: Universe) -> None:
    case = case_of(universe)
    lps = [lp_token(pool) for pool in case.registry.pools]
    events = {market.condition_id: event for event in universe.events for market in event.markets}
    tables = observations(case.transactions, case.registry, use_transfers=True).tables() | {
        "markets": {
            "condition": [c.condition for c in case.conditions],
            "source": ["gamma"] * len(case.conditions),
            "event_id": [events["0x" + c.condition.hex()].event_id for c in case.conditions],
            "neg_risk_market": [c.neg_risk_market for c in case.conditions],
            "question_index": [c.question_index if c.neg_risk_market else 65_535 for c in case.conditions],
        },
        "tokens": {
            "token": [token for c in case.conditions for token in c.tokens] + lps,
            "condition": [c.condition for c in case.conditions for _ in c.tokens] + lps,
            "outcome": [0, 1] * len(case.conditions) + [0] * len(lps),
            "source": ["gamma"] * (2 * len(case.conditions) + len(lps)),
        },
        "events": {
            "event_id": [event.event_id for event in universe.events],
            "category": [category_of([t for tag in event.tags for t in tag[1:]]) for event in universe.events],
        },
        "neg_risk_markets": {
            "market": [m.market for m in case.neg_risk_markets],
            "question_count": [m.question_count for m in case.neg_risk_markets],
            "fee_bips": [m.fee_bips for m in case.neg_risk_markets],
            "source": ["gamma"] * len(case.neg_risk_markets),
        },
    }
    for name, columns in tables.items():
        if next(iter(columns.values()), []):
            warehouse.write(name, columns, run=1, token="universe")


@pytest.mark.parametrize(("seed", "with_transfers"), [(1, True), (3, False)])
def test_the_rules_make_the_truth_of_the_logs(tmp_path: Path, seed: int, with_transfers: bool) -> None:
    universe = early(seed, with_transfers=with_transfers)
    truth = truth_of(universe)
    pools = {m.pool.lp_token for event in universe.events for m in event.markets if m.pool}
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        load(warehouse, universe)
        build(warehouse)
        result = compare(warehouse, truth, everyone=True)
        assert not result.differences, "\n".join(result.differences)
        assert result.equal == result.compared == len(truth.wallets) > 25
        assert [check for check in run_checks(warehouse) if not check.ok] == []
        provided = [p for (_, token), p in truth.positions.items() if token in pools]
        assert {p.status for p in provided} == {"OPEN", "CLOSED"}
        assert {p.unrealized is None for p in provided} == {True, False}, "LP shares have no mark"
        roles = dict(
            warehouse.query("SELECT exchange, count() FROM observations FINAL WHERE role = 'DIRECT' GROUP BY 1").rows
        )
        assert roles["FPMM"] > 100
        assert roles["EX1"] > 3


async def test_the_node_tells_the_same(tmp_path: Path) -> None:
    world = early(4)
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
        async with serve(world, node=NodeQuirks(noise_every=5)) as server:
            report = await sync(warehouse, state, server.rpc_urls)
        assert (report.status, report.errors) == ("ok", [])
        write_events(warehouse, world)
        build(warehouse)
        assert check_truth(warehouse, world.transactions(), world) > 25
        assert [c for c in [*run_checks(warehouse), *run_coverage_checks(warehouse)] if not c.ok] == []
        named = {m.pool.address for event in world.events for m in event.markets if m.pool}
        pools = warehouse.query("SELECT pool FROM chain_pools FINAL").rows
        assert {"0x" + bytes(pool).hex() for (pool,) in pools} == named
        shown = warehouse.query("SELECT count() FROM positions FINAL WHERE startsWith(token, toFixedString('', 12))")
        assert shown.rows[0][0] > 10


async def test_pools_that_appear_later_are_known_in_time(tmp_path: Path) -> None:
    """However the history was cut into runs, the pools of a block are known before its other logs are read."""
    tables = []
    for place, moments in enumerate(((0.3,), (0.02, 0.13, 0.3))):
        world = Universe(
            seed=5, wallets=10, fills=40, amm_markets=6, with_transfers=True, now_fraction=moments[0], span_days=40
        )
        folder = tmp_path / str(place)
        folder.mkdir()
        with open_warehouse(f"chdb://{folder}/warehouse") as warehouse, state_in(folder) as state:
            async with serve(world) as server:
                for moment in moments:
                    await server.advance(world.start + int((world.end - world.start) * moment) - world.now)
                    report = await sync(warehouse, state, server.rpc_urls)
                    assert (report.status, report.errors) == ("ok", [])
                    write_events(warehouse, world)
                    rebuild(warehouse, state, report)
            build(warehouse)
            check_truth(warehouse, world.transactions(), world)
            names = {name: RAW[name] for name in ("observations", "resolutions", "tokens", "chain_pools")}
            tables.append(dump(warehouse, names) | dump_models(warehouse))
    assert len(tables[0]["chain_pools"]) > 3
    for name, rows in tables[0].items():
        assert tables[1][name] == rows, name


async def test_a_pool_whose_blocks_are_abandoned_leaves_no_trace(tmp_path: Path) -> None:
    """An oracle that works for everybody prepared its condition before: only the pool had made that one ours."""
    world = Universe(seed=6, wallets=8, fills=20, amm_markets=3, with_transfers=True, span_days=20)
    pools = [(market, market.pool) for event in world.events for market in event.markets if market.pool]
    own = ids.format_address(contracts.NEG_RISK_UMA_ADAPTER)
    market, pool = next(pair for pair in pools if pair[1].oracle != own)
    world.now = pool.created_ts + 20
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse, state_in(tmp_path) as state:
        async with serve(world) as server:
            await sync(warehouse, state, server.rpc_urls)
        sql = "SELECT block FROM chain_pools FINAL WHERE lower(hex(pool)) = {p:String}"
        fork = warehouse.query(sql, {"p": pool.address[2:]}).rows[0][0]
        names = {name: RAW[name] for name in ("chain_pools", "tokens", "markets")}
        known = repr(dump(warehouse, names))
        remove_from(warehouse, state, 9, fork, world.now, "test")
        gone = repr(dump(warehouse, names))
        assert state.get_note(UNSETTLED_NOTE) == 0
    token = int(market.token_ids[0]).to_bytes(32, "big")
    for trace in (ids.parse_address(pool.address), ids.parse_condition(market.condition_id), token):
        assert repr(trace)[2:-1] in known
        assert repr(trace)[2:-1] not in gone


def test_a_file_of_pool_logs_brings_its_lp_shares_along(tmp_path: Path) -> None:
    """What pools did, as ``polyhouse import`` reads decoded logs: all rows mapped, and LP shares are the truth's."""
    universe = early(7)
    truth = truth_of(universe)
    markets = [m for event in universe.events for m in event.markets if m.pool]
    logs = [
        {"t": log.t, "tx": tx.tx, "li": log.li, "bn": tx.block, "ti": tx.tx_index, "ts": tx.ts, **log.fields}
        for tx in universe.transactions()
        for log in tx.logs
        if log.t.startswith("FPMM")
    ]
    document = {
        "conditions": [{"id": m.condition_id, "tokens": list(m.token_ids)} for m in markets],
        "fpmms": [{"id": m.pool.address, "condition": m.condition_id} for m in markets if m.pool],
        "logs": logs,
    }
    (tmp_path / "pools.json").write_text(json.dumps(document))
    tables, count, rejects = log_tables(tmp_path / "pools.json")
    assert (count, rejects) == (len(logs), [])
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        for name, columns in tables.items():
            warehouse.write(name, columns, run=1, token="file")
        build(warehouse)
        assert warehouse.query("SELECT count() FROM unmapped FINAL").rows == [(0,)]
        rows = warehouse.query(
            "SELECT wallet, condition, shares, cost, realized FROM positions FINAL"
            " WHERE startsWith(token, toFixedString('', 12))"
        ).rows
    units = {m.pool.lp_condition for m in markets if m.pool}
    assert {("0x" + bytes(wallet).hex(), "0x" + bytes(unit).hex(), *values) for wallet, unit, *values in rows} == {
        (wallet, p.condition, p.shares, p.cost, p.realized)
        for (wallet, _), p in truth.positions.items()
        if p.condition in units
    }
    assert len(rows) > 20
