"""A JSON document read element by element: a top-level array, an object with a list of rows, or values in a row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from polyhouse.errors import BadInputError

_CHUNK = 1 << 20
_MAX_ELEMENT = 64 << 20
_SPACE = " \t\n\r"

_MAX_DIGITS = 100


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _MAX_DIGITS else text


# Numbers with a point keep their text, NaN and Infinity become words that no amount parser takes.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=_integer, parse_constant=str)


def decode_line(text: str) -> Any:
    """One JSON value, numbers with a point as their text.

    Raises:
        ValueError: not JSON.
    """
    try:
        return _DECODER.decode(text.strip())
    except RecursionError:
        raise ValueError("nested too deeply") from None


class JsonStream:
    """Walks a document without holding more than one element of it.

    Args:
        name: of the file, for messages.
        sample: text that was already read from the stream.
        stream: the rest.
        row_lists: keys of an object whose list is walked element by element.
    """

    def __init__(self, name: str, sample: str, stream: TextIO, row_lists: tuple[str, ...]) -> None:
        self._name = name
        self._text = sample
        self._at = 0
        self._line = 1
        self._stream = stream
        self._row_lists = row_lists
        self._ended = False

    def values(self) -> Iterator[tuple[int, Any]]:
        """(line, value) of every element.

        Raises:
            BadInputError: the text is not JSON or breaks off; all elements before that place were handed out.
        """
        while (character := self._peek()) is not None:
            if character == "[":
                self._step()
                yield from self._elements()
            elif character == "{":
                yield from self._object()
            else:
                raise self._error(f"{character!r} where an array or an object was expected")

    def _elements(self) -> Iterator[tuple[int, Any]]:
        if self._required() == "]":
            self._step()
            return
        while True:
            self._required()
            line = self._line
            yield line, self._value()
            character = self._required()
            self._step()
            if character == "]":
                return
            if character != ",":
                raise self._error(f"{character!r} where a comma or the end of the array was expected")

    def _object(self) -> Iterator[tuple[int, Any]]:
        """An object at the top: its list of rows as a stream, or the object itself as one value."""
        line, rest, streamed = self._line, dict[str, Any](), False
        self._step()
        character = self._required()
        while character != "}":
            key = self._value()
            if self._required() != ":":
                raise self._error("a colon was expected")
            self._step()
            if self._required() == "[" and key in self._row_lists:
                self._step()
                streamed = True
                yield from self._elements()
            else:
                rest[str(key)] = self._value()
            character = self._required()
            if character == ",":
                self._step()
                character = self._required()
            elif character != "}":
                raise self._error(f"{character!r} where a comma or the end of the object was expected")
        self._step()
        if not streamed:
            yield line, rest

    def _value(self) -> Any:
        """Decode the value at the current place, reading on until it is complete."""
        wanted = _CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise self._error("nested too deeply") from None
            except ValueError as error:
                if self._ended or len(self._text) - self._at > _MAX_ELEMENT:
                    raise self._error(getattr(error, "msg", str(error))) from None
            else:
                if end < len(self._text) or self._ended:
                    self._move_to(end)
                    return value
            self._fill(wanted)
            wanted *= 2

    def _peek(self) -> str | None:
        """The next character that is not white space, None at the end of the file."""
        while True:
            text, at = self._text, self._at
            while at < len(text) and text[at] in _SPACE:
                at += 1
            self._move_to(at)
            if at < len(text):
                return text[at]
            if self._ended:
                return None
            self._fill(_CHUNK)

    def _required(self) -> str:
        character = self._peek()
        if character is None:
            raise self._error("the file ends in the middle")
        return character

    def _step(self) -> None:
        self._at += 1

    def _move_to(self, end: int) -> None:
        if end > self._at:
            self._line += self._text.count("\n", self._at, end)
            self._at = end

    def _fill(self, characters: int) -> None:
        more = self._stream.read(characters)
        self._ended = not more
        self._text = self._text[self._at :] + more
        self._at = 0

    def _error(self, problem: str) -> BadInputError:
        end = " (the file seems to be cut off)" if self._ended and len(self._text) - self._at < _MAX_ELEMENT else ""
        return BadInputError(f"{self._name}:{self._line}: not valid JSON: {problem}{end}")
