"""What a dashboard shows, without markup: the page, the CSV and the charts are made from the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from metrics.dashboards.choices import Choices
from metrics.dashboards.definitions import Definition
from metrics.dashboards.tables import Table
from portal import charts


@dataclass(frozen=True)
class Trend:
    """A small line without axes, beginning at zero; `words` say what it shows."""

    area: charts.Area
    words: str


@dataclass(frozen=True)
class Tile:
    """One number. `value` in words; "unknown" or "n/a" where there is none. `note`: what it is compared with."""

    key: str
    label: str
    value: str
    note: str = ""
    trend: Trend | None = None
    definitions: tuple[Definition, ...] = ()
    is_lead: bool = False


@dataclass(frozen=True)
class Heat:
    """One cell of a grid: `level` 0 … 10 is its shade; None has not happened yet."""

    words: str = ""
    level: int | None = None
    is_to_date: bool = False


@dataclass(frozen=True)
class Grid:
    """A table whose cells are shaded. Row heads are (label, note)."""

    corner: str
    head: tuple[str, ...]
    rows: tuple[tuple[tuple[str, str], tuple[Heat, ...]], ...]


@dataclass(frozen=True)
class Section:
    """A question and its answer: a sentence, a chart, a table. `problem` stands instead of all when there is no data."""

    key: str
    title: str
    finding: str = ""
    table: Table | None = None
    has_chart: bool = False
    # How tall the chart is drawn, so that nothing jumps when it comes: small, medium, tall, huge.
    height: str = "medium"
    grid: Grid | None = None
    note: str = ""
    problem: str = ""
    definitions: tuple[Definition, ...] = ()
    is_open: bool = False  # the table is shown at once


@dataclass(frozen=True)
class Board:
    """`problem`: why nothing of it can be shown. `months`: those one can look at, the oldest first."""

    choices: Choices
    tiles: tuple[Tile, ...] = ()
    sections: tuple[Section, ...] = ()
    months: Sequence[date] = field(default_factory=tuple)
    problem: str = ""

    def section(self, key: str) -> Section | None:
        return next((section for section in self.sections if section.key == key), None)


def trend(values: Sequence[float | None], words: str, *, is_to_date: bool = False) -> Trend | None:
    """None when there are fewer than two values, or one is unknown or below zero: a gap is not a zero."""
    known = [value for value in values if value is not None and value >= 0]
    if len(known) < len(values):
        return None
    area = charts.area(known, is_last_partial=is_to_date)
    return Trend(area, words) if area else None
