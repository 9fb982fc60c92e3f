"""What counts as inserted, updated and unchanged."""

from __future__ import annotations

from polyhouse.errors import WarehouseUnavailableError
from polyhouse.ports import Comparison, Page
from polyhouse.sync.census import Census
from polyhouse.sync.manifest import Delivery

WALLET = b"\x01" * 20


def fills(numbers: range, wallet: bytes = WALLET, **changed: int) -> dict[str, list]:
    size = len(numbers)
    columns = {
        "wallet": [wallet] * size, "token": [b"\x02" * 32] * size, "tx": [b"\x03" * 32] * size,
        "source": ["activity"] * size, "kind": ["BUY"] * size, "ts": [1_800_000_000 + n for n in numbers],
        "shares": [n * 1_000_000 for n in numbers], "cash": [n * 500_000 for n in numbers],
    }  # fmt: skip
    return columns | {name: [value] * size for name, value in changed.items()}


def page(tables: dict[str, dict[str, list]], *, first: bool, **notes: int) -> Delivery:
    fetched = sum(len(next(iter(columns.values()))) for columns in tables.values())
    answer = Page(tables, {}, fetched=fetched, is_last=True, notes=notes)
    return Delivery("data.activity", "w", {}, answer, 1, is_first_read=first)


async def test_a_batch_is_held_against_what_is_stored_by_key_and_content(lab):
    async with lab.session() as s:
        compare, write = s.warehouse.compare, s.warehouse.write
        assert compare("observations", fills(range(10))) == Comparison(inserted=10)
        write("observations", fills(range(10)), run=1, token="a")
        assert compare("observations", fills(range(5, 15))) == Comparison(inserted=5, unchanged=5)
        # the outcome is no part of the identity: a late label makes the row another one
        assert compare("observations", fills(range(8, 12), outcome=1)) == Comparison(inserted=2, updated=2)
        write("observations", fills(range(10), outcome=1), run=2, token="b")
        assert compare("observations", fills(range(10), outcome=1)) == Comparison(unchanged=10)
        assert compare("observations", fills(range(10))) == Comparison(updated=10)
        twice = {name: values * 2 for name, values in fills(range(20, 23)).items()}
        assert compare("observations", twice) == Comparison(inserted=3)
        held = {"token": [b"\x02" * 32], "wallet": [WALLET], "shares": [5], "outcome": [0], "seen_at": [10]}
        write("reported_holders", held, run=1, token="c")
        assert compare("reported_holders", held | {"seen_at": [99]}) == Comparison(unchanged=1)  # when is no content
        assert compare("reported_holders", held | {"shares": [6]}) == Comparison(updated=1)
        assert s.value("SELECT count() FROM observations_current") == 10  # comparing writes nothing


async def test_first_readings_are_new_unless_the_wallet_was_read_by_another_run(lab):
    async with lab.session() as s:
        census = Census(s.warehouse, 7)
        counts = census.measure([page({"observations": fills(range(10))}, first=True)])
        assert (counts["ledger_inserted"], counts["rows_inserted"], counts["trades_fetched"]) == (10, 10, 10)
        s.warehouse.write("observations", fills(range(10)), run=7, token="a")
        # the same run reads on: still its first reading of the wallet
        counts = census.measure([page({"observations": fills(range(10, 15))}, first=True)])
        assert (counts["ledger_inserted"], counts["ledger_unchanged"]) == (5, 0)
        # another run that begins anew (`reset`, a lost state store) finds the rows
        counts = Census(s.warehouse, 8).measure([page({"observations": fills(range(12))}, first=True)])
        assert (counts["ledger_inserted"], counts["ledger_unchanged"]) == (2, 10)


async def test_rows_that_a_source_found_repeated_are_unchanged(lab):
    async with lab.session() as s:
        counts = Census(s.warehouse, 1).measure([page({}, first=False, repeated_rows=4)])
        assert (counts["rows_unchanged"], counts["ledger_unchanged"], counts["rows_inserted"]) == (4, 4, 0)


async def test_what_cannot_be_counted_is_said_and_stops_nothing():
    class Gone:
        def query(self, *_: object) -> None:
            raise WarehouseUnavailableError("gone")

    counts = Census(Gone(), 1).measure([page({"observations": fills(range(3))}, first=True)])
    assert counts == {"batches_uncounted": 1}
