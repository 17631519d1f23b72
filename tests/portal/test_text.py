"""Words for numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from portal import text

NOW = datetime(2026, 11, 12, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "long", "short"),
    [
        (timedelta(0), "just now", "just now"),
        (timedelta(seconds=59), "just now", "just now"),
        (timedelta(seconds=60), "1 minute ago", "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago", "59 min ago"),
        (timedelta(hours=1), "1 hour ago", "1 h ago"),
        (timedelta(hours=47), "47 hours ago", "47 h ago"),
        (timedelta(days=2), "2 days ago", "2 d ago"),
        (timedelta(seconds=-5), "any moment", "any moment"),
        (timedelta(seconds=-30), "in 30 seconds", "in 30 s"),
        (timedelta(hours=-3), "in 3 hours", "in 3 h"),
    ],
)
def test_an_age_uses_one_unit(before, long, short):
    assert text.ago(NOW - before, NOW) == long
    assert text.ago(NOW - before, NOW, short=True) == short


def test_what_never_happened_is_never():
    assert text.ago(None, NOW) == "never"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (-3, "0.0 s"),
        (None, "–"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds, words):
    assert text.duration(seconds) == words
    if seconds is not None:
        assert text.duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (NOW - timedelta(hours=3), "11:30"),
        (NOW - timedelta(hours=20), "yesterday 18:30"),
        (NOW + timedelta(hours=20), "tomorrow 10:30"),
        (NOW - timedelta(days=10), "2 Nov 14:30"),
        (NOW - timedelta(days=400), "8 Oct 2025 14:30"),
    ],
)
def test_a_moment_in_a_sentence_says_only_what_is_needed(then, words):
    assert text.clock(then, NOW) == words


def test_times_are_the_readers(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    assert text.clock(NOW, NOW) == "15:30"
    assert text.moment(NOW) == "Thu 12 Nov 2026, 15:30:00 CET"


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (timedelta(minutes=15), "15 minutes"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=2), "2 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=7), "1 week"),
        (None, "unknown"),
    ],
)
def test_a_promise_is_said_exactly(delta, words):
    assert text.span(delta) == words


def test_numbers():
    assert text.plural(1, "source") == "1 source"
    assert text.plural(0, "source") == "0 sources"
    assert text.plural(2, "query", "queries") == "2 queries"
    assert text.plural(1204, "row") == "1,204 rows"
    assert text.number(-1200) == "\N{MINUS SIGN}1,200"
    assert text.number(None) == "unknown"
    assert [text.compact(value) for value in (0, 950, 171_204, 150_000, 2_400_000)] == [
        "0", "950", "171.2k", "150k", "2.4M",
    ]  # fmt: skip


def test_money_has_the_sign_of_its_currency():
    assert text.money(Decimal("171204.40"), "usd") == "$171,204"
    assert text.money(Decimal("-300"), "eur", signed=True) == "\N{MINUS SIGN}€300"
    assert text.money(1200, "usd", signed=True) == "+$1,200"
    assert text.money(0, "usd", signed=True) == "$0"
    assert text.money(1200, "chf") == "1,200\N{NARROW NO-BREAK SPACE}CHF"
    assert text.money(None) == "unknown"
    assert text.money(Decimal("-1200.5"), "usd", cents=True) == "\N{MINUS SIGN}$1,200.50"
    assert text.money(Decimal("0.4"), "chf", signed=True, cents=True) == "+0.40\N{NARROW NO-BREAK SPACE}CHF"


def test_percent_says_when_there_is_nothing_to_compare_with():
    assert text.percent(0.0123, signed=True) == "+1.2%"
    assert text.percent(-0.0004, signed=True) == "0.0%"
    assert text.percent(None) == "n/a"


def test_lists_read_as_a_sentence():
    assert text.listed([]) == ""
    assert text.listed(["a"]) == "a"
    assert text.listed(["a", "b"]) == "a and b"
    assert text.listed(["a", "b", "c"]) == "a, b and c"
    assert text.listed(list("abcdefg")) == "a, b, c, d and 3 more"
