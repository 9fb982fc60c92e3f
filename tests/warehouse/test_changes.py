"""Counts of changes: every change that a reader could see moves a number, and only the numbers that it concerns."""

from __future__ import annotations

import pyarrow as pa
import pytest

from polyhouse.warehouse.changes import Changes

ONE, OTHER = b"\x01" * 20, b"\x02" * 20
MARKET, ANOTHER = b"\x03" * 32, b"\x04" * 31


def numbers(changes: Changes) -> tuple[int, int, int]:
    return changes.of_wallet(ONE), changes.of_wallet(OTHER), changes.of_tables("builds")


@pytest.mark.parametrize(
    ("table", "rows", "moved"),
    [
        ("observations", {"wallet": pa.array([ONE, ONE], pa.binary(20))}, (1, 0, 0)),
        ("observations", {"wallet": pa.array([ONE, OTHER], pa.binary(20))}, (1, 1, 0)),
        ("sync_pages", {"partition": [f"0x{OTHER.hex()}", "market:7"]}, (0, 1, 0)),
        ("sync_pages", {"partition": ["0xnothing"]}, (0, 0, 0)),
        ("sync_pages", {"other": [1]}, (1, 1, 0)),
        ("markets", {"condition": pa.array([MARKET], pa.binary())}, (0, 0, 0)),
        ("builds", {"build": [1]}, (0, 0, 1)),
    ],
)
def test_a_batch_counts_for_the_wallets_that_it_names(table, rows, moved):
    changes = Changes()
    changes.note(is_batch=True, table=table, rows=pa.table(rows))
    assert numbers(changes) == moved
    assert (changes.batches, changes.statements) == (1, 1)


@pytest.mark.parametrize(
    ("table", "rows", "moved"),
    [
        ("markets", {"condition": pa.array([MARKET, b""], pa.binary())}, (1, 0)),
        ("markets", {"condition": pa.array([ANOTHER, MARKET], pa.binary())}, (1, 1)),
        ("markets", {"other": [1]}, (1, 1)),
        ("", {"other": [1]}, (1, 1)),
        ("observations", {"condition": pa.array([MARKET], pa.binary())}, (0, 0)),
    ],
)
def test_a_batch_counts_for_the_markets_that_it_names(table, rows, moved):
    changes = Changes()
    changes.note(table=table, rows=pa.table(rows))
    assert (changes.of_condition(MARKET), changes.of_condition(ANOTHER)) == moved


@pytest.mark.parametrize(
    ("sql", "moved"),
    [
        ("INSERT INTO builds SELECT 1", (0, 0, 1)),
        ("EXCHANGE TABLES units AND units__next", (0, 0, 0)),
        ("EXCHANGE TABLES units AND units__next, builds AND builds__next", (0, 0, 1)),
        ("EXCHANGE TABLES observations__small AND observations", (1, 1, 0)),
        ("RENAME TABLE units__next TO units__previous, builds__next TO builds", (0, 0, 1)),
        ("DROP TABLE IF EXISTS units__next", (0, 0, 0)),
        ("CREATE TABLE units__next AS units", (0, 0, 0)),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", (0, 0, 0)),
        ("INSERT INTO observations SELECT * FROM staged", (1, 1, 0)),
        ("\n  ALTER TABLE observations DELETE WHERE 1", (1, 1, 0)),
        ("TRUNCATE TABLE IF EXISTS sync_pages", (1, 1, 0)),
        ("SYSTEM START MERGES units", (0, 0, 0)),
        ("SYSTEM FLUSH LOGS", (1, 1, 1)),
        ("WITH x AS (SELECT 1) INSERT INTO builds SELECT 1", (1, 1, 1)),
    ],
)
def test_a_statement_counts_for_its_table_or_for_all(sql, moved):
    changes = Changes()
    changes.note_statement(sql)
    assert numbers(changes) == moved
