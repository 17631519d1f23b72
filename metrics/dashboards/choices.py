"""What the reader has chosen. It lives in the address, so that it can be shared and the back button works.

month=2026-10     the month that is looked at; the latest when left out
months=12|24|all  how far back charts and tables go
by=mrr|customers  what cohorts count
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from urllib.parse import parse_qsl, urlencode

RANGES = {"12": 12, "24": 24, "all": 0}
RANGE_WORDS = {"12": "12 months", "24": "24 months", "all": "All months"}
COUNTS = {"mrr": "MRR", "customers": "Customers"}
DEFAULT_RANGE, DEFAULT_COUNT = "24", "mrr"
_MONTH = re.compile(r"(\d{4})-(\d{2})\Z")


@dataclass(frozen=True)
class Choices:
    """`problems`: sentences about what was asked for and cannot be had; the default is shown instead."""

    month: date | None = None
    months: str = DEFAULT_RANGE
    by: str = DEFAULT_COUNT
    problems: tuple[str, ...] = field(default=(), compare=False)

    def query(self, **changes: object) -> str:
        """The address's query for these choices; defaults are left out. `query(month=None)` forgets the month."""
        chosen = replace(self, **changes)  # type: ignore[arg-type]
        said = {
            "month": f"{chosen.month:%Y-%m}" if chosen.month else "",
            "months": chosen.months if chosen.months != DEFAULT_RANGE else "",
            "by": chosen.by if chosen.by != DEFAULT_COUNT else "",
        }
        return urlencode({name: value for name, value in said.items() if value})

    def within(self, months: Sequence[date]) -> Choices:
        """The same with a month that exists: of `months` (oldest first), the latest when none was asked for."""
        if not months or self.month in months:
            return self
        if self.month is None:
            return replace(self, month=months[-1])
        problem = f"There are no numbers for {self.month:%B %Y}, so you see {months[-1]:%B %Y}."
        return replace(self, month=months[-1], problems=(*self.problems, problem))

    def last(self, months: Sequence[date]) -> list[date]:
        """As many of `months` (oldest first) as are wanted, up to the chosen one."""
        known = [month for month in months if self.month is None or month <= self.month]
        return known[-RANGES[self.months] :] if RANGES[self.months] else list(known)


def read(parameters: Mapping[str, str]) -> Choices:
    problems: list[str] = []
    month = _month(parameters.get("month", ""), problems)
    months = _one_of(RANGES, parameters.get("months", ""), DEFAULT_RANGE, "number of months", problems)
    by = _one_of(COUNTS, parameters.get("by", ""), DEFAULT_COUNT, "way to count cohorts", problems)
    return Choices(month, months, by, tuple(problems))


def read_query(search: str | None) -> Choices:
    """From the part of an address after the question mark (with or without it)."""
    return read(dict(parse_qsl((search or "").removeprefix("?"))))


def _month(said: str, problems: list[str]) -> date | None:
    if not said:
        return None
    found = _MONTH.match(said)
    try:
        if found:
            return date(int(found[1]), int(found[2]), 1)
    except ValueError:
        pass
    problems.append(f"“{_short(said)}” is not a month (write 2026-10), so you see the latest.")
    return None


def _one_of(known: Mapping[str, object], said: str, default: str, what: str, problems: list[str]) -> str:
    if not said or said in known:
        return said or default
    problems.append(f"“{_short(said)}” is not a {what} (use {' or '.join(known)}), so you see {default}.")
    return default


def _short(said: str) -> str:
    return said if len(said) <= 20 else f"{said[:20]}…"
