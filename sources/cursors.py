"""How far a stream has been read, in words. A cursor is the connector's own; people want to know the moment it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

# Unix seconds between 2001 and 2100: smaller numbers are counters, larger ones milliseconds or identifiers.
_EPOCH = range(1_000_000_000, 4_102_444_800)


def moment_of(cursor: Any) -> datetime | None:
    """The newest moment a cursor names ("2026-11-25T14:05:00Z", Unix seconds; inside dicts and lists too), or None.

    A bare number stays a number: it may be a row's key as well.
    """
    moments = list(_moments(cursor, is_inside=False))
    return max(moments, default=None)


def _moments(value: Any, *, is_inside: bool) -> Iterator[datetime]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _moments(inner, is_inside=True)
    elif isinstance(value, list):
        for inner in value:
            yield from _moments(inner, is_inside=True)
    elif isinstance(value, str):
        moment = _parsed(value)
        if moment is not None:
            yield moment
    elif isinstance(value, int | float) and not isinstance(value, bool) and is_inside and int(value) in _EPOCH:
        yield datetime.fromtimestamp(value, UTC)


def _parsed(value: str) -> datetime | None:
    if value[4:5] != "-":
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def read_up_to(cursor: Any) -> str:
    """ "read up to 25 November 2026, 14:05 UTC", "read up to 12,345", "nothing kept yet"."""
    if cursor is None:
        return "no place kept yet"
    moment = moment_of(cursor)
    if moment is not None:
        moment = moment.astimezone(UTC)
        return f"read up to {moment.day} {moment:%B %Y, %H:%M} UTC"
    if isinstance(cursor, dict) and isinstance(cursor.get("value"), str | int):
        cursor = cursor["value"]
    if isinstance(cursor, str) and cursor.isdecimal():
        cursor = int(cursor)
    if isinstance(cursor, int) and not isinstance(cursor, bool):
        return f"read up to number {cursor:,}"
    return "read up to a place only the system itself can name"
