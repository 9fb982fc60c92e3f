"""Metrics that are kept side by side once more: what a wallet's document reads there is what the columns say."""

from __future__ import annotations

import math
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "scores"))


from polyhouse.domain.ids import parse_address
from polyhouse.metrics.catalogue import computed
from polyhouse.models.metric_tables import METRIC_TABLES, prepare_metric_tables
from polyhouse.models.packed_metrics import number_names, part_names, unpacked, word_names
from polyhouse.models.runner import build
from polyhouse.models.wallet_documents import FACTS, SMALL
from polyhouse.reads.exact import shortest
from polyhouse.reads.flags import Levels, flagged, flags
from polyhouse.reads.parts import read_parts
from polyhouse.reads.wallet import wallet
from polyhouse.warehouse import ClickHouseWarehouse

WALLET = "0x" + "a1" * 20


@pytest.fixture(scope="module")
def warehouse(winner_and_loser: ClickHouseWarehouse) -> ClickHouseWarehouse:
    return winner_and_loser


def shown(warehouse: ClickHouseWarehouse) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = wallet(warehouse, WALLET, sync=None)["metrics"]
    return found


def test_every_column_of_the_catalogue_is_packed_once() -> None:
    assert {*number_names(), *word_names()} >= {metric.name for metric in computed()}
    assert len({*number_names(), *word_names()}) == len(number_names()) + len(word_names())


def contents(warehouse: ClickHouseWarehouse) -> dict[str, bytes]:
    sql = "SELECT toString(part), part_bytes FROM wallet_documents FINAL WHERE wallet = unhex({w:String})"
    return dict(warehouse.query(sql, {"w": WALLET[2:]}).rows)


def test_the_packed_values_are_those_of_the_columns(warehouse: ClickHouseWarehouse) -> None:
    names = (*number_names(), *word_names())
    found = unpacked(contents(warehouse))
    assert found is not None
    wide = {}
    for table, category in (("wallet_metrics_complete", "'overall'"), ("wallet_metrics_by_category", "category")):
        sql = f"SELECT toString({category}), toString(window), {', '.join(names)} FROM {table} FINAL"
        rows = warehouse.query(f"{sql} WHERE wallet = unhex({{w:String}})", {"w": WALLET[2:]}).rows
        wide |= {row[:2]: list(row[2:]) for row in rows}
    assert {(row["category"], row["window"]): [row[name] for name in names] for row in found} == wide
    assert len(wide) == 8
    assert any(value is not None for value in wide["overall", "lifetime"])


def test_metrics_that_were_packed_in_another_order_are_read_from_the_columns(warehouse: ClickHouseWarehouse) -> None:
    known = shown(warehouse)
    assert len(known) == 8
    for word, is_gone in ((part_names()[0], 1), ("metrics of old", 0)):
        warehouse.command(
            f"INSERT INTO wallet_documents SELECT wallet, '{word}', 'x', version + 1, {is_gone} FROM wallet_documents"
            f" FINAL WHERE part = '{FACTS}'"
        )
    assert unpacked(contents(warehouse)) is None
    assert shown(warehouse) == known
    build(warehouse, [parse_address(WALLET)])
    assert sorted(contents(warehouse)) == [FACTS, *sorted(part_names()), "positions", "totals", "units"]
    assert shown(warehouse) == known


def test_a_number_that_is_none_is_not_taken_for_a_missing_one(warehouse: ClickHouseWarehouse) -> None:
    found = contents(warehouse)
    numbers = bytearray(found[part_names()[0]])
    numbers[32:40] = struct.pack("<d", float("nan"))
    rows = unpacked(found | {part_names()[0]: bytes(numbers)})
    assert rows is not None
    assert math.isnan(rows[0][number_names()[0]])


def test_a_metric_that_is_gone_leaves_the_tables(warehouse: ClickHouseWarehouse) -> None:
    table = METRIC_TABLES[0]
    warehouse.command(f"ALTER TABLE {table} ADD COLUMN of_yesterday Nullable(Float64)")
    prepare_metric_tables(warehouse)
    stored = warehouse.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String}", {"t": table}
    ).rows
    assert ("of_yesterday",) not in stored
    assert len(shown(warehouse)) == 8


def test_flags_are_decided_as_in_the_view(warehouse: ClickHouseWarehouse) -> None:
    levels = [("skilled", 0.01, 0.03), ("skilled", 0.2, 0.4), ("lucky", 0.3, 0.04), ("lucky", 0.6, 0.7)]
    values = ", ".join(f"('{flag}', {upto}, {q}, 2)" for flag, upto, q in levels)
    warehouse.command(f"INSERT INTO flag_levels VALUES {values}")
    given = [("skilled", 0.01), ("lucky", 0.31), ("skilled", 0.011), ("lucky", 0.3), ("bot", None), ("insider", None)]
    for number, (flag, p_value) in enumerate(given):
        for meets in (True, False):
            name = bytes([0xB0 + number]) * 19 + bytes([meets])
            warehouse.command(
                "INSERT INTO wallet_flags (wallet, flag, status, meets, value, threshold, p_value, sample, version)"
                f" VALUES (unhex('{name.hex()}'), '{flag}', 'OK', {meets}, 0.5, 0.25, {p_value or 'NULL'}, 60, 1)"
            )
    stored = warehouse.query("SELECT wallet, toString(flag), is_flagged, q_value FROM wallet_flags_current").rows
    steps = Levels(warehouse)
    assert len(stored) >= 2 * len(given)
    assert flagged(warehouse, steps) == sorted((bytes(wallet), flag) for wallet, flag, yes, _ in stored if yes)
    for name, flag, is_flagged, q_value in stored:
        parts = read_parts(warehouse, {"flags": SMALL["flags"]}, {"wallet": bytes(name).hex()})
        (shown_flag,) = (one for one in flags(steps, parts["flags"], [], known=True) if one["flag"] == flag)
        assert (shown_flag["is_flagged"], shown_flag["q_value"]) == (is_flagged, shortest_or_none(q_value))


def shortest_or_none(value: float | None) -> object:
    return None if value is None else shortest(value)
