"""The commands that the README and the pages show, and what each needs to run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`((?:\.venv/bin/)?polyhouse [^`\n]*)`")
_SEPARATORS = {"|", "&&", ";", ">", ">>"}

ELSEWHERE = {
    "make": ".ci/run",
    "pip": "tests/deploy",
    "cp": "tests/deploy",
    "mv": "tests/kills/test_damaged_stores.py",
    "docker": "tests/deploy",
    "sh": "tests/deploy",
    "kubectl": "tests/deploy",
    "systemctl": "tests/deploy",
    "crontab": "tests/jobs/test_schedule_commands.py",
    "gh": "tests/deploy",
    "curl": "tests/serve/test_http_api.py",
    "jq": "tests/boards",
    "export": "",
}
"""Programs that are not ours: what shows that the step works; '' = the shell's own."""

UNTIL_STOPPED = {
    "serve": "tests/serve/test_killed_server.py",
    "mcp": "tests/serve/test_assistant.py",
    "worker": "tests/machines",
    "process --continuous": "tests/process",
    "sync live": "tests/jobs/test_live_server.py",
    "demo": "tests/cli/test_demo.py",
}
"""Our commands that run until they are stopped, or start a Polymarket of their own: where they are run instead."""

SERVERS = {
    "clickhouse://": "tests/matrix",
    "postgresql://": "tests/publish",
    "bigquery://": "tests/bigquery",
    "--disk": "tests/move",
    "/backups/tuesday": "tests/move",
    "notify --test": "tests/notify",
}
"""Words of commands that need a server or a service: where they are run instead."""


@dataclass(frozen=True)
class Command:
    """One command of a page."""

    page: str
    words: tuple[str, ...]

    @property
    def is_ours(self) -> bool:
        return self.words[0] == "polyhouse"

    @property
    def told_elsewhere(self) -> str | None:
        """Which test runs it, if not the one of the pages."""
        if not self.is_ours:
            return ELSEWHERE[self.words[0]]
        text = " ".join(self.words[1:])
        for head, place in UNTIL_STOPPED.items():
            if re.search(rf"(^|\s){head}(\s|$)", text):
                return place
        return next((place for mark, place in SERVERS.items() if mark in text), None)


def shown() -> list[Command]:
    """Commands of all blocks, in the order of the pages."""
    found = []
    for page in PAGES:
        for block in _FENCE.findall(page.read_text()):
            for line in block.splitlines():
                found += [Command(page.name, words) for words in _commands(line)]
    return found


def mentioned() -> list[Command]:
    """Commands of ours in running text, as far as they are spelled out."""
    found = []
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for words in _INLINE.findall(text):
            found.append(Command(page.name, tuple(words.replace("\\|", "|").removeprefix(".venv/bin/").split())))
    return found


def _commands(line: str) -> list[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;>")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    skipped = False
    for word in lexer:
        if word in _SEPARATORS:
            skipped = word in {">", ">>"}  # what follows is a file
            commands.append([])
        elif not skipped:
            commands[-1].append(word.removeprefix(".venv/bin/"))
    return [tuple(words) for words in map(_without_assignments, commands) if words]


def _without_assignments(words: list[str]) -> list[str]:
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words
