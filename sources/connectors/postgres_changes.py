"""The changes of one table, summed up: at most one row a key, as it is after the last of them.

An UPDATE does not send large values that it left alone, and a DELETE sends only the key. What is missing is taken from
earlier changes here where they knew it; else the row names the key under which the warehouse has the rest (`base`:
another one when the primary key was changed).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sources.connectors.base import GONE
from sources.connectors.log import BASE, DELETED_AT, EVERYTHING, KEPT, ChangedRows
from sources.connectors.pgoutput import UNCHANGED, Delete, Insert, Row, Update
from sources.connectors.postgres_text import TextColumn

# What is kept in memory before it is handed on.
MOST_ROWS = 50_000
MOST_BYTES = 16_000_000

Key = tuple[Any, ...]
# The values, the key of the row that has those that are missing (None: nothing is missing), when it was deleted.
Entry = tuple[Row, Key | None, datetime | None]


@dataclass(frozen=True)
class Shape:
    """How rows of the log become rows of the stream. `places`: where in the log's row each of `columns` is."""

    columns: tuple[TextColumn, ...]
    places: tuple[int, ...]
    key_places: tuple[int, ...]
    width: int


class Net:
    def __init__(self, stream: str, shape: Shape, *, keeps_deleted: bool) -> None:
        self.stream = stream
        self.shape = shape
        self.keeps_deleted = keeps_deleted
        self.entries: dict[Key, Entry] = {}
        self.size = 0
        self.key_of = _key_maker(shape)

    @property
    def is_full(self) -> bool:
        return self.size >= MOST_BYTES or len(self.entries) >= MOST_ROWS

    def insert(self, change: Insert) -> None:
        self.entries[self.key_of(change.new)] = (change.new, None, None)

    def update(self, change: Update, at: datetime) -> None:
        new, old = change.new, change.old
        if UNCHANGED not in new:
            key = self.key_of(new)
            if old is not None and (was := self.key_of(old)) != key:
                self._remove(was, old if change.is_whole else None, at)
            self.entries[key] = (new, None, None)
            return
        if old is not None:
            known_places = range(self.shape.width) if change.is_whole else self.shape.key_places
            for place in known_places:
                if new[place] is UNCHANGED:
                    new[place] = old[place]
        key = self.key_of(new)
        was = key if old is None else self.key_of(old)
        base: Key | None = was
        if (known := self.entries.get(was)) is not None:
            values, base, _ = known
            new = [values[place] if value is UNCHANGED else value for place, value in enumerate(new)]
        if was != key:
            self._remove(was, old if change.is_whole else None, at)
        self.entries[key] = (new, base if UNCHANGED in new else None, None)

    def delete(self, change: Delete, at: datetime) -> None:
        self._remove(self.key_of(change.old), change.old if change.is_whole else None, at)

    def _remove(self, key: Key, whole: Row | None, at: datetime) -> None:
        known = self.entries.get(key)
        if whole is not None:
            self.entries[key] = (whole, None, at)
        elif known is not None:
            self.entries[key] = (known[0], known[1], at)
        else:
            row: Row = [UNCHANGED] * self.shape.width
            for place, value in zip(self.shape.key_places, key, strict=True):
                row[place] = value
            self.entries[key] = (row, key, at)

    def take(self) -> ChangedRows | None:
        """All that was summed up, as a table; None when there is nothing. Begins anew."""
        import pyarrow as pa

        if not self.entries:
            return None
        keys, entries = list(self.entries), list(self.entries.values())
        self.entries, self.size = {}, 0
        shape = self.shape
        arrays, fields = [], []
        key_places = {place: number for number, place in enumerate(shape.key_places)}
        for column, place in zip(shape.columns, shape.places, strict=True):
            if place in key_places:
                number = key_places[place]
                values = [key[number] for key in keys]
            else:
                values = [None if (value := row[place]) is UNCHANGED else value for row, _, _ in entries]
            arrays.append(column.array(values))
            fields.append(_field(column, arrays[-1].type))
        if self.keeps_deleted:
            arrays.append(pa.array([at for _, _, at in entries], pa.timestamp("us", "UTC")))
            fields.append(pa.field(DELETED_AT, arrays[-1].type))
        else:
            arrays.append(pa.array([at is not None for _, _, at in entries], pa.bool_()))
            fields.append(pa.field(GONE, pa.bool_()))
        if any(base is not None for _, base, _ in entries):
            arrays.append(pa.array([self._kept(entry) for entry in entries], pa.list_(pa.string())))
            fields.append(pa.field(KEPT, arrays[-1].type))
            bases = [base or key for key, (_, base, _) in zip(keys, entries, strict=True)]
            by_place = dict(zip(shape.places, shape.columns, strict=True))
            for number, place in enumerate(shape.key_places):
                arrays.append(by_place[place].array([base[number] for base in bases]))
                fields.append(pa.field(BASE + by_place[place].column.name, arrays[-1].type))
        return ChangedRows(self.stream, pa.Table.from_arrays(arrays, schema=pa.schema(fields)))

    def _kept(self, entry: Entry) -> list[str] | None:
        row, base, _ = entry
        if base is None:
            return None
        names = [
            column.column.name
            for column, place in zip(self.shape.columns, self.shape.places, strict=True)
            if row[place] is UNCHANGED
        ]
        return [EVERYTHING] if len(names) == len(self.shape.columns) - len(self.shape.key_places) else names or None


def _field(column: TextColumn, kind: Any) -> Any:
    import pyarrow as pa

    return pa.field(
        column.column.name, kind, metadata={"type": "json"} if column.column.warehouse_type == "json" else None
    )


def _key_maker(shape: Shape) -> Callable[[Row], Key]:
    """The key of a row, spelled so that equal keys are equal: 1.0 and 1.00 are one number."""
    by_place = dict(zip(shape.places, shape.columns, strict=True))
    plain = [_SPELLING.get(by_place[place].column.type) for place in shape.key_places]
    places: Sequence[int] = shape.key_places
    if not any(plain):
        if len(places) == 1:
            (place,) = places
            return lambda row: (row[place],)
        return lambda row: tuple(row[place] for place in places)
    return lambda row: tuple(
        spell(row[place]) if spell else row[place] for place, spell in zip(places, plain, strict=True)
    )


def _number(value: bytes) -> bytes:
    number = Decimal(value.decode())
    return value if not number.is_finite() else f"{number.normalize():f}".encode()


_SPELLING: dict[str, Callable[[bytes], bytes]] = {"numeric": _number, "bpchar": lambda value: value.rstrip(b" ")}
