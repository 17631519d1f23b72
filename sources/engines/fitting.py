"""How the columns on their way and those of the table that is there come together, whichever warehouse it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from portal.failures import TerminalError
from sources.engines.columns import wider
from sources.engines.spool import ARROW, WarehouseColumn


@dataclass(frozen=True)
class Fitted:
    """A column with the type its table has then. `comes_as`: its type on the way; `old`: in the table, None: it is new."""

    column: WarehouseColumn
    comes_as: str
    old: str | None

    @property
    def word(self) -> str:
        return words(self.column)

    @property
    def is_widened(self) -> bool:
        return self.old is not None and self.old != self.word


def fitted(there: Mapping[str, str], columns: Sequence[WarehouseColumn]) -> list[Fitted]:
    """`there`: the types of the table's columns. Raises `TerminalError` (kind "columns") when two have no common type."""
    found = []
    for column in columns:
        old, new = there.get(column.name), words(column)
        both = new if old is None else wider(old, new)
        if both is None:
            raise TerminalError(
                f"Column “{column.name}” was {old} and comes as {new} now. No type holds both without loss, so nothing "
                "was loaded and the table is as it was. If it is right, reset the stream: its table is then made anew.",
                f"{old} → {new}",
                kind="columns",
            )
        found.append(Fitted(column if both == new else as_word(column, both), new, old))
    return found


def words(column: WarehouseColumn) -> str:
    """The type of a column on its way, in the words of `columns`."""
    if column.data_type == "decimal" and pa.types.is_decimal(column.arrow):
        return f"decimal({column.arrow.precision},{column.arrow.scale})"
    return column.data_type


def size_of(word: str) -> tuple[int, int] | None:
    """(precision, scale) of "decimal(10,2)", None for every other word."""
    match = re.fullmatch(r"decimal\((\d+),(\d+)\)", word)
    return (int(match[1]), int(match[2])) if match else None


def as_word(column: WarehouseColumn, word: str) -> WarehouseColumn:
    if size := size_of(word):
        return replace(column, data_type="decimal", arrow=pa.decimal128(*size))
    return replace(column, data_type=word, arrow=ARROW[word])


def too_large(column: str, count: int) -> TerminalError:
    return TerminalError(
        f"Column “{column}” has whole numbers and now also fractions. {count:,} of its numbers are too large to be kept "
        "exactly together with fractions, so nothing was loaded. Reset the stream to read it anew.",
        f"{count} values beyond 2^53",
        kind="columns",
    )
