"""Every parser against the table of bad inputs: what becomes of each case is written down in ``verdicts.txt``.

A case is a bad value in one field of one row, or a bad document. A change of any verdict shows as a difference to the
file; ``python tests/fuzz/test_bad_inputs.py [SOURCE …]`` writes it anew, and the difference is to be read before it is
committed.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_driver import Source
from fuzz_run import prepare, verdict
from fuzz_sources import sources
from fuzz_values import field_cases

VERDICTS = Path(__file__).with_name("verdicts.txt")
LEAST_CASES = 200


def cases_of(source: Source) -> dict[str, bytes]:
    return field_cases(source.trees[0], source.row, source.write)


def told(name: str) -> tuple[list[str], int]:
    """What became of the cases of a source, and their number: a line for each verdict of the same fields."""
    source = sources()[name]
    fields: dict[tuple[str, str], list[str]] = defaultdict(list)
    cases = cases_of(source)
    for case, body in cases.items():
        word, _ = verdict(source, body)
        place, _, bad = case.partition("/")
        fields[word, bad].append(place)
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (word, bad), places in fields.items():
        found[word, " ".join(places)].append(bad)
    return [f"{name} | {word} | {places} | {'; '.join(bad)}" for (word, places), bad in sorted(found.items())], len(
        cases
    )


def written() -> dict[str, list[str]]:
    lines: dict[str, list[str]] = defaultdict(list)
    for line in VERDICTS.read_text(encoding="utf-8").splitlines():
        lines[line.partition(" | ")[0]].append(line)
    return lines


@pytest.mark.parametrize("name", sorted(sources()))
def test_every_bad_input_is_accepted_quarantined_or_refused_as_written_down(name):
    prepare()
    lines, count = told(name)
    assert lines == written()[name]
    assert count >= LEAST_CASES or name == "file wallets"


def test_good_documents_are_accepted_and_read_as_the_slow_reading_does():
    prepare()
    for source in sources().values():
        for tree in source.trees:
            word, reading = verdict(source, source.write(tree))
            assert word == "accepted", source.name
            assert reading.accepted
            if source.slow is not None:
                assert reading.checked, source.name
                assert not reading.checked - source.slow(source.write(tree))


def test_nothing_else_is_written_down():
    assert set(written()) == set(sources())


if __name__ == "__main__":
    prepare()
    known = written() if VERDICTS.exists() else {}
    chosen = sys.argv[1:] or sorted(sources())
    every = {name: told(name)[0] if name in chosen else known.get(name, []) for name in sorted(sources())}
    VERDICTS.write_text("".join(f"{line}\n" for lines in every.values() for line in lines), encoding="utf-8")
