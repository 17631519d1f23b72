from __future__ import annotations

import pytest

from sources.connectors.sheets_grid import (
    Changed,
    Grid,
    column_number,
    combined,
    fill_merged,
    header_index,
    letters,
    start_of,
)
from sources.connectors.sheets_values import Dated


def merge(first_row: int, last_row: int, first_column: int, last_column: int) -> dict[str, int]:
    return {
        "startRowIndex": first_row,
        "endRowIndex": last_row,
        "startColumnIndex": first_column,
        "endColumnIndex": last_column,
    }


@pytest.mark.parametrize(("number", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_columns_are_lettered_as_in_a_spreadsheet(number, name):
    assert (letters(number), column_number(name)) == (name, number)


@pytest.mark.parametrize(
    ("a1", "start"),
    [
        ("Sheet1!A1:D4", ("Sheet1", 1, 0)),
        ("'It''s a plan!'!B3:H40", ("It's a plan!", 3, 1)),
        ("'🌵 values'!A:A", ("🌵 values", 1, 0)),
        ("Sheet1!C7", ("Sheet1", 7, 2)),
    ],
)
def test_a_range_says_where_it_begins(a1, start):
    assert start_of(a1) == start


def test_only_what_is_spelled_differently_is_a_date():
    grid = combined([[46082, 46082, "x", True, ""]], [["1 Mar", 46082, "x", True, ""]])
    assert grid == [[Dated(46082, "1 Mar"), 46082, "x", True, None]]


@pytest.mark.parametrize(
    ("plain", "spelled"),
    [([["a"]], [["b"]]), ([["a"]], [["a"], ["b"]]), ([[1]], [[1, 2]]), ([["a"]], [[1]]), ([[1]], [[True]])],
)
def test_answers_that_do_not_fit_together_are_not_put_together(plain, spelled):
    with pytest.raises(Changed):
        combined(plain, spelled)


def test_a_merged_area_has_its_value_in_every_cell():
    grid = Grid([["Q1", "Jan"], [None, "Feb"], [None, "Mar"], ["Total", None, None]])
    fill_merged(grid, [merge(0, 3, 0, 1), merge(3, 4, 0, 3)])
    assert grid.rows == [["Q1", "Jan", None], ["Q1", "Feb", None], ["Q1", "Mar", None], ["Total"] * 3]


def test_a_merged_area_is_filled_also_where_google_left_out_what_is_empty():
    grid = Grid([["Title"], ["a", "b", "c"], ["x"]])
    fill_merged(grid, [merge(0, 1, 0, 4), merge(2, 4, 0, 1)])
    assert grid.rows == [["Title"] * 4, ["a", "b", "c", None], ["x", None, None, None], ["x", None, None, None]]


def test_merged_areas_are_found_by_their_place_in_the_sheet():
    grid = Grid([["x", None], [None, 1]], first_row=3, first_column=1)
    fill_merged(grid, [merge(2, 4, 1, 2), merge(0, 2, 0, 9)])
    assert grid.rows == [["x", None], ["x", 1]]


@pytest.mark.parametrize(
    ("rows", "wanted", "index"),
    [
        ([["a", "b"], [1, 2]], None, 0),
        ([[], ["a", "b"], [1, 2]], None, 1),
        ([["Plan", "Plan"], ["by Mira"], [], ["a", "b"], [1, 2], [3, 4]], None, 3),
        ([["name"], ["x"], ["y"]], None, 0),
        ([["name"], ["x"], ["y"], ["z", "a note"]], None, 0),
        ([["Plan"], ["a", "b"], [1, 2]], 2, 1),
        ([["Plan"], ["a", "b"], [1, 2]], 9, None),
        ([[], [None]], None, None),
        ([["only", "names"]], None, 0),
    ],
)
def test_the_header_is_the_row_that_was_named_or_the_first_that_is_no_title(rows, wanted, index):
    assert header_index(Grid(rows), wanted) == index
