"""Columns of a sheet that stay what they are: found by header instead of position, named once, typed once.

What was decided is kept as a list of pins in the cursor that the engine commits with the rows. So a moved column changes
nothing; a header that is gone keeps its column, empty; and a value that does not fit a type goes, as it is, into `_extra`
beside its row while people are told.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from sources.connectors.sheets_grid import letters
from sources.connectors.sheets_values import (
    Cell,
    Dated,
    date_order,
    decimal_mark,
    is_error,
    moment,
    number,
    shown,
)

# A column has the type that at least this share of its cells fits. One "tbd" must not make a column of money text.
TYPICAL = 0.9
LONGEST_NAME = 60
OWN = frozenset(("_row", "_extra"))
EXAMPLES = 3
WORDS = {"double": "numbers", "bool": "true or false", "date": "dates", "timestamp": "times", "text": "text"}


@dataclass
class Pin:
    """One column, as it was decided when it was first seen.

    `header` as it is compared (case and spaces do not count), `nth` of that header from the left; an empty header is
    known by its position. `type` is "" until the column has its first value. `mark` and `order`: how numbers and dates
    that are typed as text are to be read. `is_gone`: the sheet has it no longer.
    """

    name: str
    header: str
    nth: int = 1
    title: str = ""
    type: str = ""
    mark: str = "."
    order: str = "dmy"
    is_gone: bool = False


@dataclass
class Columns:
    """The pins in the order in which they were first seen, and where each is today."""

    pins: list[Pin] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def typed(self) -> list[Pin]:
        return [pin for pin in self.pins if pin.type]

    def kept(self) -> dict[str, Any]:
        """What the next sync has to know, as JSON."""
        return {"columns": [asdict(pin) for pin in self.pins], "notes": self.notes}


def kept_pins(remembered: Any) -> list[Pin]:
    known = Pin.__dataclass_fields__
    found = remembered.get("columns", []) if isinstance(remembered, Mapping) else []
    return [Pin(**{key: value for key, value in each.items() if key in known}) for each in found]


def columns_of(
    header: Sequence[Cell], body: Sequence[Sequence[Cell]], first_column: int, remembered: Any, locale: str
) -> Columns:
    """Match the headers of a sheet with what is known of it, and decide what is new."""
    titles = [" ".join(shown(cell).split()) for cell in header]
    used = [any(row[place] is not None for row in body) for place in range(len(titles))]
    seen: Counter[str] = Counter()
    keys: dict[int, tuple[str, int]] = {}
    for place, title in enumerate(titles):
        if title:
            folded = title.casefold()
            seen[folded] += 1
            keys[place] = (folded, seen[folded])
        elif used[place]:
            keys[place] = ("", first_column + place + 1)
    found = Columns(kept_pins(remembered))
    is_first = not found.pins
    known = {(pin.header, pin.nth): pin for pin in found.pins}
    new = _named(
        {place: key for place, key in keys.items() if key not in known},
        titles,
        {pin.name for pin in found.pins} | OWN,
        first_column,
    )
    for place, key in keys.items():
        pin = known.get(key)
        if pin is None:
            pin = Pin(new[place], *key, title=titles[place])
            found.pins.append(pin)
            if not is_first:
                found.notes.append(f"The column {_called(pin)} is new; it is {pin.name} in the table.")
        found.places[pin.name] = place
        if not pin.type:
            decide(pin, [row[place] for row in body], locale)
    for pin in found.pins:
        pin.is_gone = pin.name not in found.places
    found.notes += _remarks(found, seen)
    return found


def _named(
    keys: Mapping[int, tuple[str, int]], titles: Sequence[str], taken: set[str], first_column: int
) -> dict[int, str]:
    """Names for new columns. The first column of a header gets the plain name, whatever stands left of it."""
    names: dict[int, str] = {}
    for place in sorted(keys, key=lambda place: (keys[place][1] > 1 and bool(titles[place]), place)):
        base = column_name(titles[place]) if titles[place] else f"column_{letters(first_column + place).lower()}"
        name, number_ = base, 1
        while name in taken:
            number_ += 1
            name = f"{base}_{number_}"
        names[place] = name
        taken = taken | {name}
    return names


def column_name(title: str) -> str:
    """“Plan MRR ($)” → plan_mrr. A header without Latin letters or digits gets a name made from it: the same each time."""
    plain = unicodedata.normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")[:LONGEST_NAME].rstrip("_")
    if not name:
        return f"column_{hashlib.blake2s(title.casefold().encode(), digest_size=3).hexdigest()}"
    return f"column_{name}" if name[0].isdigit() else name


def _called(pin: Pin) -> str:
    return f"“{pin.title}”" if pin.title else f"without a header ({letters(pin.nth - 1)})"


def _remarks(found: Columns, seen: Counter[str]) -> Iterable[str]:
    for folded, count in seen.items():
        if count > 1:
            names = [pin.name for pin in found.pins if pin.header == folded and not pin.is_gone]
            yield (
                f"{count} columns are called “{folded}”: they are {', '.join(names)}, from left to right. Rename them, so "
                "that moving one cannot swap them."
            )
    for pin in found.pins:
        if pin.is_gone:
            yield f"The column {_called(pin)} is no longer in the sheet: {pin.name} stays in the table, empty."
        elif not pin.header:
            yield f"Column {letters(pin.nth - 1)} has values but no header: it is {pin.name}. Give it one."
        elif not pin.type:
            yield f"The column {_called(pin)} has no value yet: {pin.name} joins the table with the first one."


# Types --------------------------------------------------------------------------------------------------------------


def decide(pin: Pin, cells: Sequence[Cell], locale: str) -> None:
    """Give the column the type that its cells have; it stays without one while it has no cells."""
    filled = [cell for cell in cells if cell is not None and not is_error(cell)]
    if not filled:
        return
    texts = [cell for cell in filled if isinstance(cell, str)]
    pin.mark, pin.order = decimal_mark(texts, locale), date_order(texts, locale)
    kinds = Counter(_kind(cell, pin) for cell in filled)
    if kinds["timestamp"]:
        kinds["timestamp"] += kinds.pop("date", 0)
    kind, count = kinds.most_common(1)[0]
    pin.type = kind if count >= TYPICAL * len(filled) else "text"


def _kind(cell: Cell, pin: Pin) -> str:
    if isinstance(cell, bool):
        return "bool"
    if isinstance(cell, Dated):
        if cell.is_time_only:
            return "text"
        return "date" if float(cell.serial).is_integer() else "timestamp"
    if isinstance(cell, (int, float)):
        return "double"
    text = str(cell)
    if text.strip().upper() in {"TRUE", "FALSE"}:
        return "bool"
    if number(text, pin.mark) is not None:
        return "double"
    when = moment(text, pin.order)
    return "text" if when is None else "timestamp" if isinstance(when, datetime) else "date"


def value_of(cell: Cell, pin: Pin, zone: tzinfo) -> Any:
    """The cell as its column's type. Raises `ValueError` or `OverflowError` when it does not fit."""
    if is_error(cell):
        raise ValueError("an error of a formula")
    match pin.type:
        case "double":
            return _number(cell, pin)
        case "bool":
            return _bool(cell)
        case "date":
            return _date(cell, pin)
        case "timestamp":
            return _timestamp(cell, pin, zone)
    return shown(cell)


def _number(cell: Cell, pin: Pin) -> float:
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return float(cell)
    found = number(cell, pin.mark) if isinstance(cell, str) else None
    if found is None:
        raise ValueError("not a number")
    return found


def _bool(cell: Cell) -> bool:
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and cell.strip().upper() in {"TRUE", "FALSE"}:
        return cell.strip().upper() == "TRUE"
    raise ValueError("neither true nor false")


def _date(cell: Cell, pin: Pin) -> date:
    if isinstance(cell, Dated) and float(cell.serial).is_integer():
        return cell.moment.date()
    when = moment(cell, pin.order) if isinstance(cell, str) else None
    if when is None or isinstance(when, datetime):
        raise ValueError("not a day")
    return when


def _timestamp(cell: Cell, pin: Pin, zone: tzinfo) -> datetime:
    """In UTC; the sheet's times are meant in the spreadsheet's own zone."""
    when: date | datetime | None = None
    if isinstance(cell, Dated) and not cell.is_time_only:
        when = cell.moment
    elif isinstance(cell, str):
        when = moment(cell, pin.order)
    if when is None:
        raise ValueError("not a time")
    if not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day)
    return when.replace(tzinfo=zone).astimezone(UTC)


@dataclass
class Misfits:
    """Cells of one column that are empty in the table although something stood there."""

    pin: Pin
    errors: list[tuple[int, str]] = field(default_factory=list)
    others: list[tuple[int, str]] = field(default_factory=list)

    def sentences(self) -> Iterable[str]:
        column = f"The column {_called(self.pin)}"
        if self.errors:
            yield f"{column} shows errors of formulas in {_examples(self.errors)}. Where it failed, {self.pin.name} is empty."
        if self.others:
            yield (
                f"{column} holds {WORDS[self.pin.type]}, but not in {_examples(self.others)}. There {self.pin.name} is "
                "empty; what stands in the cell is kept in _extra."
            )


def _examples(cells: Sequence[tuple[int, str]]) -> str:
    some = ", ".join(f"row {row}: {text[:40]}" for row, text in cells[:EXAMPLES])
    more = len(cells) - EXAMPLES
    return f"{len(cells)} cell{'s' if len(cells) > 1 else ''} ({some}{f' and {more} more' if more > 0 else ''})"
