"""Simulated time: what happens when, and the clock that says how far the world has come.

The company is a queue of things that will happen. Running it to the same moment gives the same world, in one step or
in a thousand, which is why only the seed and the start have to be kept on disk.
"""

from __future__ import annotations

import calendar
import datetime as dt
import heapq
import itertools
from collections.abc import Callable
from typing import Any

HOUR = 3600
DAY = 24 * HOUR


def utc(seconds: int) -> dt.datetime:
    """Epoch seconds as an aware UTC datetime."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def day_of(seconds: int) -> dt.date:
    """The UTC day a moment falls on."""
    return utc(seconds).date()


def iso(seconds: int) -> str:
    """A moment as GitHub writes it: ``2026-11-22T23:50:55Z``."""
    return utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def add_months(seconds: int, months: int) -> int:
    """The same day and time so many months on; the last day of the month where that day does not exist."""
    moment = utc(seconds)
    index = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(index, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


def month_start(seconds: int) -> int:
    """Midnight UTC of the first day of the month."""
    return int(utc(seconds).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())


def office_time(moment: float) -> int:
    """The moment itself if it lies between 8 and 18 o'clock (UTC) on a working day, otherwise one of the next morning."""
    day, second = divmod(round(moment), DAY)
    if second < 8 * HOUR:
        second = 8 * HOUR + second // 8
    elif second >= 18 * HOUR:
        day, second = day + 1, 8 * HOUR + (second - 18 * HOUR) // 6
    while utc(day * DAY).weekday() >= 5:
        day += 1
    return day * DAY + second


class Timeline:
    """A queue of happenings in order of time; ``now`` moves only forward."""

    def __init__(self, start: int, horizon: int) -> None:
        self.now = start
        #: How far the current run will go: what lies well before it need not leave a trace that ages away.
        self.horizon = horizon
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()

    def at(self, moment: int, happening: Callable[..., None], *args: Any) -> None:
        """Let something happen at a moment; a moment that has passed means now."""
        heapq.heappush(self._queue, (max(moment, self.now), next(self._order), happening, args))

    def run(self, until: int) -> None:
        """Let everything happen up to and including ``until``."""
        self.horizon = max(self.horizon, until)
        while self._queue and self._queue[0][0] <= until:
            moment, _, happening, args = heapq.heappop(self._queue)
            self.now = moment
            happening(*args)
        self.now = max(self.now, until)
