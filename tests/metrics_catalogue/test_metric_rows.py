"""Metrics of several relations side by side, by hand: which row stands where, and what is there without a relation."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from polyhouse.models.metric_rows import Measured, by_place, joined

A, B = b"\xaa" * 20, b"\xbb" * 20


def measured(rows: list[tuple[bytes, list[bytes], list[bytes]]], columns: dict[str, pa.Array]) -> Measured:
    def listed(of: list[list[bytes]]) -> pa.Array:
        return pa.array(of, pa.list_(pa.binary()))

    wallets, scopes, windows = zip(*rows, strict=True)
    keys = pa.table({
        "wallet": pa.array(wallets, pa.binary(20)), "scopes": listed(list(scopes)), "windows": listed(list(windows)),
    })  # fmt: skip
    return Measured(keys, columns)


def told(table: dict[str, pa.Array], *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def test_a_row_stands_for_its_scopes_and_windows_and_relations_stand_side_by_side() -> None:
    bets = measured(
        [(B, [b"crypto", b"overall"], [b"90d", b"lifetime"]), (A, [b"overall"], [b"lifetime"])],
        {"bets_sample": pa.array([3, 2], pa.uint64()), "roi": pa.array([0.5, None], pa.float64())},
    )
    fills = measured(
        [(A, [b"overall"], [b"lifetime"])],
        {"fills_sample": pa.array([7], pa.uint64()), "maker_share": pa.array([0.25], pa.float64())},
    )
    rows = joined({"bets": bets, "fills": fills})
    whole, parts = rows.of_table(has_categories=False), rows.of_table(has_categories=True)
    names = ("wallet", "window", "bets_sample", "roi", "days_sample", "fills_sample", "maker_share", "sharpe")
    assert told(whole, *names) == [
        (A, b"lifetime", 2, None, 0, 7, 0.25, None),
        (B, b"90d", 3, 0.5, 0, 0, None, None),
        (B, b"lifetime", 3, 0.5, 0, 0, None, None),
    ]
    assert "category" not in whole
    assert told(parts, "category", *names) == [
        (b"crypto", B, b"90d", 3, 0.5, 0, 0, None, None),
        (b"crypto", B, b"lifetime", 3, 0.5, 0, 0, None, None),
    ]


def test_what_the_engine_returns_in_another_order_is_put_in_that_of_what_was_staged() -> None:
    batches = [
        pa.record_batch({"place": pa.array([3, 1], pa.uint32()), "roi": [0.3, 0.1]}),
        pa.record_batch({"place": pa.array([0, 2], pa.uint32()), "roi": [0.0, 0.2]}),
    ]
    assert {name: column.to_pylist() for name, column in by_place(batches).items()} == {"roi": [0.0, 0.1, 0.2, 0.3]}
