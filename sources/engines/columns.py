"""Which columns of a stream are not what they were, and which type holds both the old values and the new.

Types are dlt's words (text, bigint, double, bool, timestamp, date, json, decimal), a decimal's with its size:
"decimal(10,2)". No library and no database in here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sources.engines.base import ColumnChange

EXTRA = "_extra"
# Rows whose `_extra` is opened, a stream and sync: enough to meet a new field, cheap enough not to be felt.
SAMPLED_ROWS = 300
# Below this many rows an empty column says nothing.
TELLING_ROWS = 20

_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_BIGINT_DIGITS = 19


def wider(old: str, new: str) -> str | None:
    """The narrowest type that holds every value of both without loss, or None.

    Text holds everything, but only a column that is text on one side becomes it: a number that turns into a moment is
    a mistake more often than a wish. What is JSON stays so only among JSON.
    """
    if old == new:
        return old
    if "text" in (old, new):
        return "text"
    kinds = {old, new}
    if kinds == {"date", "timestamp"}:
        return "timestamp"
    if kinds == {"bigint", "double"}:
        return "double"  # whoever casts looks whether the whole numbers fit
    sizes = [size for size in (_size(old), _size(new)) if size is not None]
    if len(sizes) == 2:
        whole = max(precision - scale for precision, scale in sizes)
        scale = max(scale for _, scale in sizes)
        return f"decimal({whole + scale},{scale})" if whole + scale <= 38 else None
    return None


def _size(kind: str) -> tuple[int, int] | None:
    """(precision, scale) of an exact number."""
    if kind == "bigint":
        return _BIGINT_DIGITS, 0
    match = _DECIMAL.fullmatch(kind)
    return (int(match[1]), int(match[2])) if match else None


def compare(before: Mapping[str, str], now: Mapping[str, str]) -> list[ColumnChange]:
    """What changed between the columns of the last sync and those of this one; {} before: nothing is known."""
    if not before or not now:
        return []
    changes = [ColumnChange("vanished", name, old_type=kind) for name, kind in before.items() if name not in now]
    for name, kind in now.items():
        old = before.get(name)
        if old is None:
            changes.append(ColumnChange("added", name, new_type=kind))
        elif old != kind:
            is_wider = wider(old, kind) == kind
            changes.append(ColumnChange("widened" if is_wider else "changed", name, old, kind))
    return changes


class ExtraFields:
    """Names of the fields that a vendor sends beyond the declared columns, from a sample of the rows."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._left = SAMPLED_ROWS

    def look_at(self, rows: Any) -> None:
        if not isinstance(rows, list) or self._left <= 0:
            return
        for row in rows[: self._left]:
            self._left -= 1
            if extra := row.get(EXTRA):
                self.names |= _names(extra)

    def new_since(self, known: Iterable[str] | None) -> list[ColumnChange]:
        """Fields that were never seen; None: this is the first look."""
        if known is None:
            return []
        return [ColumnChange("new_field", name) for name in sorted(self.names - set(known))]


def _names(extra: Any) -> set[str]:
    try:
        found = json.loads(extra) if isinstance(extra, str) else extra
    except ValueError:
        return set()
    return set(found) if isinstance(found, dict) else set()


def emptied(filled_before: Iterable[str] | None, filled_now: Iterable[str], rows: int) -> list[ColumnChange]:
    """Columns that had values at the last complete read and are empty in every row of this one."""
    if filled_before is None or rows < TELLING_ROWS:
        return []
    return [ColumnChange("emptied", name) for name in sorted(set(filled_before) - set(filled_now))]
