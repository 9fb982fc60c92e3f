"""The command doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from polyhouse.cli.base import Run, command
from polyhouse.cli.output import emit_json

if TYPE_CHECKING:
    from polyhouse.doctor import Finding


@command(
    "doctor",
    examples=("polyhouse doctor", "polyhouse doctor --offline", "polyhouse doctor --json | jq '.findings[]'"),
)
@click.option("--offline", is_flag=True, help="Ask no upstream.")
def doctor(run: Run, offline: bool) -> int:
    """What is wrong with this installation, and how to put it right: settings, machine, stores, upstreams, keys.

    Changes nothing. Exit 1 if something fails; warnings alone exit 0.
    """
    from polyhouse.doctor import examine

    found = []
    for finding in examine(lambda: run.loaded, offline=offline):
        found.append(finding)
        if not run.json:
            _show(finding)
    levels = [finding.level for finding in found]
    if run.json:
        emit_json({
            "ok": "fail" not in levels,
            "findings": [
                {"name": one.name, "level": one.level, "text": one.text, "fix": one.fix or None} for one in found
            ],
        })  # fmt: skip
    else:
        click.echo(f"{levels.count('fail')} failures, {levels.count('warn')} warnings")
    return 1 if "fail" in levels else 0


def _show(finding: Finding) -> None:
    click.echo(f"{finding.level:<5} {finding.name}: {finding.text}")
    if finding.fix:
        click.echo(f"      fix: {finding.fix}")
