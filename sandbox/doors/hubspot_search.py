"""HubSpot's search: groups of filters, one sort, and no page beyond the first ten thousand results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sandbox.crm import Record
from sandbox.doors.hubspot_objects import PROPERTIES, Property, milliseconds

MAX_RESULTS = 10_000
MAX_PAGE = 200
MAX_BODY = 3_000  # characters
MAX_GROUPS, MAX_FILTERS = 5, 6
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda mine, given: mine == given,
    "NEQ": lambda mine, given: mine != given,
    "GT": lambda mine, given: mine > given,
    "GTE": lambda mine, given: mine >= given,
    "LT": lambda mine, given: mine < given,
    "LTE": lambda mine, given: mine <= given,
}


class Refused(Exception):
    """A question that HubSpot does not answer (400)."""


def search(
    kind: str, records: Iterable[Record], body: dict[str, Any], *, most: int = MAX_RESULTS
) -> tuple[list[Any], int, str | None]:
    """The records of the page, how many there are in all, and where the next page begins (None: this is the last)."""
    limit, start = _whole(body.get("limit", 10), "limit"), _whole(body.get("after") or 0, "after")
    if not 0 < limit <= MAX_PAGE:
        raise Refused(f"limit must be between 1 and {MAX_PAGE}, was {limit}.")
    if start + limit > most:
        raise Refused(f"The maximum number of results that can be paged through is {most}: after {start}.")
    groups = body.get("filterGroups") or []
    if len(groups) > MAX_GROUPS or any(len(group["filters"]) > MAX_FILTERS for group in groups):
        raise Refused("There are too many filters or filter groups.")
    tests = [[_test(kind, each) for each in group["filters"]] for group in groups]
    found = [
        record for record in records if not tests or any(all(fits(record) for fits in together) for together in tests)
    ]
    for sort in _sorts(body):
        known = _property(kind, sort["propertyName"])
        found.sort(key=partial(_rank, known), reverse=sort.get("direction") == "DESCENDING")
    page = found[start : start + limit]
    following = str(start + limit) if start + limit < len(found) else None
    return page, len(found), following


def _sorts(body: dict[str, Any]) -> list[dict[str, Any]]:
    sorts = body.get("sorts") or []
    if len(sorts) > 1:
        raise Refused("Only one sort is allowed.")
    return [{"propertyName": each} if isinstance(each, str) else each for each in sorts]


def _test(kind: str, asked: dict[str, Any]) -> Callable[[Record], bool]:
    """Whether a record fits one filter."""
    known, operator = _property(kind, asked["propertyName"]), asked["operator"]
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        return lambda record: (known.value(record) is not None) == (operator == "HAS_PROPERTY")
    if operator == "IN":
        values = set(asked["values"])
        return lambda record: known.value(record) in values
    given = str(asked["value"])
    if operator == "CONTAINS_TOKEN":
        return lambda record: given.strip("*").lower() in (known.value(record) or "").lower()
    low = _typed(known, given)
    if operator == "BETWEEN":
        high = _typed(known, str(asked["highValue"]))
        return lambda record: (mine := _mine(known, record)) is not None and bool(low <= mine <= high)
    if operator not in _COMPARE:
        raise Refused(f"There is no operator {operator}.")
    compare = _COMPARE[operator]
    return lambda record: operator == "NEQ" if (mine := _mine(known, record)) is None else compare(mine, low)


def _mine(known: Property, record: Record) -> Any:
    if known.rank is not None:
        return known.rank(record)
    value = known.value(record)
    return None if value is None else _typed(known, value)


def _property(kind: str, name: str) -> Property:
    if name not in PROPERTIES[kind]:
        raise Refused(f"There was a problem with the request: property {name} does not exist.")
    return PROPERTIES[kind][name]


def _typed(known: Property, text: str) -> Any:
    try:
        if known.type == "datetime":
            return milliseconds(text)
        return float(text) if known.type == "number" else text.lower()
    except ValueError as error:
        raise Refused(f"{text} is no value for {known.name}.") from error


def _rank(known: Property, record: Record) -> Any:
    """Where a record stands in the order of a property; without a value it comes first."""
    mine = _mine(known, record)
    if mine is None:
        return float("-inf") if known.type in ("datetime", "number") else ""
    return mine


def _whole(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise Refused(f"{name} must be a number.") from error
