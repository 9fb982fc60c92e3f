"""Seeded mutations of every good document: a small part of what ``make fuzz`` runs, and proof that it can fail."""

from __future__ import annotations

import dataclasses

import pytest
from fuzz_driver import Reading
from fuzz_run import fuzz, prepare, verdict
from fuzz_sources import sources

INPUTS = 250


@pytest.mark.parametrize("name", sorted(sources()))
def test_no_mutation_crashes_hangs_or_becomes_a_wrong_row(name):
    prepare()
    report = fuzz(name, INPUTS, "suite", None)
    assert report["failures"] == []
    assert report["inputs"] == sum(report["verdicts"].values()) == INPUTS
    assert report["verdicts"].get("accepted", 0) >= INPUTS // 50, "the mutations leave nothing whole"


def test_a_row_that_is_not_in_the_input_is_found():
    source = sources()["data.trades"]
    body = source.write(source.trees[0])

    def one_more(_body: bytes) -> Reading:
        reading = source.read(body)
        row = next(iter(reading.checked))
        reading.checked[(*row[:6], row[6] + 1, *row[7:])] += 1
        return reading

    with pytest.raises(AssertionError, match="rows that are not in the input"):
        verdict(dataclasses.replace(source, read=one_more), body)


def test_another_exception_than_ours_is_found():
    source = sources()["data.trades"]

    def crash(_body: bytes) -> Reading:
        raise RecursionError

    with pytest.raises(RecursionError):
        verdict(dataclasses.replace(source, read=crash), b"")
