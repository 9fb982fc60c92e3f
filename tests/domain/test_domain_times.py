"""Times in the spellings of the upstreams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyhouse.domain.contracts import CLOB_V2_CUTOVER_TS, REDEEM_PER_OUTCOME_TS
from polyhouse.domain.times import MAX_TIME, MIN_TIME, format_time, parse_time
from polyhouse.errors import BadInputError


@given(st.integers(MIN_TIME, MAX_TIME))
def test_a_time_survives_print_and_parse(seconds):
    text = format_time(seconds)
    assert parse_time(text) == parse_time(seconds) == parse_time(str(seconds)) == seconds
    assert parse_time(text.replace("T", " ").replace("Z", "+00")) == seconds
    assert parse_time(text.replace("Z", ".123456Z")) == seconds


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("2026-07-24 00:00:16+00", "2026-07-24T00:00:16Z"),
        ("2026-07-24", "2026-07-24T00:00:00Z"),
        ("2026-07-24T02:00:16.5+02:00", "2026-07-24T00:00:16Z"),
        ("2026-07-23T18:30:16-0530", "2026-07-24T00:00:16Z"),
        ("2026-07-24T00:00:16.999999Z", "2026-07-24T00:00:16Z"),
        (1_777_374_000, "2026-04-28T11:00:00Z"),
    ],
)
def test_spellings(text, printed):
    assert format_time(parse_time(text)) == printed


def test_the_turning_points_of_the_exchange():
    assert format_time(CLOB_V2_CUTOVER_TS) == "2026-04-28T11:00:00Z"
    assert format_time(REDEEM_PER_OUTCOME_TS) == "2026-08-10T00:00:00Z"


BAD_TIMES = [
    "", "now", "2026-02-30", "2026-13-01", "2026-07-24T25:00:00Z", "2026-07-24T00:00:60Z", "2026-07-24T00:00:00",
    "2026-07-24T00:00:00.Z", "2026-7-4", "٢٠٢٦-07-24", "2026-07-24T00:00:00+99", "2014-12-31T23:59:59Z", "2101-01-01",
    "0", 0, -1, "-1", True, None, 1.5e9, "1.5", b"2026", "1" * 10_000, 10**5_000, "2026-07-24T00:00:00Z\n",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_TIMES, ids=lambda bad: str(type(bad)) if isinstance(bad, int) else repr(bad)[:24])
def test_what_is_no_time_is_refused_with_its_name(bad):
    with pytest.raises(BadInputError, match=r"^closed_at ") as caught:
        parse_time(bad, "closed_at")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("factor", [10**3, 10**6, 10**9])
def test_milliseconds_and_finer_are_named_as_such(factor):
    with pytest.raises(BadInputError, match="milliseconds"):
        parse_time(1_777_374_000 * factor)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_clear_error(text):
    try:
        assert MIN_TIME <= parse_time(text) <= MAX_TIME
    except BadInputError as error:
        assert "expected" in str(error) or "year" in str(error) or "no such" in str(error) or "seconds" in str(error)  # noqa: PT017
