"""The reference of commands and settings as a page: ``python -m polyhouse.cli.reference > docs/commands.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from polyhouse.cli.app import app
from polyhouse.cli.base import common_options
from polyhouse.settings import Settings

_HEAD = """# Commands and settings

Written by `python -m polyhouse.cli.reference`; a test holds this page and the product equal. `polyhouse COMMAND --help`
says the same.

"""
_SETTINGS = """## Settings
A flag comes first, then the environment, then `polyhouse.toml` (working directory, then the home folder), then the
default. `polyhouse config` shows each with where it came from.

| setting | default | meaning |
|---|---|---|
"""


def markdown() -> str:
    """The page."""
    common = [option for option in common_options() if isinstance(option, click.Option)]
    names = {str(option.name) for option in common}
    sections = [_section(path, command, names) for path, command in walk(app, ())]
    return f"{_HEAD}Every command also takes:\n\n{_options(common)}\n{''.join(sections)}{_SETTINGS}{_settings()}"


def walk(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group with the words that name it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))
        elif command is not None and not command.hidden:
            yield (*path, name), command


def _section(path: tuple[str, ...], command: click.Command, common: set[str]) -> str:
    context = click.Context(command)
    arguments = [item.make_metavar(context) for item in command.params if isinstance(item, click.Argument)]
    own = [item for item in command.params if isinstance(item, click.Option) and item.name not in common]
    text = [f"## {' '.join(path)}", f"`{' '.join(('polyhouse', *path, *arguments))}`", ""]
    text += [" ".join((command.help or "").split()), ""]
    if own:
        text.append(_options(own))
    examples = getattr(command, "examples", ())
    if examples:
        text += ["```text", *examples, "```", ""]
    return "\n".join(text) + "\n"


def _options(options: list[click.Option]) -> str:
    context = click.Context(click.Command("any"))
    records = [record for option in options if (record := option.get_help_record(context)) is not None]
    rows = [f"| `{_cell(words)}` | {_cell(text)} |\n" for words, text in records]
    return f"| option | meaning |\n|---|---|\n{''.join(rows)}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        default = str(field.get_default(call_default_factory=True) or "unset")
        rows.append(f"| `POLYHOUSE_{name.upper()}` | {_cell(default)} | {_cell(field.description or '')} |\n")
    return "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(markdown())
