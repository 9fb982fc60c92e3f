"""Fuzzes the parsers: ``python tests/fuzz/fuzz_run.py --inputs 1000000 --processes 2 [--seed S] [--source NAME …]``.

An input may be accepted, quarantined, or refused with an error of the product. Everything else is a failure: another
exception, an accepted row that the slow reading does not know, a value that the warehouse cannot take, or more than
``SECONDS`` of computing. A failure is written to ``--keep`` with its input and ends the program with 1.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from fuzz_driver import Reading, Source
from fuzz_sources import sources
from fuzz_values import Mutator, whole

from polyhouse.errors import PolyhouseError, RowRejectedError

SECONDS = 5
_OUR_BUG = 70


class HangsError(BaseException):
    """An input that takes too long; no handler of the product may catch it."""


def _alarm(_number: int, _frame: Any) -> None:
    raise HangsError


def verdict(source: Source, body: bytes) -> tuple[str, Reading | None]:
    """What became of one input: ``accepted``, ``quarantined …``, ``refused …``, ``nothing``.

    Raises:
        AssertionError, or whatever a parser lets through that it must not.
    """
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        reading = source.read(body)
    except PolyhouseError as error:
        _judge(error)
        return f"refused {error.code}", None
    except UnicodeEncodeError as error:
        raise AssertionError(str(error)) from error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if source.slow is not None and reading.checked:
        wrong = reading.checked - source.slow(body)
        assert not wrong, f"rows that are not in the input: {list(wrong)[:2]}"
    if reading.rejected:
        return f"quarantined {' '.join(sorted(reading.rejected))}", reading
    return ("accepted" if reading.accepted else "nothing"), reading


def _judge(error: PolyhouseError) -> None:
    """An error is one line for people, and says that the input is at fault."""
    assert error.exit_code != _OUR_BUG, f"{type(error).__name__} is our own bug: {error}"
    assert not isinstance(error, RowRejectedError), f"a row's error ends the run: {error}"
    assert "\n" not in str(error).strip(), "an error of several lines"
    assert len(str(error)) < 2_000, f"an error of {len(str(error))} characters"


def prepare() -> None:
    """Count the time that this process computes; a hanging parser is stopped."""
    signal.signal(signal.SIGVTALRM, _alarm)


def fuzz(name: str, count: int, seed: str, keep: Path | None) -> dict[str, Any]:
    """So many inputs of one source."""
    source = sources()[name]
    made, found, rows = Counter(), [], Counter()
    trees = [tree for tree in source.trees if source.write is whole] or source.trees
    mutator = Mutator(f"{seed}/{name}")
    bodies = mutator.bodies(trees, count) if source.write is whole else _written(mutator, source, count)
    began = time.process_time()
    for number, body in enumerate(bodies):
        try:
            word, reading = verdict(source, body)
        except (Exception, HangsError) as error:  # noqa: BLE001 - looked for
            made["FAILED"] += 1
            text = "".join(traceback.format_exception(error)[-6:])
            if len(found) < 20:
                shown = body[:3_000].decode("utf-8", "backslashreplace")
                word = f"{type(error).__name__}: {error}"[:400]
                found.append({"number": number, "error": word, "trace": text[-1500:], "body": shown})
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{name.replace(' ', '-')}-{number}.bin").write_bytes(body)
            continue
        made[word.split(" ", maxsplit=1)[0]] += 1
        if reading is not None:
            rows["accepted"] += reading.accepted
            rows["compared"] += sum(reading.checked.values())
            rows["quarantined"] += sum(reading.rejected.values())
    return {"source": name, "inputs": count, "verdicts": dict(made), "rows": dict(rows), "failures": found,
            "cpu_seconds": round(time.process_time() - began, 1)}  # fmt: skip


def _written(mutator: Mutator, source: Source, count: int) -> Any:
    """Inputs of a source whose documents are no JSON: its good ones, spoiled byte by byte."""
    texts = [source.write(tree) for tree in source.trees]
    for _ in range(count):
        yield mutator._other_bytes(mutator._random.choice(texts), texts)


def _job(job: tuple[str, int, str, Path | None]) -> dict[str, Any]:
    prepare()
    return fuzz(*job)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--seed", default="1")
    parser.add_argument("--source", action="append", choices=sorted(sources()))
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    names = arguments.source or sorted(sources())
    pieces = 4
    each = -(-arguments.inputs // (len(names) * pieces))
    jobs = [(name, each, f"{arguments.seed}.{piece}", arguments.keep) for piece in range(pieces) for name in names]
    total: dict[str, dict[str, Any]] = {}
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for report in pool.imap_unordered(_job, jobs):
            known = total.setdefault(report["source"], {"inputs": 0, "verdicts": Counter(), "rows": Counter(),
                                                        "failures": [], "cpu_seconds": 0.0})  # fmt: skip
            for key in ("inputs", "cpu_seconds"):
                known[key] += report[key]
            for key in ("verdicts", "rows"):
                known[key].update(report[key])
            known["failures"] += report["failures"]
    failed = sum(len(one["failures"]) for one in total.values())
    print(json.dumps(total, indent=1))
    print(f"{sum(one['inputs'] for one in total.values()):,} inputs, {failed} failures", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
