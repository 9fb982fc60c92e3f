"""What upstreams and files must never do, as JSON text: bad values for any field, bad documents, seeded mutations.

A document is a tree of Python values in which ``Text`` stands for JSON text to be written as it is (``NaN``, 10,000
brackets, a key twice), so that no serializer of ours forbids what an upstream may send.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Text:
    """JSON text, or something that is none, to be written as it is."""

    text: str


@dataclass(frozen=True)
class Pairs:
    """An object whose keys may repeat."""

    items: tuple[tuple[str, Any], ...]


DEEP = 10_000
NUMBERS = {
    "1e400": Text("1e400"), "1e400 text": "1e400", "NaN": Text("NaN"), "NaN text": "NaN", "-0": Text("-0"),
    "-0.0": Text("-0.0"), "empty": "", "null": None, "2^256-1": Text(str(2**256 - 1)), "2^256": Text(str(2**256)),
    "2^256 text": str(2**256), "2^64": Text(str(2**64)), "2^63": Text(str(2**63)), "-1": -1, "-1 text": "-1",
    "19 decimals": Text("0.1234567890123456789"), "7 decimals": Text("0.1234567"), "1e-7": Text("1e-7"),
    "1e3": Text("1e3"), "1E+3 text": "1E+3", "comma": "1,5", "true": True, "false": False,
    "Infinity": Text("Infinity"), "-Infinity text": "-Infinity", "arabic": "\u0663", "underscore": "1_000",
    "plus": "+1", "space": " 1", "newline": "1\n", "hex": "0x10", "1e999999999": Text("1e999999999"),
    "1e-999999999": Text("1e-999999999"), "leading zero": "007", "dot": ".5", "point": "5.",
    "5,000 digits": "9" * 5_000, "5,000 digit number": Text("9" * 5_000), "5,000 decimals": Text("0." + "3" * 5_000),
    "18 digits": Text("9" * 18),
    "float noise": Text("2538.2661200000002"), "zero": 0, "1.5": Text("1.5"), "1.0": Text("1.0"),
}  # fmt: skip
TIMES = {
    "milliseconds": 1_780_000_000_000, "microseconds": 1_780_000_000_000_000, "year 9999": 253_402_300_799,
    "before genesis": 1_000_000_000, "future": 4_000_000_000, "2101": 4_134_000_000, "seconds text": "1780000000",
    "seconds point": Text("1780000000.0"), "seconds exponent": Text("1.78e9"), "iso": "2026-05-28T20:26:40Z",
    "local offset": "2026-05-28T22:26:40+02:00", "no zone": "2026-05-28T20:26:40",
    "leap second": "2026-06-30T23:59:60Z",
    "no such day": "2026-02-30", "24 o'clock": "2026-05-28T24:00:00Z", "offset 99": "2026-05-28T20:26:40+99:99",
}  # fmt: skip
IDS = {
    "0x": "0x", "short": "0x1234", "odd": "0x" + "1" * 39, "long": "0x" + "1" * 65, "no 0x": "1" * 40,
    "0X": "0X" + "1" * 40, "look-alike": "0x" + "\u0430" * 40, "full width": "0x" + "\uff11" * 40,
    "padded": " 0x" + "1" * 40, "padded behind": "0x" + "1" * 40 + " ", "NUL": "0x" + "1" * 39 + "\0",
    "newline behind": "0x" + "1" * 40 + "\n", "spaces inside": "0x" + "11 " * 13 + "1", "10 kB": "0x" + "1" * 10_000,
    "zeros": "0x" + "0" * 40, "other address": "0x" + "2" * 40, "other hash": "0x" + "2" * 64, "v2": "0x" + "2" * 62,
    "exchange": "0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E", "other token": "12345", "checksummed": "0x" + "aB" * 20,
    "bitcoin": "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
}  # fmt: skip
STRUCTURES = {
    "object": {}, "list": [], "nested": [[]], "list of text": ["a"], "object in list": [{"a": 1}],
    "10,000 deep": Text("[" * DEEP + "]" * DEEP), "10,000 objects deep": Text('{"a":' * DEEP + "1" + "}" * DEEP),
    "10,000 deep and open": Text("[" * DEEP), "long list": Text("[" + "1," * 9_999 + "1]"),
}  # fmt: skip
WORDS = {
    "HOLD": "HOLD", "buy": "buy", "BUY": "BUY", "SELL": "SELL", "TRADE": "TRADE", "MERGE": "MERGE", "REDEEM": "REDEEM",
    "YIELD": "YIELD", "MIGRATION": "MIGRATION", "surrogate": Text('"\\ud800"'), "surrogate pair": "\U0001f600",
    "RTL": "\u202egnp.exe", "script": "<script>alert(1)</script>", "braces": "{{7*7}}",
    "SQL": "'; DROP TABLE tokens --",
    "format": "%s%n{0}", "control": "a\u0001b", "combining": "e" + "\u0301" * 2_000, "10 kB text": "x" * 10_000,
    "JSON inside": '["1","2"]', "bad JSON inside": '["1",', "NUL text": "a\0b",
}  # fmt: skip
BAD = {
    f"{kind}: {name}": value
    for kind, table in (
        ("number", NUMBERS), ("time", TIMES), ("id", IDS), ("structure", STRUCTURES), ("word", WORDS),
    )
    for name, value in table.items()
}  # fmt: skip


def dump(tree: Any) -> str:
    """JSON text of a tree."""
    if isinstance(tree, Text):
        return tree.text
    if isinstance(tree, Pairs):
        return "{" + ",".join(f"{json.dumps(key)}:{dump(value)}" for key, value in tree.items) + "}"
    if isinstance(tree, dict):
        return dump(Pairs(tuple(tree.items())))
    if isinstance(tree, list):
        return "[" + ",".join(map(dump, tree)) + "]"
    return json.dumps(tree)


def whole(tree: Any) -> bytes:
    """The document as it travels."""
    return dump(tree).encode("utf-8", "surrogatepass")


def paths(tree: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Places of all values in a tree, the document itself last."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = [place for key, value in items for place in paths(value, (*before, key))]
    return [*found, before]


def changed(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at one place."""
    if not place:
        return value
    head, rest = place[0], place[1:]
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[head] = changed(tree[head], rest, value)
    return copy


def value_at(tree: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        tree = tree[step]
    return tree


def without(tree: Any, place: tuple[Any, ...]) -> Any:
    """A copy without one value."""
    parent = value_at(tree, place[:-1])
    kept = (
        {key: value for key, value in parent.items() if key != place[-1]}
        if isinstance(parent, dict)
        else [value for index, value in enumerate(parent) if index != place[-1]]
    )
    return changed(tree, place[:-1], kept)


def bad_documents(good: bytes) -> dict[str, bytes]:
    """What can be wrong with a body as a whole."""
    text = good.decode()
    return {
        "as it should be": good, "empty": b"", "space": b" \n\t ", "NUL": b"\0", "BOM": b"\xef\xbb\xbf" + good,
        "UTF-16 LE": text.encode("utf-16"), "UTF-16 BE": b"\xfe\xff" + text.encode("utf-16-be"),
        "UTF-32": text.encode("utf-32"), "latin-1": text.replace("BUY", "B\xdcY").encode("latin-1"),
        "cut in half": good[: len(good) // 2], "cut at the end": good[:-1], "twice": good + good,
        "garbage behind": good + b"}}", "NUL behind": good + b"\0", "gzip": gzip.compress(good, mtime=0),
        "html": b"<!doctype html><html><body>error 1015</body></html>", "text": b"error code: 1015",
        "null": b"null", "true": b"true", "number": b"12", "string": b'"rows"', "list": b"[]", "object": b"{}",
        "list of list": b"[[]]", "error": b'{"error":"dependency_unavailable"}',
        "errors": b'{"errors":[{"message":"x"}]}',
        "deep": b"[" * DEEP + b"]" * DEEP, "deep and open": b"[" * 200_000, "deep objects": b'{"data":' * DEEP,
        "10 MB digits": b'{"data":' + b"9" * 10_000_000 + b"}", "comma": good.replace(b",", b",,", 1),
        "single quotes": good.replace(b'"', b"'"), "comment": good + b"// end",
        "lone surrogate bytes": b'"\xed\xa0\x80"',
        "bad UTF-8": good.replace(b'"', b'"\xff', 1),
    }  # fmt: skip


def field_cases(tree: Any, row: tuple[Any, ...], write: Callable[[Any], bytes]) -> dict[str, bytes]:
    """Every bad value in every field of one row, each field missing, twice, and null; and bad documents."""
    cases = {f"document/{name}": body for name, body in bad_documents(write(tree)).items()}
    for place in paths(value_at(tree, row), row):
        name = ".".join(map(str, place[len(row) :])) or "row"
        for bad, value in BAD.items():
            cases[f"{name}/{bad}"] = write(changed(tree, place, value))
        if place:
            cases[f"{name}/missing"] = write(without(tree, place))
        parent = value_at(tree, place[:-1]) if place else None
        if isinstance(parent, dict):
            twice = Pairs((*parent.items(), (place[-1], parent[place[-1]])))
            other = Pairs(((place[-1], "first"), *((key, value) for key, value in parent.items() if key != place[-1]),
                           (place[-1], parent[place[-1]])))  # fmt: skip
            cases[f"{name}/twice"] = write(changed(tree, place[:-1], twice))
            cases[f"{name}/twice, first another"] = write(changed(tree, place[:-1], other))
    return cases


_SMALL = [value for value in BAD.values() if len(dump(value)) < 200]
_BYTES = (
    b"\0",
    b"\xff",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"-",
    b"e",
    b".",
    b"0",
    b"9",
    b"\\ud800",
    b"\n",
)


class Mutator:
    """Turns good documents into others, the same for the same seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def bodies(self, trees: list[Any], count: int) -> Any:
        """So many bodies."""
        places = [paths(tree) for tree in trees]
        texts = [whole(tree) for tree in trees]
        for _ in range(count):
            at = self._random.randrange(len(trees))
            if self._random.random() < 0.65:
                yield self._other_tree(trees[at], places[at])
            else:
                yield self._other_bytes(texts[at], texts)

    def _other_tree(self, tree: Any, places: list[tuple[Any, ...]]) -> bytes:
        pick = self._random
        found = tree
        for _ in range(pick.choice((1, 1, 1, 2, 3))):
            place = pick.choice(places)
            action = pick.random()
            try:
                if action < 0.7 or not place:
                    found = changed(found, place, self._value(tree, places))
                elif action < 0.85:
                    found = without(found, place)
                else:
                    found = changed(found, place, [value_at(found, place), value_at(found, place)])
            except (KeyError, IndexError, TypeError, AttributeError):
                continue  # what was there went with an earlier change
        return whole(found)

    def _value(self, tree: Any, places: list[tuple[Any, ...]]) -> Any:
        pick = self._random
        kind = pick.random()
        if kind < 0.45:
            return pick.choice(_SMALL)
        if kind < 0.6:
            return value_at(tree, pick.choice(places))
        if kind < 0.75:
            return pick.choice((str, Text))(
                str(pick.randrange(-(10 ** pick.randrange(1, 30)), 10 ** pick.randrange(1, 80)))
            )
        if kind < 0.9:
            whole_part, digits = pick.randrange(10 ** pick.randrange(1, 14)), pick.randrange(1, 20)
            return Text(f"{whole_part}.{pick.randrange(10**digits):0{digits}d}")
        return "0x" + "".join(
            pick.choice("0123456789abcdefABCDEF") for _ in range(pick.choice((39, 40, 41, 62, 64, 65)))
        )

    def _other_bytes(self, text: bytes, others: list[bytes]) -> bytes:
        pick = self._random
        found = bytearray(text)
        for _ in range(pick.choice((1, 1, 2, 4, 8))):
            if not found:
                break
            at = pick.randrange(len(found))
            action = pick.randrange(6)
            if action == 0:
                found[at] = pick.randrange(256)
            elif action == 1:
                found[at:at] = pick.choice(_BYTES)
            elif action == 2:
                del found[at : at + pick.choice((1, 1, 2, 8, 64))]
            elif action == 3:
                piece = pick.choice(others)
                begin = pick.randrange(len(piece))
                found[at:at] = piece[begin : begin + pick.choice((1, 8, 64, 400))]
            elif action == 4:
                found[at:at] = found[at : at + pick.choice((1, 8, 64, 400))]
            else:
                found[at] ^= 1 << pick.randrange(8)
        return bytes(found[:200_000])
