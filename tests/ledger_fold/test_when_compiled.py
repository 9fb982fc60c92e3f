"""Compiled code is used where it pays: for many rows, and for fewer once it is loaded."""

from __future__ import annotations

import sys
import types

import pytest

from polyhouse.ledger.compiled import LOADED_FROM, pays


def test_few_rows_load_no_compiled_code_but_use_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [pays("compiled_rules", rows, 50_000) for rows in (0, LOADED_FROM, 49_999, 50_000)] == [
        False, False, False, True,
    ]  # fmt: skip
    monkeypatch.setitem(sys.modules, "compiled_rules", types.ModuleType("compiled_rules"))
    assert [pays("compiled_rules", rows, 50_000) for rows in (0, LOADED_FROM - 1, LOADED_FROM)] == [False, False, True]
    assert pays("compiled_rules", 300, 200)
