"""Aggregates over scopes and windows: plain and compiled, both as Python's own numbers say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from polyhouse.models import segments
from polyhouse.models.metric_plan import Call
from polyhouse.models.metric_values import Rows, Windows, values_of
from polyhouse.models.segments import WHOLE, Scopes, scopes_of

ROWS, WALLETS, CATEGORIES, WINDOWS = 700, 12, 3, 4
RNG = np.random.default_rng(7)
WALLET = RNG.integers(0, WALLETS, ROWS)
# Every third wallet knows a single category.
CATEGORY = np.where(WALLET % 3 == 0, 1, RNG.integers(0, CATEGORIES, ROWS))
AGE = RNG.integers(0, WINDOWS, ROWS)
CHOSEN = RNG.integers(0, 2, ROWS).astype(np.uint8)
LARGE = [RNG.integers(-(2**63), 2**63 - 1, ROWS, dtype=np.int64) for _ in range(3)]


def scopes() -> Scopes:
    return scopes_of(WALLET, CATEGORY, AGE, WINDOWS, has_whole=False)


def members(made: Scopes) -> list[list[list[int]]]:
    """Per scope and window the rows that belong there, by looking at every row."""
    return [
        [
            [
                row
                for row in range(ROWS)
                if WALLET[row] == wallet and kind in (WHOLE, CATEGORY[row]) and AGE[row] <= window
            ]
            for window in range(WINDOWS)
        ]
        for wallet, kind in zip(made.wallet.tolist(), made.category.tolist(), strict=True)
    ]


@pytest.fixture(params=["plain", "compiled"])
def _how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "COMPILED_FROM", 0 if request.param == "compiled" else ROWS + 1)


def numbers(words: Any) -> list[list[int]]:
    """Words as the signed numbers they are."""
    raw = np.ascontiguousarray(words)
    return [
        [int.from_bytes(raw[s, w].tobytes(), "little", signed=True) for w in range(WINDOWS)] for s in range(len(raw))
    ]


def wrapped(number: int, bits: int) -> int:
    return (number + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def by_hand(made: Scopes, value: Callable[[list[int]], int]) -> list[list[int]]:
    return [[value(rows) for rows in windows] for windows in members(made)]


def test_scopes_are_wallets_and_their_categories() -> None:
    made = scopes()
    found = {(w, c) for w, c in zip(made.wallet.tolist(), made.category.tolist(), strict=True)}
    whole = {wallet for wallet in range(WALLETS) if wallet % 3}
    assert found == set(zip(WALLET.tolist(), CATEGORY.tolist(), strict=True)) | {(w, WHOLE) for w in whole}
    assert {w for w, both in zip(made.wallet, made.is_both, strict=True) if both} == set(range(WALLETS)) - whole
    assert made.lengths.tolist() == by_hand(made, len)


@pytest.mark.usefixtures("_how")
def test_sums_are_those_of_whole_numbers() -> None:
    made = scopes()
    x, y, z = LARGE
    small = np.where(RNG.integers(0, 2, ROWS), x >> 40, y >> 20)

    def total(rows: list[int], *factors: Any) -> int:
        return sum(int(np.prod([int(f[row]) for f in factors], dtype=object)) for row in rows if CHOSEN[row])

    assert segments.sums(x, CHOSEN, made).tolist() == by_hand(made, lambda rows: wrapped(total(rows, x), 64))
    for factors in ([x], [x, y], [x, y, z], [small, small], [x, np.full(ROWS, -1)]):
        found = numbers(segments.sums_of_products(factors, CHOSEN, made))
        assert found == by_hand(made, lambda rows, f=factors: wrapped(total(rows, *f), 128))
    wide = segments.products([x, y])
    assert numbers(segments.sums(wide, CHOSEN, made)) == numbers(segments.sums_of_products([x, y], CHOSEN, made))


@pytest.mark.usefixtures("_how")
def test_different_words_are_counted_once() -> None:
    made = scopes()
    words = RNG.integers(0, 9, ROWS).astype(np.uint64) * np.uint64(2**60 + 1)
    found = segments.distinct(words, CHOSEN, made)
    assert found.tolist() == by_hand(made, lambda rows: len({int(words[row]) for row in rows if CHOSEN[row]}))


def test_extremes_look_at_all_rows_of_a_window() -> None:
    made = scopes()
    x, ranks = LARGE[0], RNG.permutation(ROWS)
    has_rows = made.lengths > 0
    for found, value in (
        (segments.least(x, made), lambda rows: min(x[rows], default=0)),
        (segments.greatest(x, made), lambda rows: max(x[rows], default=0)),
        *(
            (segments.at_greatest(x, wide, made), lambda rows: x[max(rows, key=ranks.__getitem__)] if rows else 0)
            for wide in (ranks, ranks - ROWS, (ranks - ROWS // 2) * 2**50, ranks.astype(np.uint64) + np.uint64(2**63))
        ),
    ):
        assert found[has_rows].tolist() == np.array(by_hand(made, value))[has_rows].tolist()


def test_values_stand_for_all_scopes_and_windows_with_the_same_rows() -> None:
    """A column of rows per wallet, scope and window, each set of rows once; sums by key without those that are 0."""
    key, amount = RNG.integers(0, 4, ROWS), RNG.integers(-2, 3, ROWS)
    columns = {
        "scope": pa.array([b"abc"[c : c + 1] for c in CATEGORY], pa.binary()),
        "at": pa.array(100 - 10 * AGE), "key": pa.array(key), "amount": pa.array(amount),
        "chosen": pa.array(CHOSEN),
    }  # fmt: skip
    wallets = np.arange(WALLETS * 20, dtype=np.uint8).reshape(WALLETS, 20)
    windows = Windows(["30d", "90d", "180d", "lifetime"], [95, 85, 75, 0])
    calls = {"n": Call("count", ()), "by_key": Call("sumMap", ("key", "amount"), "chosen"),
             "all": Call("groupArray", ("amount",))}  # fmt: skip
    table = values_of(Rows(wallets, WALLET, columns), calls, windows, has_overall=False, by_window=False)
    found: dict[tuple[int, str, str], Any] = {}
    for row in table.to_pylist():
        for scope in row["scopes"]:
            for window in row["windows"]:
                key_ = row["wallet"][0] // 20, scope.decode(), window.decode()
                assert key_ not in found
                found[key_] = row["n"], dict(zip(row["by_key_1"], row["by_key_2"], strict=True)), sorted(row["all"])
    wanted: dict[tuple[int, str, str], list[int]] = defaultdict(list)
    for row in range(ROWS):
        for scope in ("overall", "abc"[CATEGORY[row]]):
            for window in windows.names[AGE[row] :]:
                wanted[int(WALLET[row]), scope, window].append(row)
    assert found.keys() == wanted.keys()
    for place, rows in wanted.items():
        sums: dict[int, int] = defaultdict(int)
        for row in rows:
            sums[int(key[row])] += int(amount[row]) * int(CHOSEN[row])
        some = {k: value for k, value in sums.items() if value}
        assert found[place] == (len(rows), some, sorted(amount[rows].tolist()))
    assert len(table) < len(found), "rows of a single category are told once"
