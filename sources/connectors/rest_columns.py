"""Columns learned from the first rows of an API that nobody has described to us.

An object inside a row is spread into columns one level deep (`owner.id` → `owner_id`); what is deeper, lists, and
objects whose keys look like data stay JSON. A column keeps the type it was learned with: a later value that does not
fit stops the sync with a sentence instead of changing the column. What was empty in all rows seen, and fields that
appear later, go to `_extra`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sources.connectors.base import Column
from sources.connectors.shape import EXTRA, dig

MAX_COLUMNS = 300
MAX_SPREAD = 30  # an object with more keys than this in all is a dictionary, not a record
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_BIGINT = 2**63


def column_name(path: str) -> str:
    """The name a column has in the warehouse: `owner.firstName` → `owner_first_name`."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", path)
    name = re.sub(r"[^a-zA-Z0-9]+", "_", name).lower().rstrip("_")
    return f"_{name}" if name[:1].isdigit() else name


def learn(records: Sequence[Mapping[str, Any]], wanted: Iterable[str] = ()) -> tuple[tuple[Column, ...], list[str]]:
    """The columns of these records, and the names of fields that stay in `_extra`. `wanted`: paths that must be one."""
    values: dict[str, list[Any]] = {}
    left: list[str] = []
    for path in wanted:
        values[path] = [dig(record, tuple(path.split("."))) for record in records]
    for key in dict.fromkeys(key for record in records for key in record):
        found = [record[key] for record in records if record.get(key) is not None]
        if key in values:
            continue
        if not _may_be_path(key):
            left.append(key)
        elif _is_record(found):
            for inner in dict.fromkeys(inner for value in found for inner in value):
                values.setdefault(f"{key}.{inner}", [value[inner] for value in found if value.get(inner) is not None])
        else:
            values[key] = found
    columns: dict[str, Column] = {}
    for path, found in values.items():
        present = [value for value in found if value is not None]
        name = column_name(path)
        if not present:
            continue
        is_reserved = not name.strip("_") or name.startswith(("_dlt", EXTRA.name))
        if is_reserved or name in columns or len(columns) >= MAX_COLUMNS:
            left.append(path)
        else:
            columns[name] = Column(name, type_of(present), "" if path == name else path)
    return (*columns.values(), EXTRA), left


def _may_be_path(key: str) -> bool:
    return "." not in key and "|" not in key


def _is_record(values: Sequence[Any]) -> bool:
    """Whether these are objects with fields, all of them, and not dictionaries keyed by data."""
    if not values or not all(isinstance(value, Mapping) and value for value in values):
        return False
    keys = {key for value in values for key in value}
    return len(keys) <= MAX_SPREAD and all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ -]*", key) for key in keys)


def type_of(values: Sequence[Any]) -> str:
    """The type that holds all these values (none of them null)."""
    kinds = {type(value) for value in values}
    if kinds & {dict, list}:
        return "json"
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "bigint" if all(-_BIGINT <= value < _BIGINT for value in values) else "text"
    if kinds <= {int, float}:
        return "double"
    if kinds == {str}:
        filled = [value for value in values if value]
        if filled and all(_DATE.fullmatch(value) and moment_of(value) for value in filled):
            return "date"
        if filled and all(_TIME.fullmatch(value) and moment_of(value) for value in filled):
            return "timestamp"
    return "text"


def moment_of(value: Any) -> datetime | None:
    """The moment a value means: ISO 8601, or seconds or milliseconds since 1970; None when it means none."""
    try:
        if isinstance(value, str) and re.fullmatch(r"\d{9,14}(?:\.\d+)?", value):
            value = float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if abs(value) > 1e11 else value, UTC)
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def without_blanks(record: Mapping[str, Any], paths: Iterable[tuple[str, ...]]) -> Mapping[str, Any]:
    """The record with empty texts at these paths (times, dates, numbers) taken for what they mean: nothing."""
    for path in paths:
        if dig(record, path) == "":
            record = _without(record, path)
    return record


def _without(record: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    first, *rest = path
    inner = record[first]
    return {**record, first: _without(inner, tuple(rest)) if rest and isinstance(inner, Mapping) else None}
