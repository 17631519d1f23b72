"""What becomes of a grid: names, types, and what people are told when it changes."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from portal.failures import TerminalError
from sources.connectors.sheets_columns import column_name
from sources.connectors.sheets_grid import Grid
from sources.connectors.sheets_table import laid_out, pages, refuse_doubles
from sources.connectors.sheets_values import Dated


class Read:
    """A grid as rows, and what is kept for the next time."""

    def __init__(self, rows: list[list[Any]], before: Read | None = None, *, zone: str = "UTC", locale: str = "en_US"):
        grid = Grid([list(row) for row in rows])
        grid.pad()
        remembered = json.loads(json.dumps(before.kept)) if before else None
        columns, found = laid_out(grid, None, remembered, locale)
        self.columns, self.found = columns, found
        self.tables = list(pages(columns, found, ZoneInfo(zone)))
        self.rows = [row for table in self.tables for row in table.to_pylist()]
        self.types = {
            name: str(kind) for name, kind in zip(self.tables[0].schema.names, self.tables[0].schema.types, strict=True)
        }
        self.kept = columns.kept()

    @property
    def notes(self) -> str:
        return " ".join(self.kept["notes"])

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows]


def test_each_row_has_its_number_in_the_sheet_and_empty_rows_are_left_out():
    read = Read([["name", "age"], ["Ada", 36], [], [None, None], ["Bo", 41]])
    assert [(row["_row"], row["name"], row["age"]) for row in read.rows] == [(2, "Ada", 36.0), (5, "Bo", 41.0)]
    assert read.types == {"_row": "int64", "name": "string", "age": "double", "_extra": "string"}
    assert read.notes == ""


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Plan MRR ($)", "plan_mrr"),
        ("  Größe  ", "grosse"),
        ("2026", "column_2026"),
        ("_row", "row"),
        ("a" * 90, "a" * 60),
    ],
)
def test_a_header_becomes_a_name_for_a_table(title, name):
    assert column_name(title) == name


def test_a_header_in_another_script_has_a_name_that_does_not_depend_on_its_place():
    first, second = column_name("Выручка"), column_name("🍇")
    assert first.startswith("column_")
    assert first == column_name("выручка") != second


def test_duplicate_and_empty_headers_get_steady_names_and_people_are_told():
    read = Read([["Amount", None, "Amount", "Amount 2", None], [1, "x", 2, 3, None]])
    assert list(read.types) == ["_row", "amount", "column_b", "amount_3", "amount_2", "_extra"]
    assert read.rows[0] | {"_row": 0} == {
        "_row": 0, "amount": 1.0, "column_b": "x", "amount_3": 2.0, "amount_2": 3.0, "_extra": None,
    }  # fmt: skip
    assert "2 columns are called “amount”" in read.notes
    assert "Column B has values but no header" in read.notes


def test_types_are_read_from_the_cells():
    read = Read(
        [
            ["n", "money", "share", "day", "typed day", "moment", "yes", "text", "mixed", "code"],
            [1, "€ 1.234,50", 0.5, Dated(46082, "1.3."), "2026-03-01", Dated(46082.5, "x"), True, "a", 1, "007"],
            [2.5, "(300)", " 12 %", Dated(46083, "2.3."), "2026-03-02", Dated(46083, "x"), "TRUE", "b", "x", "012"],
        ]
    )
    assert list(read.types.values())[1:-1] == [
        "double", "double", "double", "date32[day]", "date32[day]", "timestamp[us, tz=UTC]", "bool", "string", "string",
        "string",
    ]  # fmt: skip
    assert read.column("money") == [1234.5, -300.0]
    assert read.column("share") == [0.5, 0.12]
    assert read.column("day") == read.column("typed_day") == [dt.date(2026, 3, 1), dt.date(2026, 3, 2)]
    assert read.column("yes") == [True, True]
    assert read.column("mixed") == ["1", "x"]
    assert read.column("code") == ["007", "012"]


def test_times_are_meant_in_the_spreadsheets_own_zone():
    read = Read([["at", "x"], [Dated(46204.5, "1 Jul 2026 12:00"), 1], ["2026-01-01 12:00", 2]], zone="Europe/Berlin")
    assert [value.isoformat() for value in read.column("at")] == [
        "2026-07-01T10:00:00+00:00",
        "2026-01-01T11:00:00+00:00",
    ]


def test_a_time_of_day_is_kept_as_it_is_shown():
    assert Read([["at", "x"], [Dated(0.5, "12:00"), 1]]).column("at") == ["12:00"]


def test_errors_of_formulas_are_empty_and_counted():
    read = Read([["a", "b"], [1, 2], ["#REF!", 3], ["#N/A", 4], [5, 6]])
    assert read.column("a") == [1.0, None, None, 5.0]
    assert read.column("_extra") == [None, '{"a":"#REF!"}', '{"a":"#N/A"}', None]
    assert "“a” shows errors of formulas in 2 cells (row 3: #REF!, row 4: #N/A)" in read.notes


def test_a_moved_column_changes_nothing():
    first = Read([["name", "amount", "day"], ["x", 1, "2026-03-01"], ["y", 2, "2026-03-02"]])
    moved = Read([["day", "new", "name", "amount"], ["2026-03-01", 7, "x", 1], ["2026-03-02", 8, "y", 2]], first)
    assert [{k: v for k, v in row.items() if k != "new"} for row in moved.rows] == first.rows
    assert list(moved.types)[:4] == list(first.types)[:4]
    assert moved.notes == "The column “new” is new; it is new in the table."


def test_headers_are_compared_without_case_and_spaces():
    first = Read([["Plan MRR", "x"], [1, 2]])
    assert Read([["x", " plan  mrr"], [2, 1]], first).rows == first.rows


def test_two_headers_that_read_alike_keep_their_columns_when_they_move():
    first = Read([["Amount $", "Amount %"], [1, 2]])
    assert list(first.types)[1:3] == ["amount", "amount_2"]
    assert Read([["Amount %", "Amount $"], [2, 1]], first).rows == first.rows


def test_a_renamed_header_is_a_new_column_and_the_old_one_stays_empty_and_is_told():
    first = Read([["plan", "x"], [1, 2]])
    second = Read([["target", "x"], [1, 2]], first)
    assert second.rows == [{"_row": 2, "plan": None, "x": 2.0, "target": 1.0, "_extra": None}]
    assert "“target” is new" in second.notes
    assert "“plan” is no longer in the sheet: plan stays in the table, empty" in second.notes
    back = Read([["plan", "x"], ["text", 2]], second)
    assert back.types["plan"] == "double"
    assert "“plan”" not in back.notes.partition("holds")[0].replace("The column “plan” ", "")


def test_a_value_that_does_not_fit_keeps_its_row_and_its_text_and_is_told():
    first = Read([["amount", "day"], [1, "2026-03-01"], [2, "2026-03-02"]])
    second = Read([["amount", "day"], ["tbd", "2026-03-01"], [2, 12], [True, "soon"]], first)
    assert second.types == first.types
    assert second.column("amount") == [None, 2.0, None]
    assert second.column("day") == [dt.date(2026, 3, 1), None, None]
    assert second.column("_extra") == ['{"amount":"tbd"}', '{"day":12}', '{"amount":true,"day":"soon"}']
    assert "“amount” holds numbers, but not in 2 cells (row 2: tbd, row 4: TRUE)" in second.notes
    assert "There amount is empty; what stands in the cell is kept in _extra." in second.notes


def test_one_odd_cell_does_not_make_a_column_of_money_text():
    read = Read([["amount", "x"], *([value, 1] for value in [*range(19), "tbd"])])
    assert read.types["amount"] == "double"
    assert "row 21: tbd" in read.notes


def test_a_text_column_stays_text_when_numbers_come():
    first = Read([["code", "x"], ["A1", 1]])
    assert Read([["code", "x"], [12, 1], [Dated(46082, "1 Mar"), 1], [False, 1]], first).column("code") == [
        "12",
        "1 Mar",
        "FALSE",
    ]


def test_the_decimal_mark_of_a_column_stays_decided():
    first = Read([["amount", "x"], ["1.234,50", 1], ["1.500", 2]])
    assert first.column("amount") == [1234.5, 1500.0]
    assert Read([["amount", "x"], ["1.500", 2]], first).column("amount") == [1500.0]


def test_a_column_without_values_joins_with_its_first_one():
    first = Read([["a", "actual"], [1, None]])
    assert "actual" not in first.types
    assert "“actual” has no value yet" in first.notes
    assert Read([["a", "actual"], [1, 5]], first).column("actual") == [5.0]


def test_a_sheet_that_was_cleared_keeps_its_columns():
    first = Read([["a", "b"], [1, 2]])
    cleared = Read([], first)
    assert (cleared.rows, cleared.types) == ([], first.types)


def test_a_wide_grid_is_read_whole():
    width = 2_000
    read = Read([[f"m{n}" for n in range(width)], list(range(width)), list(range(width))])
    assert len(read.types) == width + 2
    assert read.rows[1]["m1999"] == 1999.0


def test_many_rows_come_in_several_pages():
    read = Read([["a", "b"], *([n, n] for n in range(45_000))])
    assert [len(table) for table in read.tables] == [20_000, 20_000, 5_000]


def test_a_chosen_key_has_to_tell_the_rows_apart():
    read = Read([["id", "x"], ["a", 1], ["b", 2], ["a", 3]])
    with pytest.raises(TerminalError, match=r"A row should be known by id, but rows 2, 4 have the same: a\."):
        refuse_doubles(read.columns, read.found, ("id",))
    refuse_doubles(read.columns, read.found, ("x",))
    refuse_doubles(read.columns, read.found, ("_row",))
    with pytest.raises(TerminalError, match="no column gone any more"):
        refuse_doubles(read.columns, read.found, ("gone",))
    hole = Read([["id", "x"], ["a", 1], [None, 2]])
    with pytest.raises(TerminalError, match="it is empty in row 3"):
        refuse_doubles(hole.columns, hole.found, ("id",))
