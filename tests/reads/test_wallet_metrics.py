"""Metrics and daily series as answers: by name, beside the wallet document, and with what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "scores"))


from polyhouse.errors import BadInputError
from polyhouse.metrics.catalogue import RELATIONS, computed
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import encode
from polyhouse.reads.queries import answer
from polyhouse.reads.wallet import UnknownWalletError
from polyhouse.state import StateStore, open_state
from polyhouse.warehouse import ClickHouseWarehouse

WALLET = "0x" + "a1" * 20


@pytest.fixture(scope="module")
def warehouse(winner_and_loser: ClickHouseWarehouse) -> Warehouse:
    return winner_and_loser


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateStore]:
    with open_state(f"sqlite:///{tmp_path_factory.mktemp('state')}/state.db") as opened:
        yield opened


def asked(warehouse: Warehouse, state: StateStore, name: str, **arguments: Any) -> dict[str, Any]:
    document = answer(name, {"address": WALLET} | arguments, warehouse, state)
    assert encode(document), "every answer can be printed"
    return document


def test_the_wallet_document_holds_every_category_and_window(warehouse: Warehouse, state: StateStore) -> None:
    rows = asked(warehouse, state, "wallet")["metrics"]
    assert [(row["category"], row["window"]) for row in rows] == [
        (category, window) for category in ("overall", "other") for window in ("30d", "90d", "180d", "lifetime")
    ]
    assert all(list(row["values"]) == [metric.name for metric in computed()] for row in rows)
    assert all(row["samples"].keys() == {relation.name for relation in RELATIONS} for row in rows)
    for row in rows:
        whole = asked(warehouse, state, "wallet_metrics", category=row["category"], window=row["window"])
        entries = {one["name"]: one for one in whole["metrics"]}
        for name, value in row["values"].items():
            assert (value, row["statuses"].get(name, "OK")) == (entries[name]["value"], entries[name]["status"])
            assert row["samples"]["bets"] == entries["omega_net"]["sample"] == 2


def test_the_daily_series_is_an_answer(warehouse: Warehouse, state: StateStore) -> None:
    document = asked(warehouse, state, "wallet_days", category="other", window="30d")
    assert [str(one["realized"]) for one in document["days"]] == ["-3"]
    assert str(document["bankroll"]) == "8"


def test_what_cannot_be_answered_is_an_error(warehouse: Warehouse, state: StateStore) -> None:
    for name in ("wallet_metrics", "wallet_days"):
        with pytest.raises(UnknownWalletError):
            asked(warehouse, state, name, address="0x" + "ee" * 20)
        for wrong in ({"address": "0x12"}, {"category": "football"}, {"window": "7d"}, {"sort": "omega"}):
            with pytest.raises(BadInputError):
                asked(warehouse, state, name, **wrong)
