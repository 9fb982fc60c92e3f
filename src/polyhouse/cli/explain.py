"""Prints where a number of a wallet comes from, one level at a time."""

from __future__ import annotations

import sys
from typing import Any

import click

from polyhouse.cli.base import Run, next_steps, say
from polyhouse.cli.output import Column, emit_facts, emit_json, emit_table
from polyhouse.reads.display import short

_NARROW = {
    "units": ("contribution", "title", "unit", "result", "closed_at"),
    "positions": ("contribution", "outcome_index", "shares", "cost", "mark", "status", "token_id"),
    "ledger": ("at", "kind", "share_change", "cash_change", "contribution", "tx_hash"),
}
"""What fits a terminal; a pipe and ``--json`` get every column."""

_TEXT = {"title", "unit", "result", "closed_at", "status", "token_id", "kind", "at", "tx_hash"}


def print_explanation(run: Run, document: dict[str, Any]) -> None:
    """Print an explanation: the number, what it means, what it is made of, and what to ask next."""
    if run.json:
        emit_json(document)
        return
    emit_facts(run, [
        (document["name"], "none" if document["value"] is None else document["value"]),
        *((key, document[key]) for key in ("level", "category", "unit", "token_id", "window", "as_of")
          if document[key] is not None),
        ("meaning", document["meaning"]), ("formula", document["formula"]), ("source", document["source"]),
        *((f"  {part['name']}", part["value"]) for part in document["inputs"]),
        *((f"  {term['name']}", _term(term)) for term in document["terms"]),
        *([("sum of its rows", document["sum"])] if document["sum"] is not None else []),
    ])  # fmt: skip
    if document["rows"]:
        click.echo()
        _print_rows(run, document)
    if document["adds_up"] is False:
        say("the rows do not add up to the number: polyhouse check tells more")
    _say_rest(document)
    following = _following(document)
    if following:
        next_steps(run, f"polyhouse wallet {document['wallet']} {following}")


def _print_rows(run: Run, document: dict[str, Any]) -> None:
    rows = document["rows"]
    names = [name for name in rows[0] if name != "next"]
    narrow = sys.stdout.isatty()
    if narrow:
        names = [name for name in _NARROW.get(document["rows_are"], names) if name in rows[0]]
    cells = [[_cell(row[name], name, narrow=narrow) for name in names] for row in rows]
    emit_table(run, [Column(name, right=name not in _TEXT) for name in names], cells)


def _cell(value: Any, name: str, *, narrow: bool) -> Any:
    if not narrow or value is None:
        return value
    if name == "title":
        return value if len(value) <= 24 else f"{value[:23]}…"
    if name in {"at", "closed_at"}:
        return str(value)[:16].replace("T", " ")
    return short(str(value)) if name in {"unit", "token_id", "tx_hash"} else value


def _term(term: dict[str, Any]) -> str:
    detail = f" ({term['shares']} shares at {term['mark']}, {term['mark_source']})" if term.get("mark") else ""
    return f"{term['value']}: {term['meaning']}{detail}"


def _say_rest(document: dict[str, Any]) -> None:
    if document["next_offset"] is not None:
        first, last = document["offset"] + 1, document["next_offset"]
        say(f"rows {first:,} to {last:,} of {document['count']:,}; go on with --offset {last}")


def _following(document: dict[str, Any]) -> str:
    """The options that explain the largest row, or the first input."""
    for part in (*document["rows"][:1], *document["inputs"][:1]):
        if "next" in part:
            arguments = dict(part["next"])
            name = arguments.pop("name")
            options = [f"--{key} {value}" for key, value in arguments.items() if value not in {"lifetime", "overall"}]
            return " ".join([f"--explain {name}", *options])
    return ""
