"""From an API's object to a flat, typed row, by the columns a stream declares.

What is declared becomes a column; everything else stays, as JSON text, in `_extra`, so nothing that a vendor sends is
lost and a new field of theirs never changes a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from portal.failures import TerminalError
from sources.connectors.base import Column, StreamSpec

EXTRA = Column("_extra", "json")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        # An expanded reference ({"id": "cus_1", …}) stands for its id.
        return str(value["id"]) if "id" in value else _json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _json(value) if isinstance(value, list) else str(value)


def _bigint(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not a whole number")
    return int(value)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("neither true nor false")


def _timestamp(value: Any) -> datetime:
    """Epoch seconds or ISO 8601; a time without a zone is UTC."""
    if isinstance(value, bool):
        raise ValueError("not a time")
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(value[:10])


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()


CONVERT: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "bigint": _bigint,
    "double": float,
    "bool": _bool,
    "timestamp": _timestamp,
    "date": _date,
    "decimal": _decimal,
    "json": _json,
}


def dig(value: Any, path: tuple[str, ...]) -> Any:
    """What is at `path` inside nested dicts and lists; None when the way there ends early."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
        if value is None:
            return None
    return value


class Shape:
    """Turns objects of one stream into rows. `omit`: dotted paths that need no keeping.

    What may be left out is what another stream has, or what only repeats the rest.
    """

    def __init__(self, spec: StreamSpec, *, omit: Iterable[str] = ()) -> None:
        self.stream = spec.name
        self._columns = [
            (
                column,
                tuple(tuple(path.split(".")) for path in (column.path or column.name).split("|")),
                CONVERT[column.type],
            )
            for column in spec.columns
            if column.name != EXTRA.name
        ]
        self._taken: Taken = {}
        for dotted in omit:
            _take(self._taken, tuple(dotted.split(".")))
        for _, paths, _ in self._columns:
            for path in paths:
                _take(self._taken, path)

    def row(self, item: Mapping[str, Any], **known: Any) -> dict[str, Any]:
        """The row of one object. `known`: values by column name that come from elsewhere (which repository)."""
        row: dict[str, Any] = {}
        for column, paths, convert in self._columns:
            if column.name in known:
                value = known[column.name]
            else:
                value = next((found for path in paths if (found := dig(item, path)) is not None), None)
            try:
                row[column.name] = None if value is None else convert(value)
            except (ValueError, TypeError, OverflowError, OSError, InvalidOperation) as error:
                raise TerminalError(
                    f"The stream “{self.stream}” sent something in “{column.name}” that is not a {column.type}. "
                    "Nothing was loaded from it, so that no wrong value gets in.",
                    f"{self.stream}.{column.name}: {type(value).__name__} is not {column.type} ({error!r}); "
                    f"object {item.get('id', '?')}",
                    kind="shape",
                ) from error
        rest = _without(item, self._taken)
        row[EXTRA.name] = _json(rest) if rest else None
        return row


# Which keys have become columns: the key alone (None), or some keys inside what it holds.
Taken = dict[str, "Taken | None"]


def _take(taken: Taken, path: tuple[str, ...]) -> None:
    key, *inner = path
    if not inner:
        taken[key] = None
    elif (deeper := taken.setdefault(key, {})) is not None:
        _take(deeper, tuple(inner))


def _without(value: Mapping[str, Any], taken: Taken) -> dict[str, Any]:
    """A copy without what was taken, without nulls, and without what is empty after that."""
    kept = {}
    for key, inner in value.items():
        if inner is None:
            continue
        if key not in taken:
            kept[key] = inner
            continue
        deeper = taken[key]
        if deeper is None:
            continue
        if not isinstance(inner, Mapping):
            kept[key] = inner
        elif rest := _without(inner, deeper):
            kept[key] = rest
    return kept
