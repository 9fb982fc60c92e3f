"""Rows of the ledger are folded in its order, whether or not their times and places tell them apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polyhouse.ledger.columns import ROW
from polyhouse.ledger.fold import Kind
from polyhouse.models import pairs
from polyhouse.models.build import Build
from polyhouse.models.token_facts import load_tokens
from polyhouse.warehouse import open_warehouse
from polyhouse.warehouse.store import ClickHouseWarehouse

ID = "toFixedString('{}', {})"


@pytest.fixture
def store(tmp_path) -> Iterator[ClickHouseWarehouse]:
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as opened:
        opened.command("SYSTEM STOP MERGES ledger")
        yield opened


def add(store: ClickHouseWarehouse, wallet: str, kind: str, ts: int, *, pos: int, cls: int, tx: str) -> None:
    """One fill of a share in a part of its own."""
    sign = 1 if kind == "BUY" else -1
    store.command(
        "INSERT INTO ledger (wallet, token, ts, pos, cls, tx, kind, source, ds, du, version) VALUES"
        f" ({ID.format(wallet, 20)}, {ID.format('t', 32)}, {ts}, {pos}, {cls}, {ID.format(tx, 32)}, '{kind}',"
        f" 'dump', {sign * 1_000_000}, {-sign * 500_000}, 1)"
    )


def folded(store: ClickHouseWarehouse, run: Build, monkeypatch) -> tuple[list[str], list[str]]:
    """Kinds of the rows in the order in which they were folded, and the orders that the engine was asked for."""
    asked, real = [], store.query_columns

    def query_columns(sql, *args, **options):
        asked.append(sql.partition(" ORDER BY ")[2].partition(" SETTINGS")[0])
        return real(sql, *args, **options)

    tokens = load_tokens(store, "token_map")
    with monkeypatch.context() as patch:
        patch.setattr(store, "query_columns", query_columns)
        found = pairs.fold_slice(run, "1", tokens)
    assert found.folded.state[:, 0].tolist() == [0] * len(found.places), "all was bought before it was sold"
    return [Kind(kind).name for kind in found.columns.rows[:, ROW.index("kind")].tolist()], asked


def test_rows_of_one_moment_are_read_with_all_of_their_key(store, monkeypatch) -> None:
    add(store, "a", "SELL", 5, pos=0, cls=2, tx="y")
    add(store, "a", "BUY", 5, pos=0, cls=1, tx="z")
    add(store, "b", "SELL", 5, pos=0, cls=1, tx="y")
    add(store, "b", "BUY", 5, pos=0, cls=1, tx="x")
    run = Build(store, None)
    assert folded(store, run, monkeypatch) == (["BUY", "SELL"] * 2, [pairs._MOMENT, pairs._ORDER])
    assert folded(store, run, monkeypatch) == (["BUY", "SELL"] * 2, [pairs._ORDER]), "the next slice at once"


def test_rows_that_times_and_places_tell_apart_are_read_without_it(store, monkeypatch) -> None:
    add(store, "a", "SELL", 5, pos=2, cls=1, tx="y")
    add(store, "a", "BUY", 5, pos=1, cls=2, tx="z")
    add(store, "b", "SELL", 6, pos=2, cls=1, tx="y")
    add(store, "b", "BUY", 5, pos=2, cls=1, tx="y")
    assert folded(store, Build(store, None), monkeypatch) == (["BUY", "SELL"] * 2, [pairs._MOMENT])


def test_an_empty_ledger_has_no_ties(store, monkeypatch) -> None:
    assert folded(store, Build(store, None), monkeypatch) == ([], [pairs._MOMENT])
