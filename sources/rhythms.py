"""A schedule in words: the few rhythms people ask for, and the cron expression each of them is.

A `Rhythm` is what the form holds; a five-field cron expression is what a source stores. Both ways, without loss:
`from_cron(rhythm.to_cron())` is the same rhythm, and an expression that is none of them stays a cron rhythm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from enum import StrEnum

from cron_descriptor import CasingTypeEnum, Options, get_description

# Only what divides the hour or the day: "every 7 minutes" would leave a gap of 4 at each full hour.
MINUTES = (5, 10, 15, 20, 30)
HOURS = (1, 2, 3, 4, 6, 8, 12)
PAST = tuple(range(0, 60, 5))
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_DAY = r"(?P<minute>\d{1,2}) (?P<hour>\d{1,2}) \* \*"


class Kind(StrEnum):
    MANUAL = "manual"
    MINUTES = "minutes"
    HOURS = "hours"
    DAILY = "daily"
    WEEKDAYS = "weekdays"
    WEEKLY = "weekly"
    CRON = "cron"


KIND_LABELS: dict[Kind, str] = {
    Kind.MINUTES: "Every few minutes",
    Kind.HOURS: "Every few hours",
    Kind.DAILY: "Every day at a time",
    Kind.WEEKDAYS: "Weekdays (Monday to Friday) at a time",
    Kind.WEEKLY: "Every week on chosen days",
    Kind.MANUAL: "Only by hand",
    Kind.CRON: "Cron expression (for experts)",
}


@dataclass(frozen=True)
class Rhythm:
    """`every` counts minutes or hours; `past` is the minute of the hour; `days` are cron's (Sunday 0 … Saturday 6)."""

    kind: Kind
    every: int = 0
    past: int = 0
    at: time = time(7, 0)
    days: tuple[int, ...] = ()
    expression: str = ""

    def to_cron(self) -> str:
        clock = f"{self.at.minute} {self.at.hour} * *"
        match self.kind:
            case Kind.MANUAL:
                return ""
            case Kind.MINUTES:
                return f"*/{self.every} * * * *"
            case Kind.HOURS:
                return f"{self.past} * * * *" if self.every == 1 else f"{self.past} */{self.every} * * *"
            case Kind.DAILY:
                return f"{clock} *"
            case Kind.WEEKDAYS:
                return f"{clock} 1-5"
            case Kind.WEEKLY:
                return f"{clock} {','.join(str(day) for day in sorted(self.days))}"
        return self.expression

    def in_words(self) -> str:
        clock = f"{self.at:%H:%M}"
        match self.kind:
            case Kind.MANUAL:
                return "Only by hand"
            case Kind.MINUTES:
                return f"Every {self.every} minutes"
            case Kind.HOURS:
                words = "Every hour" if self.every == 1 else f"Every {self.every} hours"
                return f"{words}, {self.past} minutes past" if self.past else words
            case Kind.DAILY:
                return f"Every day at {clock}"
            case Kind.WEEKDAYS:
                return f"Weekdays at {clock}"
            case Kind.WEEKLY:
                # People's weeks start on Monday, cron's on Sunday.
                names = [WEEKDAYS[(day - 1) % 7] for day in sorted(self.days, key=lambda day: (day - 1) % 7)]
                return f"Every {_and(names)} at {clock}"
        return _described(self.expression)


def from_cron(expression: str) -> Rhythm:
    """The rhythm a canonical expression stands for; `Kind.CRON` when it is none of the everyday ones."""
    if not expression:
        return Rhythm(Kind.MANUAL)
    if (found := re.fullmatch(r"\*/(\d+) \* \* \* \*", expression)) and int(found[1]) in MINUTES:
        return Rhythm(Kind.MINUTES, every=int(found[1]))
    if (found := re.fullmatch(r"(\d+) (?:\*|\*/(\d+)) \* \* \*", expression)) and int(found[1]) in PAST:
        every = int(found[2] or 1)
        if every in HOURS and not (found[2] and every == 1):
            return Rhythm(Kind.HOURS, every=every, past=int(found[1]))
    if found := re.fullmatch(rf"{_DAY} (?P<days>\*|1-5|[0-6](?:,[0-6])*)", expression):
        at = time(int(found["hour"]), int(found["minute"]))
        if found["days"] == "*":
            return Rhythm(Kind.DAILY, at=at)
        if found["days"] == "1-5":
            return Rhythm(Kind.WEEKDAYS, at=at)
        return Rhythm(Kind.WEEKLY, at=at, days=tuple(sorted({int(day) for day in found["days"].split(",")})))
    return Rhythm(Kind.CRON, expression=expression)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _described(expression: str) -> str:
    options = Options()
    options.use_24hour_time_format = True
    options.casing_type = CasingTypeEnum.Sentence
    options.day_of_week_start_index_zero = True
    try:
        return get_description(expression, options)
    except Exception:  # the describer's own exceptions; the expression itself was validated before
        return expression
