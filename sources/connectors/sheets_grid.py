"""From what Google answers to a grid of cells: where it begins, what is a date, merged cells filled, the header found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sources.connectors.sheets_values import Cell, Dated, shown

TITLES_AT_MOST = 6  # so many rows of titles may stand above the header
_START = re.compile(r"(?:(?P<sheet>.*)!)?(?P<column>[A-Z]+)(?P<row>\d+)?(?::.*)?", re.DOTALL)


class Changed(Exception):
    """Two answers about the same cells do not fit together: somebody is typing."""


@dataclass
class Grid:
    """Cells, padded to one width. `first_row` counts from 1 as people do, `first_column` from 0."""

    rows: list[list[Cell]] = field(default_factory=list)
    first_row: int = 1
    first_column: int = 0

    @property
    def width(self) -> int:
        return max(map(len, self.rows), default=0)

    def pad(self) -> None:
        width = self.width
        for row in self.rows:
            row.extend([None] * (width - len(row)))


def letters(column: int) -> str:
    """0 → A, 25 → Z, 26 → AA."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def column_number(name: str) -> int:
    number = 0
    for letter in name:
        number = number * 26 + ord(letter) - 64
    return number - 1


def quoted(title: str) -> str:
    """A sheet's title as A1 notation wants it."""
    return "'" + title.replace("'", "''") + "'"


def start_of(a1: str) -> tuple[str, int, int]:
    """(sheet, first row from 1, first column from 0) of a range as Google spells it: 'My plan'!B3:H40."""
    match = _START.fullmatch(a1)
    if match is None:
        return a1, 1, 0
    sheet = match["sheet"] or ""
    if sheet.startswith("'"):
        sheet = sheet[1:-1].replace("''", "'")
    return sheet, int(match["row"] or 1), column_number(match["column"])


def combined(plain: Sequence[Sequence[Any]], spelled: Sequence[Sequence[Any]]) -> list[list[Cell]]:
    """One grid of two answers: dates as serial numbers, and dates as text. Only dates differ between them.

    Raises `Changed` when anything else does.
    """
    if len(plain) != len(spelled):
        raise Changed
    return [_row(one, other) for one, other in zip(plain, spelled, strict=True)]


def _row(plain: Sequence[Any], spelled: Sequence[Any]) -> list[Cell]:
    if len(plain) != len(spelled):
        raise Changed
    cells: list[Cell] = []
    for value, text in zip(plain, spelled, strict=True):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if isinstance(text, str):
                cells.append(Dated(value, text))
            elif isinstance(text, bool):
                raise Changed
            else:
                cells.append(value)
        elif value == text:
            cells.append(None if value == "" else value)
        else:
            raise Changed
    return cells


def fill_merged(grid: Grid, merges: Sequence[Mapping[str, int]]) -> None:
    """Write the value of each merged area into all its cells; Google has it in the first one only."""
    grid.pad()
    top, left = grid.first_row - 1, grid.first_column
    for merge in merges:
        first_row, first_column = merge.get("startRowIndex", 0) - top, merge.get("startColumnIndex", 0) - left
        if not (0 <= first_row < len(grid.rows)) or first_column < 0:
            continue
        value = grid.rows[first_row][first_column] if first_column < len(grid.rows[first_row]) else None
        if value is None:
            continue
        # Google leaves out what is empty at the end of a row or a sheet, also when it is part of a merged area.
        last_row = merge.get("endRowIndex", 0) - top
        grid.rows.extend([] for _ in range(last_row - len(grid.rows)))
        for row in grid.rows[first_row:last_row]:
            last_column = merge.get("endColumnIndex", 0) - left
            row.extend([None] * (last_column - len(row)))
            row[first_column:last_column] = [value] * (last_column - first_column)
    grid.pad()


def header_index(grid: Grid, wanted: int | None) -> int | None:
    """The position of the row with the columns' names; None when there is none.

    `wanted` is the row's number in the sheet. Without it: the first row that is not empty, passing over titles, which
    are rows with one entry only above the rows of a table.
    """
    if wanted is not None:
        index = wanted - grid.first_row
        return index if 0 <= index < len(grid.rows) else None
    filled = [(index, count) for index, row in enumerate(grid.rows) if (count := _entries(row))]
    titles = 0
    while titles < len(filled) and filled[titles][1] == 1:
        titles += 1
    wide = sum(count > 1 for _, count in filled)
    if 0 < titles < len(filled) and titles <= min(TITLES_AT_MOST, wide):
        return filled[titles][0]
    return filled[0][0] if filled else None


def _entries(row: Sequence[Cell]) -> int:
    """How many different entries a row has: a title merged over ten columns is one."""
    return len({shown(cell) for cell in row if cell is not None})
