from __future__ import annotations

import datetime as dt

import pytest

from sources.connectors.sheets_values import Dated, date_order, decimal_mark, moment, number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.50", 1234.5),
        ("€ 1.234,50", 1234.5),
        (" 12 %", 0.12),
        ("(300)", -300.0),
        ("($4,200)", -4200.0),
        ("$ 182,400", 182400.0),
        ("USD 5", 5.0),
        ("5\u00a0EUR", 5.0),
        ("1 234,50", 1234.5),
        ("1'234.50", 1234.5),
        ("−5", -5.0),
        ("5-", -5.0),
        ("$-5", -5.0),
        ("1,23,456", 123456.0),
        (".5", 0.5),
        ("12,5", 12.5),
        ("0,125", 0.125),
        ("1.234.567", 1234567.0),
        ("７", 7.0),
    ],
)
def test_a_number_typed_as_text_is_that_number(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "007",
        "1.2.3",
        "12 34",
        "INV 12",
        "+49 170 1234567",
        "12.03.2026",
        "12k",
        "",
        "n/a",
        "(5",
        "-(5)",
        "9" * 16,
        "--5",
    ],
)
def test_codes_dates_and_words_are_no_numbers(text):
    assert number(text) is None


@pytest.mark.parametrize(
    ("texts", "locale", "mark"),
    [
        (["1,234", "5"], "en_US", "."),
        (["1.234", "5"], "de_DE", ","),
        (["1.234", "5"], "de_CH", "."),
        (["1.234", "12,5"], "en_US", ","),
        (["1,234", "0.5"], "de_DE", "."),
        (["1.234.567"], "en_US", ","),
        ([], "", "."),
    ],
)
def test_the_column_or_else_the_language_says_which_mark_parts_decimals(texts, locale, mark):
    assert decimal_mark(texts, locale) == mark


def test_an_ambiguous_number_is_read_by_its_columns_mark():
    assert (number("1,234", "."), number("1,234", ",")) == (1234.0, 1.234)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-03-01", dt.date(2026, 3, 1)),
        ("2026-03", dt.date(2026, 3, 1)),
        ("2026/3/9", dt.date(2026, 3, 9)),
        ("9.3.2026", dt.date(2026, 3, 9)),
        ("09.03.26", dt.date(2026, 3, 9)),
        ("03/04/2026", dt.date(2026, 4, 3)),
        ("Mar 2026", dt.date(2026, 3, 1)),
        ("9 March 2026", dt.date(2026, 3, 9)),
        ("March 9th, 2026", dt.date(2026, 3, 9)),
        ("2026-03-09 14:05", dt.datetime(2026, 3, 9, 14, 5)),
        ("2026-03-09T14:05:06", dt.datetime(2026, 3, 9, 14, 5, 6)),
    ],
)
def test_a_date_typed_as_text_is_that_date(text, when):
    assert moment(text) == when


@pytest.mark.parametrize("text", ["31.02.2026", "1.2.26", "2026", "Foo 2026", "13/13/2026", "soon", "2026-03-09 25:00"])
def test_what_is_on_no_calendar_is_no_date(text):
    assert moment(text) is None


def test_day_and_month_are_told_apart_by_the_column_or_else_the_country():
    assert date_order(["03/04/2026", "13/04/2026"], "en_US") == "dmy"
    assert date_order(["03/04/2026", "04/13/2026"], "de_DE") == "mdy"
    assert (date_order(["03/04/2026"], "en_US"), date_order(["03/04/2026"], "en_GB")) == ("mdy", "dmy")
    assert moment("03/04/2026", "mdy") == dt.date(2026, 3, 4)


def test_a_serial_number_counts_days_from_the_end_of_1899():
    assert Dated(43831, "2020-01-01").moment == dt.datetime(2020, 1, 1)
    assert Dated(46082.520833333336, "noon and a half").moment == dt.datetime(2026, 3, 1, 12, 30)
