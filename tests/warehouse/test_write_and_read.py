"""What is written is read once, newest first, whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from polyhouse.errors import BadInputError, PolyhouseError, WarehouseUnavailableError
from polyhouse.warehouse import store


def one(warehouse, sql, params=None):
    return warehouse.query(sql, params).rows[0][0]


def raw_rows(warehouse, table="observations"):
    return one(warehouse, f"SELECT count() FROM {table}")


def test_the_same_batch_written_twice_is_read_once(warehouse, fills):
    assert warehouse.write("observations", fills(), run=1, token="p") == 3
    assert warehouse.write("observations", fills(), run=1, token="p") == 3
    assert raw_rows(warehouse) == 3, "an immediate retry is recognised by its token"
    warehouse.write("observations", fills(), run=2, token="p")
    warehouse.write("observations", fills(), run=2, token="other")
    assert one(warehouse, "SELECT count() FROM observations_current") == 3


def test_a_token_does_not_drop_other_content(warehouse, fills):
    warehouse.write("observations", fills(), run=1, token="p")
    warehouse.write("observations", fills(outcome=[1, 1, 1]), run=1, token="p")
    rows = warehouse.query("SELECT DISTINCT outcome FROM observations_current").rows
    assert rows == [(1,)]


def test_a_state_that_comes_back_in_a_later_run_is_written(warehouse):
    def batch(shares):
        return {"wallet": [b"w" * 20], "token": [b"t" * 32], "shares": [shares]}

    for run, shares in ((1, 5), (2, 7), (3, 5)):
        warehouse.write("reported_positions", batch(shares), run=run, token="positions")
    assert warehouse.query("SELECT shares, run FROM reported_positions_current").rows == [(5, 3)]


def test_the_newer_version_wins_whatever_merged(warehouse, fills):
    warehouse.write("observations", fills(), run=1, token="a")
    warehouse.write("observations", fills(outcome=[0, 1, 0], flags=["late"] * 3), run=2, token="b")
    wanted = [(0, "late", 2), (1, "late", 2), (0, "late", 2)]
    sql = "SELECT outcome, flags, run FROM observations_current ORDER BY wallet"
    assert warehouse.query(sql).rows == wanted
    warehouse.command("OPTIMIZE TABLE observations FINAL")
    assert warehouse.query(sql).rows == wanted
    assert raw_rows(warehouse) == 3


def test_of_two_rows_with_one_key_in_a_batch_the_last_wins(warehouse, fills):
    batch = fills(1)
    doubled = {name: values * 2 for name, values in batch.items()} | {"pos": [1, 2]}
    warehouse.write("observations", doubled, run=1, token="a")
    assert warehouse.query("SELECT pos FROM observations_current").rows == [(2,)]


def test_column_order_and_defaults_do_not_change_the_key(warehouse, fills):
    batch = fills()
    warehouse.write("observations", batch, run=1, token="a")
    explicit = {"sub": [0] * 3, "label": [""] * 3, "ordinal": [0] * 3} | dict(reversed(batch.items()))
    warehouse.write("observations", explicit, run=1, token="b")
    assert raw_rows(warehouse) == 6
    assert one(warehouse, "SELECT count() FROM observations_current") == 3


def test_row_key_ignores_what_can_change_and_sees_what_cannot(warehouse, fills):
    warehouse.write("observations", fills(1), run=1, token="a")
    warehouse.write("observations", fills(1, outcome=[1], pos=[7], flags=["x"], condition=[b""]), run=1, token="b")
    assert one(warehouse, "SELECT count() FROM observations_current") == 1
    for number, change in enumerate(
        [{"kind": ["SELL"]}, {"shares": [1]}, {"cash": [2]}, {"price_e12": [3]}, {"ordinal": [1]}, {"label": ["YIELD"]}]
    ):
        warehouse.write("observations", fills(1, **change), run=1, token=str(number))
        assert one(warehouse, "SELECT count() FROM observations_current") == number + 2, change


def test_without_a_token_the_condition_is_part_of_the_key(warehouse, fills):
    for condition in (b"a" * 32, b"b" * 32, b"b" * 31):
        split = fills(1, token=[bytes(32)], kind=["SPLIT"], condition=[condition])
        warehouse.write("observations", split, run=1, token="s")
    assert one(warehouse, "SELECT count() FROM observations_current") == 3


def test_chain_rows_are_known_by_their_place(warehouse, fills):
    chain = {"source": ["chain"], "block": [5], "tx_index": [1], "pos": [9]}
    warehouse.write("observations", fills(1, **chain), run=1, token="a")
    warehouse.write("observations", fills(1, shares=[13], role=["MAKER"], **chain), run=1, token="b")
    warehouse.write("observations", fills(1, sub=[1], **chain), run=1, token="c")
    assert warehouse.query("SELECT sub, shares FROM observations_current ORDER BY sub").rows == [
        (0, 13),
        (1, 12_500_000),
    ]


def test_replay_after_200_other_inserts_changes_nothing(warehouse, fills):
    warehouse.write("observations", fills(), run=1, token="first")
    for number in range(200):
        warehouse.write("observations", fills(1, first=10 + number), run=1, token=str(number))
    warehouse.write("observations", fills(), run=1, token="first")
    assert one(warehouse, "SELECT count() FROM observations_current") == 203
    assert one(warehouse, "SELECT sum(shares) FROM observations_current") == 203 * 12_500_000


def test_one_write_is_one_part_and_large_ones_are_split(warehouse, fills, monkeypatch):
    warehouse.command("SYSTEM STOP MERGES")
    warehouse.write("observations", fills(500), run=1, token="a")
    parts = "SELECT rows FROM system.parts WHERE active AND table = 'observations' ORDER BY name"
    assert warehouse.query(parts).rows == [(500,)]
    monkeypatch.setattr(store, "MAX_BLOCK_ROWS", 200)
    for _ in range(2):
        assert warehouse.write("observations", fills(500, first=500), run=1, token="b") == 500
    assert warehouse.query(parts).rows == [(500,), (200,), (200,), (100,)]


def test_an_empty_batch_writes_nothing(warehouse):
    assert warehouse.write("tokens", {"token": []}, run=1, token="a") == 0
    assert raw_rows(warehouse, "tokens") == 0


def test_every_type_comes_back_as_it_went(warehouse):
    market = {
        "condition": [b"\x00\xff" * 16], "source": ["gamma"], "market_id": [2**64 - 1], "question_id": [b"\xfe" * 31],
        "question": ["Łódź 🎲 'q' \\ \t"], "outcomes": [["Yes", "Nö"]], "tokens": [[b"\xf0" * 32, bytes(32)]],
        "neg_risk": [True], "tags": [[]], "start_ts": [2**32 - 1], "prices_e6": [[1, -1]],
    }  # fmt: skip
    warehouse.write("markets", market, run=1, token="m")
    names = [*market, "question_index", "fee_rate_e6", "closed", "end_ts"]
    row = warehouse.query(f"SELECT {', '.join(names)} FROM markets_current").rows[0]
    assert row == (*(values[0] for values in market.values()), 65535, -1, False, 0)


def test_ids_are_bound_as_bytes(warehouse, fills):
    wallet = b"\x00'\\\t\n\xff" + bytes(14)
    warehouse.write("observations", fills(1, wallet=[wallet]), run=1, token="a")
    sql = "SELECT wallet, condition, kind, ts FROM observations_current WHERE wallet = {w:FixedString(20)}"
    assert warehouse.query(sql, {"w": wallet}).rows == [(wallet, b"\xff" * 32, "BUY", 1_700_000_000)]
    many = "SELECT count() FROM observations_current WHERE wallet IN {w:Array(FixedString(20))}"
    assert one(warehouse, many, {"w": [wallet, bytes(20)]}) == 1


def test_large_results_stream_in_bounded_batches(warehouse, fills):
    warehouse.write("observations", fills(3), run=1, token="a")
    sql = "SELECT number AS n FROM numbers(300000) WHERE n >= {least:UInt64}"
    batches = list(warehouse.query_columns(sql, {"least": 1000}))
    assert len(batches) > 2
    assert max(batch.num_rows for batch in batches) <= 65_536
    assert sum(sum(batch.column("n").to_pylist()) for batch in batches) == sum(range(1000, 300_000))
    table = next(warehouse.query_columns("SELECT wallet, condition, ts FROM observations_current ORDER BY wallet"))
    assert table.column("wallet").to_pylist() == fills(3)["wallet"]
    assert table.column("condition").to_pylist() == [b"\xff" * 32] * 3


def test_a_stream_can_be_left_and_the_store_used_meanwhile(warehouse, fills):
    stream = warehouse.query_columns("SELECT number FROM numbers(10000000)")
    next(stream)
    warehouse.write("observations", fills(), run=1, token="a")
    assert raw_rows(warehouse) == 3
    stream.close()
    assert list(warehouse.query_columns("SELECT number FROM numbers(0)")) == []


def test_errors_of_a_stream_are_errors(warehouse):
    with pytest.raises(PolyhouseError, match="nowhere"):
        list(warehouse.query_columns("SELECT * FROM nowhere"))
    with pytest.raises(PolyhouseError, match="boom"):
        list(warehouse.query_columns("SELECT throwIf(number = 200000, 'boom') FROM numbers(300000)"))


def test_model_tables_take_arrow(warehouse):
    import pyarrow as pa

    table = pa.table({
        "wallet": pa.array([b"w" * 20], pa.binary(20)),
        "coverage": ["rest"],
        "provisional": [["transfers"]],
        "version": pa.array([1], pa.uint64()),
    })  # fmt: skip
    warehouse.insert_arrow("wallet_coverage", table)
    warehouse.insert_arrow("wallet_coverage", table.to_batches()[0])
    rows = warehouse.query("SELECT wallet, coverage, provisional FROM wallet_coverage FINAL").rows
    assert rows == [(b"w" * 20, "rest", ["transfers"])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nonsense": [1, 2, 3]}, "no column nonsense"),
        ({"version": [1, 2, 3]}, "version"),
        ({"run": [1, 2, 1]}, "run"),
        ({"cash": [1, 2]}, "different lengths"),
        ({"wallet": [b"w" * 20, b"w" * 19, b"w" * 20]}, "observations.wallet, row 1"),
        ({"wallet": [b"w" * 20, "w" * 20, b"w" * 20]}, "observations.wallet, row 1"),
        ({"condition": [b"", b"c" * 31, b"c" * 33]}, "observations.condition, row 2"),
        ({"cash": [1, 2, 3.0]}, "observations.cash, row 2"),
        ({"cash": [True, 2, 3]}, "observations.cash, row 0"),
        ({"cash": [1, None, 3]}, "observations.cash, row 1"),
        ({"cash": [1, 2**63, 3]}, "observations.cash, row 1"),
        ({"ts": [1, 2, -1]}, "observations.ts, row 2"),
        ({"tx_index": [1, 2, 65_536]}, "observations.tx_index, row 2"),
        ({"kind": ["BUY", "BUY", "GIFT"]}, "observations.kind, row 2"),
        ({"label": ["", "\ud800", ""]}, "observations.label, row 1"),
        ({"amounts": [[1], [], [-1]]}, "observations.amounts, row 2"),
        ({"amounts": [[1], [2.5], [1]]}, "observations.amounts, row 1"),
    ],
)
def test_a_bad_batch_names_table_column_and_row_and_writes_nothing(warehouse, fills, change, message):
    with pytest.raises(BadInputError, match=message):
        warehouse.write("observations", fills() | change, run=1, token="a")
    assert raw_rows(warehouse) == 0


def test_an_unknown_table_is_refused(warehouse):
    with pytest.raises(BadInputError, match="nowhere"):
        warehouse.write("nowhere", {"a": [1]}, run=1, token="a")


def test_threads_write_and_read_at_once(warehouse, fills):
    def work(number):
        warehouse.write("observations", fills(10, first=number * 10), run=1, token=str(number))
        return one(warehouse, "SELECT count() FROM observations_current")

    with ThreadPoolExecutor(12) as pool:
        counts = list(pool.map(work, range(24)))
    assert max(counts) == one(warehouse, "SELECT count() FROM observations_current") == 240


def test_failed_statements_are_errors(warehouse):
    with pytest.raises(PolyhouseError, match="nowhere") as caught:
        warehouse.query("SELECT * FROM nowhere")
    assert "version" not in str(caught.value)
    assert caught.value.exit_code == 70
    with pytest.raises(PolyhouseError):
        warehouse.command("CREATE TABLE broken")
    with pytest.raises(WarehouseUnavailableError, match="Timeout exceeded"):
        warehouse.query("SELECT count() FROM numbers(10000000000) SETTINGS max_execution_time = 0.1")


def test_a_row_is_judged_by_its_newest_version_alone(warehouse):
    """Whose rows are asked for is decided before versions are put in order, what they say afterwards."""
    warehouse.command("SYSTEM STOP MERGES positions")
    for version, shares in ((1, "number"), (2, "99 - number")):
        warehouse.command(
            "INSERT INTO positions (wallet, token, shares, version, is_deleted) SELECT"
            f" toFixedString(SHA1(toString(intDiv(number, 10))), 20), toFixedString(toString(number), 32), {shares},"
            f" {version}, {version} = 2 AND number % 7 = 0 FROM numbers(100)"
        )
    asked = "FROM positions FINAL WHERE wallet IN (SELECT toFixedString(SHA1('3'), 20)) AND shares > 65"
    found = warehouse.query(f"SELECT shares {asked} ORDER BY shares").rows
    assert found == [(99 - number,) for number in range(33, 29, -1)]
    plan = [row[0] for row in warehouse.query(f"EXPLAIN actions = 1 SELECT shares {asked}").rows]
    (first,) = [line for line in plan if "Prewhere filter column" in line]
    assert "wallet" in first
    assert "shares" not in first
