"""Tables in words and for a spreadsheet."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal

import pytest

from metrics.dashboards.tables import ROWS_ON_A_PAGE, Column, Table, for_spreadsheet

pytestmark = pytest.mark.slow

COLUMNS = (
    Column("month", "Month", "month"),
    Column("mrr", "MRR", "money"),
    Column("moved", "Moved", "signed"),
    Column("kept", "Kept", "rate"),
    Column("customer", "Customer"),
)
ROW = {
    "month": date(2026, 11, 1),
    "mrr": Decimal("1234.56"),
    "moved": Decimal("-10.50"),
    "kept": 0.9876,
    "customer": "cus_1",
    "currency": "eur",
    "is_complete": False,
}


def words(row: dict) -> list[str]:
    return [cell.words for cell in Table(COLUMNS, [row]).body()[0]]


def test_a_row_in_words():
    assert words(ROW) == ["Nov 2026 to date", "€1,235", "−€10", "98.8%", "cus_1"]


def test_what_is_unknown_or_not_defined_is_no_zero():
    assert words({**ROW, "mrr": None, "kept": None}) == ["Nov 2026 to date", "–", "−€10", "n/a", "cus_1"]


def test_a_spreadsheet_gets_plain_values_under_the_names_of_the_mart():
    lines = list(csv.reader(Table(COLUMNS, [ROW]).lines()))
    assert lines == [
        ["month", "mrr", "moved", "kept", "customer"],
        ["2026-11-01", "1234.56", "-10.50", "0.9876", "cus_1"],
    ]


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =HYPERLINK(1)", '=cmd|"/c calc"!A1', "\u00a0=1"]
)
def test_text_never_becomes_a_formula(name):
    assert for_spreadsheet(name) == f"'{name}"
    assert next(csv.reader([list(Table((Column("customer", "Customer"),), [{"customer": name}]).lines())[1]])) != [name]


@pytest.mark.parametrize("name", ["cus_1", "Müller & Co, Ltd.", "a=b", "3 - 2"])
def test_ordinary_text_stays_as_it_is(name):
    assert for_spreadsheet(name) == name


def test_a_long_table_is_cut_on_the_page_and_whole_in_the_file():
    table = Table(COLUMNS, [ROW] * (ROWS_ON_A_PAGE + 3))
    assert len(table.body()) == ROWS_ON_A_PAGE
    assert table.left_out == 3
    assert len(list(table.lines())) == ROWS_ON_A_PAGE + 4
