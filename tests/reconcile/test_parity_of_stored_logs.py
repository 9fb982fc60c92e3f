"""``reconcile --parity``: stored logs folded by the pnl-subgraph's rules, against its ``userPositions``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from polyhouse.cli.app import run_command_line
from polyhouse.domain.ids import format_address
from polyhouse.ledger.parity import SubgraphPosition, subgraph_positions
from polyhouse.ledger.vector_logs import VectorCase
from polyhouse.sim.universe import Universe
from polyhouse.sync import stored_logs
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse

sys.path.append(str(Path(__file__).parents[1] / "chain_sync"))
sys.path.append(str(Path(__file__).parents[1] / "unification"))
from chain_world import serve, state_in, sync
from unification_roads import case_of

SEEN = 1_790_000_000
Pair = tuple[bytes, bytes]
Parity = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def universe() -> Universe:
    return Universe(seed=3, wallets=20, fills=500, with_transfers=True)


@pytest.fixture(scope="module")
def theirs(universe: Universe) -> dict[Pair, SubgraphPosition]:
    """What the subgraph holds of people, from the universe's own logs and not from those of the node."""
    case: VectorCase = case_of(universe)
    found = subgraph_positions((log for logs in case.transactions for log in logs), case.registry)
    return {pair: position for pair, position in found.items() if not case.registry.is_infra(pair[0])}


@pytest.fixture(scope="module")
async def home(universe: Universe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    async with serve(universe) as server:
        with open_warehouse(f"chdb://{folder}/warehouse") as warehouse, state_in(folder) as state:
            report = await sync(warehouse, state, server.rpc_urls)
            assert report.status == "ok", report.errors
    return folder


@pytest.fixture
def published(home: Path, theirs: dict[Pair, SubgraphPosition]) -> Iterator[ClickHouseWarehouse]:
    """The store, with every position of the subgraph imported. To be closed before a command runs."""
    columns: dict[str, list[Any]] = {
        "wallet": [user for user, _ in theirs], "token": [token for _, token in theirs],
        "token_id": [str(int.from_bytes(token, "big")) for _, token in theirs],
        "amount": [one.amount for one in theirs.values()], "realized": [one.realized_pnl for one in theirs.values()],
        "avg_price_e6": [one.avg_price for one in theirs.values()], "seen_at": [SEEN] * len(theirs),
        "bought": [one.total_bought for one in theirs.values()],
    }  # fmt: skip
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        warehouse.command("TRUNCATE TABLE published_positions")
        warehouse.write("published_positions", columns, run=1, token="published")
        yield warehouse


@pytest.fixture
def parity(home: Path, capsys: pytest.CaptureFixture[str]) -> Parity:
    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = run_command_line(["reconcile", "--parity", *arguments, "--json", "--home", str(home)])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_every_position_of_everybody_is_the_subgraphs_to_the_micro(
    published: ClickHouseWarehouse,
    parity: Parity,
    theirs: dict[Pair, SubgraphPosition],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published.close()
    monkeypatch.setattr(stored_logs.stored_logs, "__kwdefaults__", {"where": "1", "params": None, "size": 41})
    assert len(theirs) > 50
    assert sum(one.realized_pnl != 0 for one in theirs.values()) > 10
    code, document = parity()
    assert (code, document["kind"], document["rows"]) == (0, "parity_realized", [])
    assert (document["compared"], document["causes"]) == (len(theirs), {"equal": len(theirs)})
    assert set(document["positions"]) == {"parity_amount", "parity_avg_price", "parity_bought", "parity_realized"}
    # Named wallets read only their own logs, and come to the same.
    users = sorted({user for user, _ in theirs})[:3]
    code, document = parity(*map(format_address, users))
    assert (document["causes"], document["rows"]) == ({"equal": sum(pair[0] in users for pair in theirs)}, [])


def test_positions_that_differ_are_named_with_their_cause(
    published: ClickHouseWarehouse, parity: Parity, theirs: dict[Pair, SubgraphPosition]
) -> None:
    pairs = sorted(pair for pair, one in theirs.items() if one.total_bought > 0)
    wrong, old, absent = pairs[0], pairs[5], pairs[9]
    for (user, token), change in (
        (wrong, "realized + 7 AS realized"), (old, "amount + 1 AS amount, toDateTime(1700000000, 'UTC') AS seen_at")
    ):  # fmt: skip
        published.command(
            f"INSERT INTO published_positions SELECT * REPLACE ({change}, version + 1 AS version) FROM"
            f" (SELECT * FROM published_positions FINAL WHERE wallet = unhex('{user.hex()}')"
            f" AND token = unhex('{token.hex()}'))"
        )
    user, token = absent
    published.command(
        f"DELETE FROM published_positions WHERE wallet = unhex('{user.hex()}') AND token = unhex('{token.hex()}')"
    )
    never: dict[str, list[Any]] = {
        "wallet": [wrong[0]],
        "token": [b"\x07" * 32],
        "token_id": ["7"],
        "realized": [5],
        "seen_at": [SEEN],
    }
    published.write("published_positions", never, run=2, token="never")
    published.close()
    code, document = parity()
    assert code == 0
    found = {(row["wallet"], row["detail"], row["kind"]): row for row in document["rows"]}

    def cause(pair: Pair, kind: str, name: str = "") -> str:
        key = (format_address(pair[0]), name or str(int.from_bytes(pair[1], "big")), kind)
        return str(found.pop(key)["cause"])

    assert cause(wrong, "parity_realized") == "unknown"
    assert cause(old, "parity_amount") == "stale"
    assert cause((wrong[0], b""), "parity_realized", "7") == "missing_history"
    assert {row["cause"] for row in found.values()} == {"missing_history"}
    assert {(row["wallet"], row["detail"]) for row in found.values()} == {
        (format_address(absent[0]), str(int.from_bytes(absent[1], "big")))
    }


def test_a_history_that_begins_late_says_so(
    published: ClickHouseWarehouse, parity: Parity, theirs: dict[Pair, SubgraphPosition]
) -> None:
    kept = {}
    for table in ("coverage", "chain_logs"):
        kept[table] = published.query(f"SELECT count() FROM {table}").rows
        published.command(f"CREATE TABLE kept_{table} AS {table}")
        published.command(f"INSERT INTO kept_{table} SELECT * FROM {table}")
    ((middle,),) = published.query("SELECT median(block) FROM chain_logs WHERE event = 'OrderFilled'").rows
    published.command(f"DELETE FROM chain_logs WHERE block < {int(middle)} AND status = 'ledger'")
    published.command(
        f"INSERT INTO coverage SELECT * REPLACE ({int(middle)} AS from_block) FROM kept_coverage"
        f" WHERE from_block < {int(middle)} AND contract_group = 'ledger'"
    )
    published.command(f"DELETE FROM coverage WHERE from_block < {int(middle)} AND contract_group = 'ledger'")
    published.close()
    code, document = parity()
    assert code == 0
    assert {row["cause"] for row in document["rows"]} == {"missing_history"}
    assert document["causes"]["missing_history"] > 10
