"""Stripe's list arithmetic: newest first, cursors by id, filters in the query."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from werkzeug.wrappers import Request

from sandbox.billing.models import Subscription

T = TypeVar("T")
MAX_LIMIT, DEFAULT_LIMIT = 100, 10
_BOUNDS = ("gt", "gte", "lt", "lte")


class BadRequest(Exception):
    """A request Stripe would refuse; ``status`` is 400 unless said otherwise."""

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.code, self.param, self.status = message, code, param, status


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Where a page begins and how long it is; ``created`` bounds are inclusive epoch seconds or None."""

    limit: int
    starting_after: str | None
    ending_before: str | None
    created_from: int | None = None
    created_to: int | None = None
    others: dict[str, str] = field(default_factory=dict)


def read_page_query(request: Request, known: set[str]) -> PageQuery:
    """Read limit, cursors and ``created``; refuse parameters that the resource does not know."""
    for name in request.args:
        if name.partition("[")[0] not in known:
            raise BadRequest(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    limit = _whole(request.args.get("limit", str(DEFAULT_LIMIT)), "limit")
    if not 1 <= limit <= MAX_LIMIT:
        side = "less than or equal to 100" if limit > MAX_LIMIT else "greater than or equal to 1"
        raise BadRequest(f"This value must be {side}.", code="parameter_invalid_integer", param="limit")
    after, before = request.args.get("starting_after"), request.args.get("ending_before")
    if after and before:
        raise BadRequest("You cannot use both starting_after and ending_before.", param="ending_before")
    lowest, highest = _range(request, "created")
    return PageQuery(limit, after, before, lowest, highest)


def _whole(text: str, param: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadRequest(f"Invalid integer: {text}", code="parameter_invalid_integer", param=param) from None


def _range(request: Request, name: str) -> tuple[int | None, int | None]:
    exact = request.args.get(name)
    if exact is not None:
        value = _whole(exact, name)
        return value, value
    for key in request.args:
        if key.startswith(f"{name}[") and key[len(name) + 1 : -1] not in _BOUNDS:
            raise BadRequest(f"Received unknown parameter: {key}", code="parameter_unknown", param=key)
    bounds = {
        bound: _whole(request.args[f"{name}[{bound}]"], f"{name}[{bound}]")
        for bound in _BOUNDS
        if f"{name}[{bound}]" in request.args
    }
    low = [bounds[b] + (b == "gt") for b in ("gt", "gte") if b in bounds]
    high = [bounds[b] - (b == "lt") for b in ("lt", "lte") if b in bounds]
    return (max(low) if low else None), (min(high) if high else None)


def page(records: list[T], query: PageQuery, accepts: Callable[[T], bool], name: str) -> tuple[list[T], bool]:
    """One page of records that come oldest first and leave newest first, and whether there are more."""
    low, high = 0, len(records)
    if query.created_from is not None:
        low = bisect_left(records, query.created_from, key=_created)
    if query.created_to is not None:
        high = bisect_right(records, query.created_to, key=_created)
    backwards = query.ending_before is not None
    if query.starting_after is not None:
        high = min(high, _position(records, query.starting_after, "starting_after", name))
    if query.ending_before is not None:
        low = max(low, _position(records, query.ending_before, "ending_before", name) + 1)
    found: list[T] = []
    for index in range(low, high) if backwards else range(high - 1, low - 1, -1):
        if accepts(records[index]):
            found.append(records[index])
            if len(found) > query.limit:
                break
    has_more = len(found) > query.limit
    found = found[: query.limit]
    return (found[::-1] if backwards else found), has_more


def _created(record: Any) -> int:
    moment: int = record.created
    return moment


def _position(records: list[Any], identifier: str, param: str, name: str) -> int:
    for index in range(len(records) - 1, -1, -1):
        if records[index].id == identifier:
            return index
    raise BadRequest(f"No such {name}: '{identifier}'", code="resource_missing", param=param)


class Filter:
    """The filters of one list request."""

    def __init__(self, request: Request, resource: str) -> None:
        self._args = request.args
        self._resource = resource
        self._types = set(request.args.getlist("types[]"))
        self._ids = set(request.args.getlist("ids[]"))
        self._periods = {
            name: _range(request, f"current_{name}")
            for name in ("period_start", "period_end")
            if any(key.startswith(f"current_{name}") for key in request.args)
        }

    def require(self, name: str) -> str:
        """The value of a parameter that has to be there."""
        value = self._args.get(name)
        if not value:
            raise BadRequest(f"Missing required param: {name}.", code="parameter_missing", param=name)
        return value

    def accepts(self, record: Any) -> bool:
        """Whether the record is wanted."""
        wanted = self._args
        checks = {
            "customer": lambda value: record.customer.id == value,
            "subscription": lambda value: self._of_subscription(record, value),
            "payment_intent": lambda value: record.payment_intent == value,
            "charge": lambda value: record.charge == value,
            "email": lambda value: record.email == value,
            "product": lambda value: record.product.id == value,
            "currency": lambda value: record.currency == value,
            "active": lambda value: record.active == (value == "true"),
            "price": lambda value: any(item.price.id == value for item in record.items),
            "collection_method": lambda value: value == "charge_automatically",
            "type": lambda value: self._of_type(record, value),
            "invoice": lambda value: record.invoice == value,
            "pending": lambda value: (record.invoice is None) == (value == "true"),
        }
        if self._resource == "customers" and record.deleted:
            return False
        if self._resource == "subscriptions" and not self._has_status(record):
            return False
        if self._resource == "invoices" and wanted.get("status", record.status) != record.status:
            return False
        if self._types and record.type not in self._types:
            return False
        if self._ids and record.id not in self._ids:
            return False
        return all(check(wanted[name]) for name, check in checks.items() if name in wanted)

    def _has_status(self, record: Subscription) -> bool:
        for name, (low, high) in self._periods.items():
            moment = getattr(record, name)
            if (low is not None and moment < low) or (high is not None and moment > high):
                return False
        status = self._args.get("status")
        if status is None:
            return record.status != "canceled"
        return status == "all" or record.status == ("canceled" if status == "ended" else status)

    def _of_subscription(self, record: Any, value: str) -> bool:
        if self._resource == "subscription_items":
            return True
        return record.subscription is not None and record.subscription.id == value

    def _of_type(self, record: Any, value: str) -> bool:
        if self._resource == "prices":
            return value == ("one_time" if record.interval is None else "recurring")
        matches: bool = record.type == value or (value.endswith(".*") and record.type.startswith(value[:-1]))
        return matches
