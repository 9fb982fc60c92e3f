"""A run report as a document."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from polyhouse.sync.report import RunReport


def report_document(name: str, report: RunReport) -> dict[str, Any]:
    """A run report as a JSON document."""
    document: dict[str, Any] = {
        "command": name,
        "run_id": report.run_id,
        "status": report.status,
        "seconds": Decimal(f"{report.seconds:.3f}"),
        "counts": dict(report.counts),
        "errors": list(report.errors),
    }
    if report.plan is not None:
        document["plan"] = {
            "partitions": report.plan.partitions,
            "requests": report.plan.requests,
            "seconds": round(report.plan.seconds),
            "roads": [
                {
                    "road": road.road,
                    "requests": road.requests,
                    "seconds": round(road.seconds),
                    "complete": road.complete,
                    "why": road.why,
                }
                for road in report.plan.roads
            ],
            "chosen": report.plan.chosen,
        }
    return document
