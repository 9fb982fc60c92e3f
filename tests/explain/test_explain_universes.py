"""Every total of whole universes is the sum of its units, their positions and the steps of the ledger, to the micro."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from score_store import empty, load, universe_tables

from polyhouse.errors import BadInputError
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.explain import explain
from polyhouse.reads.explain_numbers import DERIVED, POSITION, SUMS, UNIT, WALLET
from polyhouse.reads.explain_scope import Scope
from polyhouse.reads.explain_steps import position_steps
from polyhouse.sim.universe import Universe

pytestmark = pytest.mark.usefixtures("accounts_only")

UNIVERSES = {
    "transfers": Universe(seed=2, wallets=4, fills=250, with_transfers=True, now_fraction=0.7),
    "pools": Universe(seed=3, wallets=4, fills=200, amm_markets=6),
}
COLUMNS = {"redeemed_cash": "redeemed_cash", "fees": "fees"}
"""Numbers of positions that their ledger rows tell, with the column that holds them."""


@pytest.fixture(scope="module", params=list(UNIVERSES))
def built(request: pytest.FixtureRequest, shared: Warehouse) -> Warehouse:
    empty(shared)
    load(shared, universe_tables(UNIVERSES[request.param]))
    build(shared)
    return shared


def wallets(warehouse: Warehouse) -> list[str]:
    rows = warehouse.query("SELECT wallet FROM units FINAL GROUP BY wallet ORDER BY count() DESC, wallet").rows
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


@pytest.mark.parametrize(("window", "most"), [("lifetime", 4), ("90d", 1)])
def test_every_total_adds_up_to_its_units(built: Warehouse, window: str, most: int) -> None:
    for address in wallets(built)[:most]:
        for name, number in SUMS.items():
            if WALLET in number.levels:
                check(all_rows(built, address, name, window=window))


def test_every_position_is_the_sum_of_its_steps(built: Warehouse) -> None:
    """All numbers of all positions, from the fold of their ledger rows; and each step begins where one ended."""
    columns = {name: COLUMNS.get(name, number.position.removeprefix("p.")) for name, number in SUMS.items()
               if POSITION in number.levels and name not in {"unrealized", "volume", "trades"}}  # fmt: skip
    kinds = set()
    rows = built.query(f"SELECT wallet, token, {', '.join(columns.values())} FROM positions FINAL").rows
    for wallet, token, *stored in rows:
        scope = Scope(bytes(wallet), token=bytes(token))
        steps = position_steps(built, SUMS["fees"], scope)
        for (name, column), value in zip(columns.items(), stored, strict=True):
            if name != "redeemed_cash":
                assert sum(steps.parts(SUMS[name], -1)) == value, (name, column)
        for before, after in zip(steps.changes, steps.changes[1:], strict=False):
            assert before.after == after.before
        kinds |= {"RESOLUTION" if change.row is None else change.row.kind for change in steps.changes}
    assert len(kinds) >= 4


def test_units_and_positions_are_explained_down_to_transactions(built: Warehouse) -> None:
    address = wallets(built)[0]
    (unit, *_) = explain(built, address, "bought_cost")["rows"]
    for name in ("realized", "unrealized", "volume", "markets", "gains", "wins"):
        assert UNIT in SUMS[name].levels
        check(all_rows(built, address, name, unit=unit["unit"], window="90d"))
    (position, *_) = explain(built, address, "bought_cost", unit=unit["unit"])["rows"]
    for name in ("realized", "unrealized", "fees"):
        document = all_rows(built, address, name, 8, token=position["token_id"], window="90d")
        check(document)
        for step in document["rows"]:
            assert step["block"] > 0
            assert len(step["tx_hash"]) == 66 or step["kind"] == "RESOLUTION"


def test_derived_numbers_are_made_of_their_inputs(built: Warehouse) -> None:
    address = wallets(built)[0]
    for name, number in list(DERIVED.items())[::2]:
        document = explain(built, address, name)
        assert [one["name"] for one in document["inputs"]] == list(number.inputs)
        for one in document["inputs"]:
            further = dict(one["next"])
            assert explain(built, address, further.pop("name"), **further)["value"] == one["value"]
        if not number.is_ratio and document["value"] is not None:
            assert document["value"] == sum(one["value"] for one in document["inputs"])


def test_what_cannot_be_explained_is_refused(built: Warehouse) -> None:
    address = wallets(built)[0]
    for arguments, words in (
        ({"name": "profit"}, "no number 'profit'"),
        ({"name": "realized", "window": "1y"}, "unknown window"),
        ({"name": "realized", "category": "cats"}, "unknown category"),
        ({"name": "realized", "unit": "0x" + "ab" * 32}, "no such one among its units"),
        ({"name": "realized", "token": "7"}, "no such one among its positions"),
        ({"name": "realized", "token": "7", "unit": "0x" + "ab" * 32}, "either a unit or a token"),
        ({"name": "realized", "limit": 0}, "limit 0 is out of range"),
        ({"name": "realized", "offset": -1}, "offset -1 is out of range"),
    ):
        with pytest.raises(BadInputError, match=words):
            explain(built, address, **arguments)
    with pytest.raises(BadInputError, match="no numbers of wallet"):
        explain(built, "0x" + "fe" * 20, "realized")
