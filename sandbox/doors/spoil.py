"""Good answers made bad: what a vendor does to the body or the headers of an answer on a bad day, whoever the vendor is.

The objects of an answer are the lines of a text body, or the list in a JSON body: the body itself, or the longest list
inside it, where lists of objects go first.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from werkzeug.wrappers import Response

from sandbox.faults import Fault

Objects = list[Any]


def duplicated(objects: Objects, fault: Fault) -> Objects:
    """Every object of the page twice, as when a page is served again."""
    return objects + objects


def shuffled(objects: Objects, fault: Fault) -> Objects:
    """The objects in another order than the one that was asked for; the same every time."""
    order = list(objects)
    random.Random(len(order)).shuffle(order)
    return order if order != objects else order[::-1]


def changed(objects: Objects, fault: Fault) -> Objects:
    """Each object with one field renamed, retyped or missing, and with one more that nobody knows."""
    return [_changed(each, fault) if isinstance(each, dict) else each for each in objects]


def _changed(item: dict[str, Any], fault: Fault) -> dict[str, Any]:
    # an object of Mixpanel's or HubSpot's keeps most of its fields one level down
    for inner in ("properties", "$properties"):
        if fault.field not in item and isinstance(item.get(inner), dict):
            return {**item, inner: _changed(item[inner], fault)}
    new: dict[str, Any] = {}
    for name, value in item.items():
        if name != fault.field:
            new[name] = value
        elif fault.how == "rename":
            new[f"{name}_v2"] = value
        elif fault.how == "retype":
            new[name] = {"value": value}
    return {**new, "brand_new_field": "brand new"}


CHANGES: dict[str, Callable[[Objects, Fault], Objects]] = {
    "duplicate_page": duplicated,
    "out_of_order": shuffled,
    "changed_schema": changed,
}


def spoil(response: Response, fault: Fault) -> None:
    """Change the objects of a good answer in place; an answer without any stays as it is."""
    change = CHANGES[fault.kind]
    if response.mimetype == "application/json":
        body = json.loads(response.get_data())
        objects = _objects(body)
        if objects is None:
            return
        objects[:] = change(objects, fault)
        response.set_data(json.dumps(body, separators=(",", ":")))
    elif (response.mimetype or "").startswith("text/"):
        lines = [json.loads(line) for line in response.get_data().splitlines()]
        changed_lines = change(lines, fault)
        response.set_data(b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in changed_lines))
    response.headers.pop("ETag", None)


def _objects(body: Any) -> Objects | None:
    """The list of objects in a body, at most two levels down."""
    found: list[Objects] = []

    def look(value: Any, depth: int) -> None:
        if isinstance(value, list):
            found.append(value)
        elif isinstance(value, dict) and depth < 3:
            for inner in value.values():
                look(inner, depth + 1)

    look(body, 0)
    return max(found, key=lambda each: (all(isinstance(item, dict) for item in each), len(each)), default=None)


def skew(response: Response, seconds: float, now: float) -> None:
    """Let the vendor's clock be off: the Date header, and the moments in its rate-limit headers."""
    response.headers["Date"] = formatdate(now + seconds, usegmt=True)
    reset = response.headers.get("X-RateLimit-Reset", "")
    if reset.isdigit():
        response.headers["X-RateLimit-Reset"] = str(int(reset) + round(seconds))
