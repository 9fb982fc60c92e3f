"""Just enough of the ClickHouse lexer to find where statements end and which functions they call.

Strings ('…'), quoted names (`…`, "…"), heredocs ($tag$…$tag$), comments (--, #, /* */) and numbers are told apart, so
that nothing inside a string looks like SQL and nothing inside a comment hides it. The engine takes more than ASCII for
quotes and white space (“these”, spaces without width): such characters are symbols here, each by itself, and a user's
statement must not have them outside of quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from polyhouse.errors import BadInputError

TokenKind = Literal["word", "name", "string", "number", "symbol"]

_PATTERN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<name>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
  | (?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<number>\d[\w.]*)
  | (?P<word>[^\W\d]\w*)
  | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_NEVER_ALONE = {"'": "string", "`": "quoted name", '"': "quoted name"}


@dataclass(frozen=True, slots=True)
class Token:
    """One lexeme; ``text`` of a quoted name is without its quotes, ``start`` and ``end`` are offsets in the source."""

    kind: TokenKind
    text: str
    start: int
    end: int


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of a text, comments left out.

    Raises:
        BadInputError: a string, quoted name or comment that does not end; a comment inside a comment, which the engine
            counts and others do not.
    """
    for match in _PATTERN.finditer(sql):
        kind, text = match.lastgroup, match.group()
        if kind in {"space", "tag"} and not text.startswith("$"):
            if text.startswith("/*") and "/*" in text[2:]:
                raise BadInputError(f"The SQL has a comment inside a comment, at character {match.start() + 1}.")
            continue
        start, end = match.span()
        if kind == "symbol":
            _refuse_open(sql, text, start)
            yield Token("symbol", text, start, end)
        elif kind == "name":
            yield Token("name", re.sub(r"\\(.)|``|\"\"", lambda m: m.group(1) or m.group()[0], text[1:-1]), start, end)
        elif kind == "word":
            yield Token("word", text, start, end)
        elif kind == "number":
            yield Token("number", text, start, end)
        else:
            yield Token("string", text, start, end)


def split_statements(sql: str) -> list[str]:
    """The statements of a text, without the semicolons between them and without empty ones."""
    statements, begin, has_content = [], 0, False
    for token in tokens(sql):
        if token.kind == "symbol" and token.text == ";":
            if has_content:
                statements.append(sql[begin : token.start].strip())
            begin, has_content = token.end, False
        else:
            has_content = True
    if has_content:
        statements.append(sql[begin:].strip())
    return statements


def _refuse_open(sql: str, text: str, start: int) -> None:
    what = _NEVER_ALONE.get(text)
    if text == "/" and sql.startswith("/*", start):
        what = "comment"
    if what is not None:
        raise BadInputError(f"The SQL has a {what} that does not end, at character {start + 1}.")
