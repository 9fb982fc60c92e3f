"""Fields of documents: their JSON schema, their description, and their column in CSV and Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal[
    "text", "word", "count", "money", "ratio", "number", "flag", "time", "date", "address", "id", "token", "words",
    "value", "document",
]  # fmt: skip
_HEX = "^0x[0-9a-f]{%d}$"
_SCHEMAS: Mapping[Kind, Mapping[str, Any]] = {
    "text": {"type": "string"},
    "word": {"type": "string"},
    "count": {"type": "integer"},
    "money": {"type": "number", "format": "decimal"},
    "ratio": {"type": "number", "format": "decimal"},
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "address": {"type": "string", "pattern": _HEX % 40},
    "id": {"type": "string", "pattern": _HEX % 64},
    "token": {"type": "string", "pattern": "^[0-9]+$"},
    "words": {"type": "array", "items": {"type": "string"}},
    "value": {"type": ["number", "string"]},
    "document": {"type": "object"},
}
_UNITS: Mapping[Kind, str] = {"money": "at most 6 decimals, exact", "ratio": "9 decimals"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: in the document.
        kind: of value.
        about: one line for people.
        nullable: it can be null.
        of: fields of a nested object (kind ``document``).
        each: it is a list of such.
    """

    name: str
    kind: Kind
    about: str = ""
    nullable: bool = False
    of: tuple[Field, ...] = ()
    each: bool = False

    def schema(self) -> dict[str, Any]:
        """JSON schema of the value."""
        body: dict[str, Any] = dict(_SCHEMAS[self.kind])
        if self.of:
            body = object_schema(self.of)
        if self.each:
            body = {"type": "array", "items": body}
        if self.nullable:
            types = body["type"]
            body["type"] = [*([types] if isinstance(types, str) else types), "null"]
        about = ", ".join(part for part in (self.about, _UNITS.get(self.kind, "")) if part)
        return body | ({"description": about} if about else {})


def object_schema(fields: Sequence[Field]) -> dict[str, Any]:
    """JSON schema of an object with these fields, all of them always there."""
    return {
        "type": "object",
        "properties": {field.name: field.schema() for field in fields},
        "required": [field.name for field in fields],
    }


def maybe(field: Field) -> Field:
    """The same field, which can be null."""
    return replace(field, nullable=True)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its name, its kind, and where a row has it."""

    name: str
    kind: Kind
    path: tuple[str, ...]

    def value(self, row: Mapping[str, Any]) -> Any:
        """The row's value, None where a part of the path is null."""
        found: Any = row
        for name in self.path:
            if found is None:
                return None
            found = found[name]
        return found


def columns(fields: Sequence[Field], path: tuple[str, ...] = ()) -> list[Column]:
    """Fields as flat columns: those of nested objects are named ``outer_inner``; lists of objects stay documents."""
    found: list[Column] = []
    for field in fields:
        here = (*path, field.name)
        if field.of and not field.each:
            found += columns(field.of, here)
        else:
            found.append(Column("_".join(here), "document" if field.each else field.kind, here))
    return found
