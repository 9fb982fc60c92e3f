"""Planted bugs: pieces of the real modules' source, changed; the code of the functions they are in is swapped for a
while."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """One bug: in ``module``, ``old`` (found exactly once) becomes ``new``."""

    module: str
    old: str
    new: str


_WRITE = "        await self._retried(lambda: self._write(deliveries))\n"
_MOVE = "        await self._retried(lambda: self._move(deliveries))\n"
_WRITER, _WALK = "polyhouse.sync.writer", "polyhouse.sync.walk"
_ACTIVITY, _ROWS = "polyhouse.sources.data_api.activity", "polyhouse.sources.walk"
_TRADES = "polyhouse.sources.data_api.trades"

MUTANTS = {
    "position of the page before": Mutant(_WRITER, "position=d.page.position,\n", "position=d.position_from,\n"),
    "one page of a batch": Mutant(_WRITER, "merge_tables(deliveries).items()", "merge_tables(deliveries[:1]).items()"),
    "every page is the last": Mutant(_WRITER, "is_last=d.page.is_last,\n", "is_last=True,\n"),
    "a resumed second begins anew": Mutant(_ACTIVITY, 'SecondCounter(position.get("second"))', "SecondCounter(None)"),
    "checkpoint before the rows": Mutant(_WRITER, _WRITE + _MOVE, _MOVE + _WRITE),
    "insert error swallowed": Mutant(
        _WRITER,
        "        written = self._warehouse.write(table, columns, run=self._run, token=batch_token(table, digests))\n",
        "        try:\n            written = self._warehouse.write(table, columns, run=self._run,"
        " token=batch_token(table, digests))\n        except RetryableError:\n            return\n",
    ),
    "manifest left out": Mutant(
        _WRITER, '        self._insert("sync_pages", manifest', "        (lambda *_: None)(0, manifest"
    ),
    "goes on after a failed batch": Mutant(
        _WRITER,
        "            self.failure = error\n        except PolyhouseError as error:\n            # One page",
        "            pass\n        except PolyhouseError as error:\n            # One page",
    ),
    "pages out of order": Mutant(_WRITER, "batch.append(self._queue.popleft())", "batch.append(self._queue.pop())"),
    "restart forgets the cursor's second": Mutant(
        _ACTIVITY, '        return {"start": second, **', '        return {"start": second + 1, **'
    ),
    "short page is the end": Mutant(
        _ACTIVITY,
        "if page.cursor else None\n            after",
        "if page.cursor and page.fetched >= 3 else None\n            after",
    ),
    "empty page is the end": Mutant(
        _ACTIVITY,
        "if page.cursor else None\n            after",
        "if page.cursor and page.fetched else None\n            after",
    ),
    "no overlap": Mutant(
        _ACTIVITY, 'int(position.get("from", 0)) - OVERLAP_SECONDS', 'int(position.get("from", 0)) + 1'
    ),
    "equal rows are one": Mutant(_ROWS, "        self._same[row] = count + 1\n", "        self._same[row] = count\n"),
    "equal rows forgotten at the edge": Mutant(
        _ROWS, "count = self._edge.get(digest(row), 0) if self._edge else 0", "count = 0"
    ),
    "repeated cursor accepted": Mutant(_ROWS, "        if mark in self._all:", "        if False:"),
    "unsorted page accepted": Mutant(_ACTIVITY, "        if ts < self.counter.ts:", "        if False:"),
    "quarantine ignored": Mutant(
        _WRITER, "                rejected=d.page.rejected,\n", "                rejected=(),\n"
    ),
    "error is an empty result": Mutant(
        _WALK,
        "        except PolyhouseError as error:\n            self.error = error\n",
        '        except PolyhouseError:\n            self._end = "ok"\n',
    ),
    "trades stop too early": Mutant(_TRADES, "reader.counter.ts < stop)", "reader.counter.ts < stop + 900)"),
    "local clock as time of rows": Mutant(
        _ACTIVITY,
        "self._wallet, token, condition, tx, name, ts,",
        "self._wallet, token, condition, tx, name, ts + 3_600,",
    ),
    "amounts as floats": Mutant(
        _ACTIVITY,
        '    shares = micros_of(row.size, "size")\n    cash',
        "    shares = int(float(row.size) * 999_999.9)\n    cash",
    ),
}
"""Name → bug."""

SEEN_BY = {
    "goes on after a failed batch": 2, "restart forgets the cursor's second": 28, "empty page is the end": 113,
    "no overlap": 10, "equal rows are one": 2, "equal rows forgotten at the edge": 2, "repeated cursor accepted": 84,
    "unsorted page accepted": 3, "quarantine ignored": 9, "error is an empty result": 26, "every page is the last": 46,
    "a resumed second begins anew": 25, "trades stop too early": 93,
}  # fmt: skip
"""The first schedule that sees a bug, where that is not the first of all."""


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """While it is open, the functions of the module are those of its changed source."""
    module = importlib.import_module(mutant.module)
    path = Path(str(module.__file__))
    source = path.read_text()
    assert source.count(mutant.old) == 1, f"{mutant.module}: {source.count(mutant.old)} places like {mutant.old!r}"
    changed = types.ModuleType(mutant.module)
    changed.__dict__.update(__name__=mutant.module, __file__=str(path), __package__=module.__package__)
    sys.modules[mutant.module] = changed  # dataclasses look their module up while it is made
    try:
        exec(compile(source.replace(mutant.old, mutant.new), str(path), "exec"), changed.__dict__)
    finally:
        sys.modules[mutant.module] = module
    swapped = list(_different(module.__dict__, changed.__dict__, mutant.module))
    assert swapped, f"{mutant.module}: nothing changed"
    before = [(function, function.__code__) for function, _ in swapped]
    try:
        for function, code in swapped:
            function.__code__ = code
        yield
    finally:
        for function, code in before:
            function.__code__ = code


def _different(old: Any, new: Any, module: str) -> Iterator[tuple[types.FunctionType, types.CodeType]]:
    """Functions and methods whose code is not the same, with the new code."""
    for name, value in old.items():
        other = new.get(name)
        plain = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        changed = other.fget if isinstance(other, property) else getattr(other, "__func__", other)
        if isinstance(plain, types.FunctionType) and isinstance(changed, types.FunctionType):
            if plain.__module__ == module and plain.__code__ != changed.__code__:
                yield plain, changed.__code__
        elif isinstance(value, type) and value.__module__ == module and isinstance(other, type):
            yield from _different(vars(value), vars(other), module)
