"""Mixpanel's raw event export, some days at a time: kept on disk until it has ended well, watched, and then handed out."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import IO, Any

import orjson

from portal.failures import TerminalError, TransientError
from sources.connectors.base import Page
from sources.connectors.http import ApiClient
from sources.connectors.mixpanel_copies import Copies
from sources.connectors.mixpanel_streams import EVENTS
from sources.connectors.mixpanel_times import Times
from sources.connectors.shape import Shape

WINDOW_DAYS = 30  # asked for at once …
WINDOWS = 50  # … or more, so that one read stays below the 60 exports an hour
PAGE_ROWS = 5_000
TRIES = 3  # of an export that breaks off in the middle
LAST_ID = 2**128


class Export:
    """One read of the events of a project, from `start` to `today`; `forbidden`: the sentence for a 403."""

    def __init__(
        self,
        client: ApiClient,
        times: Times,
        *,
        project: str,
        start: date,
        today: date,
        late_days: int,
        forbidden: str,
    ) -> None:
        self.client = client
        self.times = times
        self.project = project
        self.start, self.today = start, today
        self.late_days = timedelta(days=late_days)
        self.forbidden = forbidden
        self.shape = Shape(EVENTS, omit=("mp_processing_time_ms",))

    def pages(self, since: Mapping[str, Any]) -> Iterator[Page]:
        newest = str(since.get("day") or "")
        seen: dict[str, str] = dict(since.get("seen") or {})
        first = date.fromisoformat(newest) - self.late_days if newest else self.start
        for start, end in self._windows(first):
            with tempfile.TemporaryFile() as file:
                days = self._download(start, end, file)
                changed = {day for day, mark in days.items() if seen.get(day) != mark}
                yield from self._rows(file, changed)
            newest = max([newest, *(day for day in days if day <= end.isoformat())])
            if newest:
                back_to = (date.fromisoformat(newest) - self.late_days).isoformat()
                seen = {day: mark for day, mark in {**seen, **days}.items() if day >= back_to}
            yield Page([], cursor={"day": newest, "seen": seen})

    def _windows(self, first: date) -> Iterator[tuple[date, date]]:
        days = (self.today - first).days + 1
        size = timedelta(days=max(WINDOW_DAYS, math.ceil(days / WINDOWS)))
        start = first
        while start <= self.today:
            yield start, min(start + size - timedelta(days=1), self.today)
            start += size

    def _download(self, start: date, end: date, file: IO[bytes]) -> dict[str, str]:
        """Keep the export of some days in `file`; returns each day's fingerprint, the same in whatever order it came."""
        for left in reversed(range(TRIES)):
            file.seek(0)
            file.truncate()
            marks: Counter[str] = Counter()
            try:
                for item in self._lines(start, end):
                    line = _line(item)
                    file.write(line + b"\n")
                    mark = int.from_bytes(hashlib.blake2b(line, digest_size=16).digest())
                    marks[_day(item)] += mark
                return {day: f"{mark % LAST_ID:032x}" for day, mark in sorted(marks.items())}
            except TransientError as error:
                # What failed before the first event was tried often enough already.
                if not left or not marks or error.kind != "unreachable":
                    raise
        raise AssertionError("unreachable")

    def _lines(self, start: date, end: date) -> Iterator[dict[str, Any]]:
        asked = {"project_id": self.project, "from_date": start.isoformat(), "to_date": end.isoformat()}
        for item in self.client.lines("api/2.0/export", asked, forbidden=self.forbidden):
            if not (isinstance(item, dict) and isinstance(item.get("properties"), dict) and "event" in item):
                raise TransientError(
                    "Mixpanel sent something in the middle of the events that is not one. Nothing of these days was "
                    "loaded.",
                    f"{start} to {end}: {orjson.dumps(item)[:500]!r}",
                    kind="server_error",
                )
            yield item

    def _rows(self, file: IO[bytes], days: set[str]) -> Iterator[Page]:
        """The events of these days; of an event that was delivered more than once, the copy that came last."""
        if not days:
            return
        # Rows of a window are handed out only after its times were watched: a wrong zone must not reach the warehouse.
        copies = Copies()
        for item in _kept(file):
            self._watch(item["properties"])
            if _day(item) in days:
                copies.note(_identity(item))
        self.times.refuse_if_wrong()
        rows: list[dict[str, Any]] = []
        latest: dict[tuple[Any, ...], dict[str, Any]] = {}
        for item in _kept(file):
            if _day(item) not in days:
                continue
            key = _identity(item)
            if not copies.may_have(key):
                rows.append(self._row(item, key))
            elif key not in latest or _order(latest[key]) < _order(item):
                latest[key] = item
            if len(rows) >= PAGE_ROWS:
                yield Page(rows)
                rows = []
        yield Page([*rows, *(self._row(item, key) for key, item in latest.items())])

    def _watch(self, properties: Mapping[str, Any]) -> None:
        received = _received(properties)
        if received is not None:
            self.times.watch(self.times.moment(properties["time"], received), received)

    def _row(self, item: Mapping[str, Any], key: tuple[str, str, Any, str]) -> dict[str, Any]:
        properties = item["properties"]
        received = _received(properties)
        moment = self.times.moment(properties["time"], received)
        rest = {name: value for name, value in item.items() if name not in {"event", "properties"}}
        event, distinct_id, _, insert_id = key
        return self.shape.row(
            {**rest, **properties},
            event=event,
            distinct_id=distinct_id,
            insert_id=insert_id,
            time=moment,
            local_date=self.times.local_date(moment),
            received_at=received,
        )


def _kept(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    file.seek(0)
    return map(orjson.loads, file)


def _identity(item: Mapping[str, Any]) -> tuple[str, str, Any, str]:
    """The four by which Mixpanel tells copies of an event: name, user, time, insert id."""
    properties = item["properties"]
    insert_id = str(properties.get("$insert_id") or "")
    if not insert_id:
        # Very old events have none. The whole event stands for it, so that reading it again does not double it.
        insert_id = f"none-{hashlib.blake2b(_line(item), digest_size=12).hexdigest()}"
    return str(item["event"]), str(properties.get("distinct_id") or ""), properties["time"], insert_id


def _order(item: Mapping[str, Any]) -> tuple[float, bytes]:
    """Which of two copies came later; among equal ones the choice is at least always the same."""
    return _received(item["properties"]) or 0.0, _line(item)


def _line(item: Mapping[str, Any]) -> bytes:
    return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)


def _day(item: Mapping[str, Any]) -> str:
    """The day by which the export counts: that of the number itself, whatever zone it is meant in."""
    seconds = item["properties"].get("time")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TerminalError(
            "The stream “events” sent an event whose time is not a number. Nothing was loaded from it, so that no wrong "
            "value gets in.",
            f"events.time: {type(seconds).__name__}; event {item.get('event')!r}",
            kind="shape",
        )
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise TerminalError(
            "The stream “events” sent an event with an impossible time. Nothing was loaded from it, so that no wrong "
            "value gets in.",
            f"events.time: {seconds!r} ({error!r})",
            kind="shape",
        ) from error


def _received(properties: Mapping[str, Any]) -> float | None:
    """When Mixpanel received an event, in real seconds."""
    value = properties.get("mp_processing_time_ms")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value / 1000
