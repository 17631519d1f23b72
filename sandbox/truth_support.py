"""Ground truth of the support desk: what happened on a day, and how long customers truly waited.

All of it is told by ``sandbox.support.Case``, which is written while things happen. Days are UTC, times run around the
clock from the customer's first word. Resolved are conversations that have not been opened again since their last close.
A rating belongs to the day on which it was asked for, which is that of the first close.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox.company import Company
from sandbox.timeline import day_of


@dataclass(slots=True)
class SupportDay:
    """What happened on a day; waiting times in seconds, in no particular order."""

    opened: int = 0
    closed: int = 0
    reopened: int = 0
    first_responses: list[int] = field(default_factory=list)
    resolutions: list[int] = field(default_factory=list)
    ratings: list[int] = field(default_factory=list)


def days(company: Company) -> dict[dt.date, SupportDay]:
    """Every day on which something happened."""
    found: dict[dt.date, SupportDay] = defaultdict(SupportDay)
    with company.lock:
        for case in company.support.cases.values():
            began = case.created_at
            found[day_of(began)].opened += 1
            if case.first_response_seconds is not None:
                moment = began + case.first_response_seconds
                found[day_of(moment)].first_responses.append(case.first_response_seconds)
            for moment in case.closed_at:
                found[day_of(moment)].closed += 1
            for moment in case.reopened_at:
                found[day_of(moment)].reopened += 1
            if len(case.closed_at) > len(case.reopened_at):
                found[day_of(case.closed_at[-1])].resolutions.append(case.closed_at[-1] - began)
            if case.rating is not None:
                found[day_of(case.closed_at[0])].ratings.append(case.rating)
    return dict(found)


def percentile(seconds: Sequence[int], fraction: float) -> float | None:
    """The value that this fraction of all does not exceed, between two neighbours in proportion; None without any."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    place = fraction * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))
