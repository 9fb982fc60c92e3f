"""Sources, completeness and gaps of a wallet's history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.provenance import coverage_details, gaps, intersection, union
from polyhouse.warehouse import open_warehouse

WALLET, TOKEN, CONDITION = b"\x01" * 20, b"\x05" * 32, b"\x07" * 32
TS = 1_780_000_000


@pytest.fixture
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        tokens = [TOKEN, b"\x06" * 32]
        columns = {"token": tokens, "condition": [CONDITION] * 2, "outcome": [0, 1], "source": ["gamma"] * 2}
        opened.write("tokens", columns, run=1, token="tokens")
        yield opened


def _fill(source: str, number: int, ts: int) -> dict[str, list[object]]:
    return {
        "wallet": [WALLET], "token": [TOKEN], "condition": [CONDITION], "tx": [bytes([number]) * 32],
        "kind": ["BUY"], "source": [source], "ts": [ts], "shares": [100], "cash": [50], "usdc_gross": [50],
        "shares_gross": [100], "pos": [1], "block": [1_000 + number if source == "chain" else 0],
    }  # fmt: skip


def _blocks(warehouse: Warehouse, group: str, start: int, end: int) -> None:
    columns = {"source": ["chain"], "contract_group": [group], "from_block": [start], "to_block": [end]}
    warehouse.write("coverage", columns, run=1, token=f"{group}{start}")
    columns = {"block": [start, end], "hash": [b"\x01" * 32] * 2, "ts": [TS + start, TS + end]}
    warehouse.write("chain_blocks", columns, run=1, token=f"{group}{start}")


def test_sources_say_what_they_gave_and_what_of_it_counts(warehouse: Warehouse) -> None:
    for number, source in ((1, "chain"), (1, "trades"), (2, "trades"), (3, "dump")):
        warehouse.write("observations", _fill(source, number, TS + number), run=1, token=f"{number}{source}")
    build(warehouse)
    details = coverage_details(warehouse, WALLET)
    assert [(row["source"], row["rows"], row["used"]) for row in details["sources"]] == [
        ("chain", 1, 1),
        ("trades", 2, 1),
        ("dump", 1, 1),
    ]
    assert details["sources"][1]["from"] == "2026-05-28T20:26:41Z"
    assert (details["complete_from"], details["complete_to"]) == (None, None)
    assert [gap["reason"] for gap in details["gaps"]] == ["never_read_whole"]


def test_a_finished_walk_makes_a_history_complete_to_its_end(warehouse: Warehouse) -> None:
    for number, ts in ((1, TS), (2, TS + 500)):
        warehouse.write("observations", _fill("trades", number, ts), run=1, token=str(number))
    page = {
        "stream": ["data.activity"] * 2, "partition": [f"0x{WALLET.hex()}"] * 2, "digest": [b"\x01" * 32, b"\x02" * 32],
        "is_last": [True, False], "written_at": [TS + 100, TS + 900],
    }  # fmt: skip
    warehouse.write("sync_pages", page, run=1, token="pages")
    details = coverage_details(warehouse, WALLET)
    assert (details["complete_from"], details["complete_to"]) == ("2026-05-28T20:26:40Z", "2026-05-28T20:28:20Z")
    assert details["gaps"] == [
        {"from": "2026-05-28T20:28:21Z", "to": "2026-05-28T20:35:00Z", "reason": "after_the_last_read"}
    ]


def test_a_hole_of_one_group_of_contracts_is_a_gap(warehouse: Warehouse) -> None:
    warehouse.write("observations", _fill("chain", 1, TS + 20), run=1, token="a")
    _blocks(warehouse, "ctf", 10, 100)
    _blocks(warehouse, "exchange", 10, 40)
    _blocks(warehouse, "exchange", 61, 100)
    details = coverage_details(warehouse, WALLET)
    assert (details["complete_from"], details["complete_to"]) == ("2026-05-28T20:27:00Z", "2026-05-28T20:28:20Z")
    assert details["gaps"] == [{"from": "2026-05-28T20:27:21Z", "to": "2026-05-28T20:27:40Z", "reason": "not_read"}]


def test_intervals() -> None:
    assert union([(5, 9), (1, 2), (3, 4), (20, 30), (8, 12)]) == [(1, 12), (20, 30)]
    assert intersection([[(1, 12), (20, 30)], [(5, 25)], [(0, 100)]]) == [(5, 12), (20, 25)]
    assert intersection([]) == []
    assert gaps([(5, 12), (20, 25)], 2, 30) == [
        (2, 4, "before_the_first_read"),
        (13, 19, "not_read"),
        (26, 30, "after_the_last_read"),
    ]
    assert gaps([(0, 100)], 3, 40) == []
