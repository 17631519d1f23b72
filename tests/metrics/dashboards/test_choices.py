"""What the reader chose: out of the address, back into it, and what was asked wrongly is said."""

from __future__ import annotations

from datetime import date

import pytest

from metrics.dashboards.choices import Choices, read, read_query

pytestmark = pytest.mark.slow

MONTHS = [date(2026, month, 1) for month in range(1, 12)]


def test_an_empty_address_is_the_default():
    assert read({}) == Choices()
    assert Choices().query() == ""


@pytest.mark.parametrize("query", ["month=2026-03", "months=12", "month=2026-03&months=all&by=customers"])
def test_an_address_says_what_it_was_made_from(query):
    assert read_query(f"?{query}").query() == query


def test_one_choice_changes_and_the_others_stay():
    chosen = read_query("month=2026-03&by=customers")
    assert chosen.query(months="12") == "month=2026-03&months=12&by=customers"
    assert chosen.query(month=None) == "by=customers"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("month=2026-13", "“2026-13” is not a month"),
        ("month=0000-01", "“0000-01” is not a month"),
        ("month=last", "“last” is not a month"),
        ("months=7", "“7” is not a number of months (use 12 or 24 or all), so you see 24."),
        ("by=weight", "“weight” is not a way to count cohorts"),
        ("month=" + "9" * 500, "“99999999999999999999…” is not a month"),
    ],
)
def test_what_cannot_be_had_is_said_and_the_default_is_shown(query, words):
    found = read_query(query)
    assert len(found.problems) == 1
    assert words in found.problems[0]
    assert found == Choices()


def test_what_others_put_into_an_address_is_none_of_our_business():
    assert read_query("utm_source=mail&fbclid=1").problems == ()


def test_a_month_without_numbers_is_said_and_the_latest_is_shown():
    found = read_query("month=2019-05").within(MONTHS)
    assert found.month == MONTHS[-1]
    assert found.problems == ("There are no numbers for May 2019, so you see November 2026.",)


def test_the_range_ends_with_the_chosen_month():
    assert read_query("month=2026-03&months=12").last(MONTHS) == MONTHS[:3]
    assert read_query("").within(MONTHS).last(MONTHS) == MONTHS
    many = [date(2000 + number // 12, number % 12 + 1, 1) for number in range(60)]
    assert len(read_query("").last(many)) == 24
    assert len(read_query("months=all").last(many)) == 60
