"""When a plan runs: a crontab line of five fields, in UTC.

Minute, hour, day of the month, month, day of the week; ``*``, ``*/n``, ranges, ranges with steps, lists, and names of
months and weekdays. One of the two day fields must be ``*``: crontab joins them by "or", everybody else by "and".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from polyhouse.errors import ConfigError

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = (
    {name: number for number, name in enumerate(_WEEKDAYS)},
    {name: number for number, name in enumerate(_MONTHS, start=1)},
)
_PART = re.compile(r"(?P<any>\*)(?:/(?P<every>\d+))?|(?P<first>\w+)(?:-(?P<last>\w+)(?:/(?P<step>\d+))?)?")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    words: dict[str, int]


_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of the month", 1, 31, {}),
    _Field("month", 1, 12, _NAMES[1]),
    _Field("day of the week", 0, 7, _NAMES[0]),
)


@dataclass(frozen=True)
class Rule:
    """A rule that was checked: sorted numbers per field, None = every value. Sunday is 0."""

    text: str
    minutes: tuple[int, ...] | None
    hours: tuple[int, ...] | None
    days: tuple[int, ...] | None
    months: tuple[int, ...] | None
    weekdays: tuple[int, ...] | None

    def next_after(self, moment: int) -> int:
        """The next time of the rule after ``moment``, both in Unix seconds."""
        after = datetime.fromtimestamp(moment + 1, UTC)
        return int(self.trigger().get_next_fire_time(None, after).timestamp())

    def newest(self, since: int, until: int) -> int | None:
        """The newest time of the rule in (since, until], Unix seconds; None if there is none."""
        newest, moment = None, self.next_after(since)
        while moment <= until:
            newest, moment = moment, self.next_after(moment)
        return newest

    def trigger(self, jitter: int = 0) -> CronTrigger:
        """The rule for APScheduler, each time up to ``jitter`` seconds later."""
        from apscheduler.triggers.cron import CronTrigger

        minutes, hours, days, months, weekdays = self._expressions
        return CronTrigger(
            minute=minutes, hour=hours, day=days, month=months, day_of_week=weekdays, second=0, timezone=UTC,
            jitter=jitter or None,
        )  # fmt: skip

    def calendar(self) -> str:
        """The rule for systemd's ``OnCalendar``."""
        minutes, hours, days, months, weekdays = self._expressions
        prefix = "" if weekdays == "*" else f"{weekdays.title()} "
        two = [",".join(number.zfill(2) for number in field.split(",")) for field in (months, days, hours, minutes)]
        return f"{prefix}*-{two[0]}-{two[1]} {two[2]}:{two[3]}:00 UTC".replace("0*", "*")

    @cached_property
    def _expressions(self) -> tuple[str, ...]:
        """Lists of numbers and names that every scheduler reads the same way: crontab's Sunday 0 is not everybody's."""
        plain = [self.minutes, self.hours, self.days, self.months]
        numbers = ["*" if field is None else ",".join(map(str, field)) for field in plain]
        weekdays = "*" if self.weekdays is None else ",".join(_WEEKDAYS[day] for day in self.weekdays)
        return (*numbers, weekdays)


def parse_rule(text: str) -> Rule:
    """Read a rule.

    Raises:
        ConfigError: it is not a crontab line, or its time never comes; says what is wrong.
    """
    parts = text.lower().split()
    if len(parts) != len(_FIELDS):
        raise ConfigError(f"{text!r} is not a crontab line of five fields", hint='like "*/30 * * * *"')
    minutes, hours, days, months, weekdays = (_parse(part, field) for part, field in zip(parts, _FIELDS, strict=True))
    if weekdays is not None:
        weekdays = tuple(sorted({day % 7 for day in weekdays}))
    if days is not None and weekdays is not None:
        raise ConfigError(f"{text!r} names days of the month and of the week", hint="leave one of them at *")
    rule = Rule(" ".join(parts), minutes, hours, days, months, weekdays)
    if rule.trigger().get_next_fire_time(None, datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise ConfigError(f"{text!r} is a day that never comes")
    return rule


def _parse(text: str, field: _Field) -> tuple[int, ...] | None:
    if text == "*":
        return None
    values: set[int] = set()
    for part in text.split(","):
        found = _PART.fullmatch(part)
        if found is None:
            raise ConfigError(f"{part[:40]!r} is no {field.name}")
        if found["any"]:
            first, last, step = field.first, field.last, found["every"]
            last = 6 if field.last == 7 else last
        else:
            first = _number(found["first"], field)
            last, step = (first, None) if found["last"] is None else (_number(found["last"], field), found["step"])
        width = int(step or 1)
        if first > last or width < 1:
            raise ConfigError(f"{part[:40]!r} is no {field.name}")
        values.update(range(first, last + 1, width))
    return tuple(sorted(values))


def _number(word: str, field: _Field) -> int:
    number = field.words.get(word, int(word) if word.isascii() and word.isdigit() and len(word) < 3 else -1)
    if not field.first <= number <= field.last:
        raise ConfigError(f"{word[:40]!r} is no {field.name}", hint=f"{field.first} to {field.last}")
    return number
