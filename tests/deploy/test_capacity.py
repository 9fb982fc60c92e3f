"""The plan for the whole of Polymarket is computed, and its page says what was computed."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load():
    spec = importlib.util.spec_from_file_location("capacity", ROOT / "benchmarks/capacity.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["capacity"] = module
    spec.loader.exec_module(module)
    return module


capacity = load()
PAGE = (ROOT / "docs/capacity.md").read_text()


def test_the_page_has_the_tables_that_are_computed():
    for table in capacity.tables().split("\n\n"):
        assert table in PAGE, "python -m benchmarks.capacity prints it"


def test_what_the_page_says_of_them_holds():
    size, of = capacity.Size(), capacity.Measured()
    assert f"{size.fills / 1e9:.1f} billion fills, {size.wallets / 1e6:.1f} million wallets" in PAGE
    loads = capacity.loads(size.times(10), of)
    first, second, third, *_ = sorted(loads, key=lambda name: -loads[name][0])
    assert first.startswith("disk")
    assert {second.partition(" by wallet feeds")[1], third.partition(" by wallet feeds")[1]} == {" by wallet feeds"}
    kinds = capacity.stored(size, of)
    logs = kinds.pop("logs of the chain (only if it is read)")[1]
    assert logs > sum(total for _, total in kinds.values()), "more than everything else together"
    without = capacity.loads(size.times(10), replace(of, log_bytes=0))
    assert max(without, key=lambda name: without[name][0]).startswith("first read by wallet feeds")
    today = capacity.loads(size, of)
    assert 4 < 1 / today["requests of a day by wallet feeds, one address"][0] < 6, "about five times today's size"
    build = today["build of all wallets in a night, one node"][0]
    assert build < today["requests of a day by wallet feeds, one address"][0]


def test_a_plan_grows_with_what_it_is_for():
    small, large = (
        capacity.plan(size, capacity.Measured(), capacity.Prices())
        for size in (capacity.Size(), capacity.Size().times(10))
    )
    assert (small.nodes, small.disk < large.disk, small.month < large.month) == (1, True, True)
    assert large.nodes * capacity.NODE_DISK >= large.disk
    assert large.cores * capacity.NIGHT_HOURS >= large.build_hours
