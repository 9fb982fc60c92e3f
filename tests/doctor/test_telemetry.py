"""Lines of the log and spans say what they are about; without a wish nothing is traced, nothing imported."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from polyhouse import telemetry
from polyhouse.cli.logs import ConsoleFormatter, JsonFormatter

ROOT = Path(__file__).parents[2]


def line(formatter: logging.Formatter) -> str:
    return formatter.format(logging.LogRecord("polyhouse.x", logging.WARNING, "", 0, "slow %s", ("page",), None))


def test_lines_say_run_and_wallet_also_in_tasks_and_threads() -> None:
    async def one(wallet: str) -> dict[str, str]:
        with telemetry.bound(wallet=wallet):
            await asyncio.sleep(0)
            found: dict[str, str] = json.loads(await asyncio.to_thread(line, JsonFormatter()))
            return found

    async def both() -> list[dict[str, str]]:
        with telemetry.bound(run=7):
            return await asyncio.gather(one("0xa"), one("0xb"))

    first, second = asyncio.run(both())
    assert (first["run"], first["wallet"], second["run"], second["wallet"]) == (7, "0xa", 7, "0xb")
    assert first["message"] == "slow page"
    assert telemetry.fields() == {}
    with telemetry.bound(run=7, message="no field wins over the line's own"):
        assert json.loads(line(JsonFormatter()))["message"] == "slow page"
    with telemetry.bound(run=7):
        assert line(ConsoleFormatter("%(levelname)s: %(message)s")) == "WARNING: slow page [run=7]"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    memory = InMemorySpanExporter()
    telemetry.trace_to("", exporter=memory)
    yield memory
    telemetry.stop_tracing()


def test_spans_stand_inside_each_other_and_carry_the_fields(exporter: InMemorySpanExporter) -> None:
    with telemetry.bound(run=7), telemetry.span("run"), telemetry.span("request", host="data"):
        pass
    inner, outer = exporter.get_finished_spans()
    assert (inner.name, outer.name) == ("request", "run")
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id
    assert dict(inner.attributes or {}) == {"polyhouse.run": 7, "polyhouse.host": "data"}


def test_nothing_is_traced_or_imported_unless_it_is_wished() -> None:
    assert telemetry.span("request", host="data") is telemetry.span("page")
    code = "import sys, polyhouse.telemetry as t\nwith t.span('x'): pass\nsys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_alert_has_a_runbook_and_asks_for_a_metric_that_is_documented() -> None:
    """What metrics there are is held against the documentation in tests/publication."""
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    rules = [
        rule for group in yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"] for rule in group["rules"]
    ]
    sections = re.findall(r"^### (\w+)\n(.*?)(?=^###|\Z)", text, re.MULTILINE | re.DOTALL)
    assert [rule["alert"] for rule in rules] == [name for name, _ in sections]
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        for metric in re.findall(r"polyhouse_\w+", rule["expr"]):
            assert metric in text or metric.replace("upstream_errors", "upstream_requests") in text
    for _, body in sections:
        assert all(word in body for word in ("Symptom:", "Cause:", "Command:"))
