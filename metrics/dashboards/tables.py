"""Tables: the same rows for the page (in words) and for a spreadsheet (as plain values)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from portal import text

# More than this nobody reads on a page; the CSV has all.
ROWS_ON_A_PAGE = 120
# What a spreadsheet would take for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Column:
    """`kind`: text, month (with "to date" while it runs, or "restated"), month_name, day, money, signed (money with its sign), cents and signed_cents (the same to the cent), count, rate (a fraction), ratio, flag.

    A table with money carries its currency in each row under `currency`.
    """

    name: str
    label: str
    kind: str = "text"

    @property
    def is_number(self) -> bool:
        return self.kind in ("money", "signed", "cents", "signed_cents", "count", "rate", "ratio")


@dataclass(frozen=True)
class Cell:
    words: str
    is_number: bool
    label: str


@dataclass(frozen=True)
class Table:
    columns: tuple[Column, ...]
    rows: Sequence[dict[str, Any]]  # in the order they are shown

    def body(self) -> list[list[Cell]]:
        return [
            [Cell(in_words(column, row), column.is_number, column.label) for column in self.columns]
            for row in self.rows[:ROWS_ON_A_PAGE]
        ]

    @property
    def left_out(self) -> int:
        """How many rows only the CSV has."""
        return max(0, len(self.rows) - ROWS_ON_A_PAGE)

    def lines(self) -> Iterator[str]:
        """Lines of CSV; the first names the columns as the mart does."""
        names = [column.name for column in self.columns]
        yield _line(names)
        for row in self.rows:
            yield _line([for_spreadsheet(row.get(name)) for name in names])


def in_words(column: Column, row: dict[str, Any]) -> str:
    value = row.get(column.name)
    currency = str(row.get("currency") or "usd")
    if value is None:
        return "n/a" if column.kind in ("rate", "ratio") else "–"
    match column.kind:
        case "month":
            words = f"{value:%b %Y}"
            if row.get("restated_on"):
                return f"{words}, restated"
            return f"{words} to date" if row.get("is_complete") is False else words
        case "month_name":
            return f"{value:%b %Y}"
        case "day":
            return f"{value.day} {value:%b %Y}"
        case "money":
            return text.money(value, currency)
        case "signed":
            return text.money(value, currency, signed=True)
        case "cents":
            return text.money(value, currency, cents=True)
        case "signed_cents":
            return text.money(value, currency, signed=True, cents=True)
        case "count":
            return text.number(value)
        case "rate":
            return text.percent(value)
        case "ratio":
            return text.number(value, 2)
        case "flag":
            return "yes" if value else "no"
    return str(value)


def for_spreadsheet(value: Any) -> str:
    """Plain, and never a formula: text that would begin one gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    if isinstance(value, date):
        return value.isoformat()
    said = str(value)
    # Also behind leading blanks, which some spreadsheets take away first.
    return f"'{said}" if said.lstrip(" \u00a0").startswith(_FORMULA) or said.startswith(_FORMULA) else said


def _line(values: Sequence[str]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(values)
    return written.getvalue()
