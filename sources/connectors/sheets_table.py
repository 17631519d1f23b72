"""A grid as a typed table: one row for each row that holds anything, with its number in the sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Any

import orjson
import pyarrow as pa

from portal.failures import TerminalError
from sources.connectors.sheets_columns import Columns, Misfits, columns_of, value_of
from sources.connectors.sheets_grid import Grid, header_index
from sources.connectors.sheets_values import Cell, is_error, shown

ARROW = {
    "text": pa.string(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
ROWS_A_PAGE = 20_000


def laid_out(grid: Grid, header_row: int | None, remembered: Any, locale: str) -> tuple[Columns, list[tuple[int, Any]]]:
    """The columns of a grid, and its rows with their numbers; rows without any value are left out."""
    index = header_index(grid, header_row)
    if index is None:
        return columns_of([], [], grid.first_column, remembered, locale), []
    rows = [
        (grid.first_row + number, row)
        for number, row in enumerate(grid.rows)
        if number > index and any(cell is not None for cell in row)
    ]
    found = columns_of(grid.rows[index], [row for _, row in rows], grid.first_column, remembered, locale)
    return found, rows


def pages(columns: Columns, rows: Sequence[tuple[int, Sequence[Cell]]], zone: tzinfo) -> Iterator[pa.Table]:
    """The rows as Arrow tables, at least one. When it is done, `columns.notes` tells also of cells that did not fit."""
    misfits = {pin.name: Misfits(pin) for pin in columns.typed}
    for start in range(0, max(len(rows), 1), ROWS_A_PAGE):
        yield _table(columns, rows[start : start + ROWS_A_PAGE], zone, misfits)
    for each in misfits.values():
        columns.notes += each.sentences()


def _table(
    columns: Columns, rows: Sequence[tuple[int, Sequence[Cell]]], zone: tzinfo, misfits: dict[str, Misfits]
) -> pa.Table:
    extras: list[dict[str, Any]] = [{} for _ in rows]
    arrays = [pa.array([number for number, _ in rows], pa.int64())]
    fields = [pa.field("_row", pa.int64())]
    for pin in columns.typed:
        place = columns.places.get(pin.name)
        values: list[Any] = [None] * len(rows)
        for at, (number, row) in enumerate(rows):
            cell = row[place] if place is not None else None
            if cell is None:
                continue
            try:
                values[at] = value_of(cell, pin, zone)
            except (ValueError, OverflowError):
                text = shown(cell)
                extras[at][pin.name] = cell if isinstance(cell, (bool, int, float)) else text
                found = misfits[pin.name]
                (found.errors if is_error(cell) else found.others).append((number, text))
        arrays.append(pa.array(values, ARROW[pin.type]))
        fields.append(pa.field(pin.name, ARROW[pin.type]))
    texts = [orjson.dumps(extra, option=orjson.OPT_SORT_KEYS).decode() if extra else None for extra in extras]
    arrays.append(pa.array(texts, pa.string()))
    fields.append(pa.field("_extra", pa.string(), metadata={"type": "json"}))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def refuse_doubles(columns: Columns, rows: Sequence[tuple[int, Sequence[Cell]]], key: Sequence[str]) -> None:
    """Raise when the columns a person chose as the key do not tell the rows apart."""
    chosen = [name for name in key if name != "_row"]
    if not chosen or len(chosen) < len(key):
        return
    gone = [name for name in chosen if name not in columns.places]
    if gone:
        raise TerminalError(
            f"A row should be known by {', '.join(chosen)}, but the sheet has no column {', '.join(gone)} any more. "
            "Choose another key in the source's settings, or give the column its name back.",
            kind="primary_key",
        )
    values = [tuple(shown(row[columns.places[name]]) for name in chosen) for _, row in rows]
    empty = [number for (number, _), value in zip(rows, values, strict=True) if "" in value]
    if empty:
        raise TerminalError(
            f"A row should be known by {', '.join(chosen)}, and it is empty in {_rows(empty)}. Nothing was loaded.",
            kind="primary_key",
        )
    value, count = Counter(values).most_common(1)[0] if values else ((), 0)
    if count > 1:
        twice = [number for (number, _), each in zip(rows, values, strict=True) if each == value]
        raise TerminalError(
            f"A row should be known by {', '.join(chosen)}, but {_rows(twice)} have the same: {', '.join(value)}. Nothing "
            "was loaded.",
            kind="primary_key",
        )


def _rows(numbers: Sequence[int]) -> str:
    some = ", ".join(map(str, numbers[:5]))
    return f"row{'s' if len(numbers) > 1 else ''} {some}{' and more' if len(numbers) > 5 else ''}"
