"""The page of commands and settings is what the product says."""

from __future__ import annotations

from pathlib import Path

from polyhouse.cli.reference import markdown

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_page_of_commands_is_the_product() -> None:
    assert PAGE.read_text() == markdown(), "python -m polyhouse.cli.reference > docs/commands.md"
