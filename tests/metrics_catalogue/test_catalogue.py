"""The catalogue is whole, every computed metric has an independent calculation, and all that is made from it agrees."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from polyhouse.cli.app import app, run_command_line
from polyhouse.metrics.catalogue import COUNT, METRICS, RELATIONS, computed, digest, find, problems
from polyhouse.metrics.page import markdown

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "metrics.md"
BEYOND_PUBLIC_DATA = {67, 79, 93, 95, 99, 100}


def test_the_catalogue_is_whole() -> None:
    assert problems() == []
    assert {metric.number for metric in METRICS} - {None} == set(range(1, COUNT + 1))
    assert {metric.number for metric in METRICS if metric.state == "needs"} == BEYOND_PUBLIC_DATA
    assert not [metric.name for metric in METRICS if metric.state == "needs" and not metric.needs]


def plain_calculations() -> set[str]:
    """Names in ``PLAIN`` of every ``tests/*/plain_*.py``."""
    found: set[str] = set()
    for path in sorted(TESTS.glob("*/plain_*.py")):
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        spec = importlib.util.spec_from_file_location(f"found_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        found |= set(getattr(module, "PLAIN", {}))
    return found


def test_every_computed_metric_has_an_independent_calculation() -> None:
    assert {metric.name for metric in computed()} == plain_calculations()


def broken(**changes: object) -> list[str]:
    first, *others = METRICS
    return problems([replace(first, **changes), *others])  # type: ignore[arg-type]


def test_a_broken_entry_is_found() -> None:
    other = METRICS[1]
    assert broken(name=other.name) == [f"name {other.name} twice"]
    assert set(broken(number=other.number)) == {f"number {other.number} twice", "number 1 missing"}
    assert set(broken(number=103)) == {"number 1 missing", "number 103 unknown"}
    assert broken(relation="nothing") == [f"{METRICS[0].name}: relation nothing unknown"]
    assert broken(needs="a miracle") == [f"{METRICS[0].name}: computed, and yet in need of something"]
    assert broken(sql="") == [f"{METRICS[0].name}: neither computed, nor in need of anything"]
    assert broken(formula="") == [f"{METRICS[0].name}: no meaning, formula or source"]
    assert broken(name="Two Words") == ["'Two Words': not snake_case"]
    assert broken(minimum_sample=0) == [f"{METRICS[0].name}: minimum sample below 1"]
    part = next(iter(RELATIONS[0].parts))
    assert broken(name=part, relation=RELATIONS[0].name) == [f"{part}: also a part of {RELATIONS[0].name}"]


def test_metrics_are_found_by_name_and_number() -> None:
    assert find("omega-NET") is find("2")
    assert find("0") is None
    assert find("omega") is None
    assert len(digest()) == 16


def test_the_page_is_the_catalogue() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "polyhouse metric --markdown > docs/metrics.md"
    assert all(f"`{metric.name}`" in markdown() for metric in METRICS)


def test_the_command_shows_definitions() -> None:
    run = CliRunner().invoke
    listed = json.loads(run(app, ["metric", "--json"]).stdout)["metrics"]
    assert [one["name"] for one in listed] == [metric.name for metric in METRICS]
    one = json.loads(run(app, ["metric", "omega_net", "--json"]).stdout)
    assert (one["number"], one["state"], one["minimum_sample"], one["relation"]) == (2, "computed", 10, "bets")
    assert json.loads(run(app, ["metric", "93", "--json"]).stdout)["needs"]
    shown = run(app, ["metric", "omega_net"]).stdout
    assert "Gains over losses after fees" in shown
    table = run(app, ["metric"]).stdout.splitlines()
    assert len(table) == len(METRICS) + 1
    assert run(app, ["metric", "--markdown"]).stdout == markdown()


def test_an_unknown_metric_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["metric", "omega_nett"]) == 2
    said = capsys.readouterr().err
    assert "polyhouse metric omega_net" in said
    assert run_command_line(["metric", "omega_net", "--markdown"]) == 2
