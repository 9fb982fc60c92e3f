"""Every total of whole universes is the sum of its units, their positions and the steps of the ledger, to the micro."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from score_store import empty, load, universe_tables

from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.explain import explain
from polyhouse.reads.explain_numbers import DERIVED, POSITION, SUMS, UNIT, WALLET
from polyhouse.sim.universe import Universe

UNIVERSES = {
    "ordinary": Universe(seed=2, wallets=8, fills=300, now_fraction=0.7),
    "transfers": Universe(seed=5, wallets=8, fills=300, with_transfers=True, now_fraction=0.4),
    "pools": Universe(seed=3, wallets=8, fills=300, amm_markets=6),
}


@pytest.fixture(scope="module", params=list(UNIVERSES))
def built(request: pytest.FixtureRequest, shared: Warehouse) -> Warehouse:
    empty(shared)
    load(shared, universe_tables(UNIVERSES[request.param]))
    build(shared)
    return shared


def wallets(warehouse: Warehouse) -> list[str]:
    rows = warehouse.query("SELECT wallet FROM units FINAL GROUP BY wallet ORDER BY wallet").rows
    return [f"0x{bytes(wallet).hex()}" for (wallet,) in rows]


def all_rows(warehouse: Warehouse, address: str, name: str, size: int = 500, **where: Any) -> dict[str, Any]:
    """The explanation with the rows of all its pages."""
    first = page = explain(warehouse, address, name, limit=size, **where)
    rows = list(first["rows"])
    while page["next_offset"] is not None:
        assert len(page["rows"]) == size
        page = explain(warehouse, address, name, limit=size, offset=page["next_offset"], **where)
        rows += page["rows"]
        assert {k: page[k] for k in ("value", "sum", "count")} == {k: first[k] for k in ("value", "sum", "count")}
    return first | {"rows": rows}


def check(document: dict[str, Any]) -> None:
    """The contributions and terms, added up here, are the number."""
    assert len(document["rows"]) == document["count"]
    if document["value"] is None:
        assert document["name"] == "unrealized"
        assert document["adds_up"] is None
    elif document["rows_are"] and not document["inputs"]:
        parts = [*document["rows"], *({"contribution": term["value"]} for term in document["terms"])]
        total = sum((part["contribution"] for part in parts), Decimal(0))
        assert total == document["sum"] == document["value"], (document["name"], document["level"])
        assert document["adds_up"] is True


@pytest.mark.parametrize("window", ["lifetime", "90d"])
def test_every_total_of_every_wallet_adds_up_to_its_units(built: Warehouse, window: str) -> None:
    for address in wallets(built):
        for name, number in SUMS.items():
            if WALLET in number.levels:
                check(all_rows(built, address, name, window=window))


def test_every_number_goes_down_to_the_ledger(built: Warehouse) -> None:
    """Units to positions, positions to the steps of the fold."""
    kinds = set()
    for address in wallets(built)[::4]:
        for row in explain(built, address, "bought_cost")["rows"][:3]:
            for name, number in SUMS.items():
                if UNIT in number.levels:
                    check(all_rows(built, address, name, unit=row["unit"], window="90d"))
            for position in explain(built, address, "bought_cost", unit=row["unit"])["rows"][:2]:
                for name, number in SUMS.items():
                    if POSITION in number.levels:
                        document = all_rows(built, address, name, token=position["token_id"], window="90d")
                        check(document)
                        kinds |= {step["kind"] for step in document["rows"]}
    assert kinds >= {"BUY", "SELL"}


def test_derived_numbers_are_made_of_their_inputs(built: Warehouse) -> None:
    for address in wallets(built)[::4]:
        for name, number in DERIVED.items():
            document = explain(built, address, name)
            assert [one["name"] for one in document["inputs"]] == list(number.inputs)
            for one in document["inputs"]:
                further = dict(one["next"])
                assert explain(built, address, further.pop("name"), **further)["value"] == one["value"]
            if not number.is_ratio and document["value"] is not None:
                assert document["value"] == sum(one["value"] for one in document["inputs"])
