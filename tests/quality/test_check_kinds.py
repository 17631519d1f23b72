"""What a form asks for and SodaCL say the same, in both directions."""

from __future__ import annotations

import pytest

from quality.check_kinds import ASKS, CUSTOM, KINDS, recognise, render
from quality.sodacl import CheckText

EXAMPLES = [
    ("no_missing", {"column": "email"}, "missing_count(email) = 0"),
    ("unique", {"column": "id"}, "duplicate_count(id) = 0"),
    ("one_of", {"column": "status", "values": ["a", "b"]}, "invalid_count(status) = 0:\n  valid values: [a, b]"),
    ("fresher", {"column": "created", "age": 3, "unit": "h"}, "freshness(created) < 3h"),
    ("rows_above", {"rows": 0}, "row_count > 0"),
    (
        "between",
        {"statistic": "avg", "column": "mrr", "low": "150000", "high": "250000.5"},
        "avg(mrr) between 150000 and 250000.5",
    ),
    ("between", {"statistic": "row_count", "column": "", "low": "1", "high": "9"}, "row_count between 1 and 9"),
    ("unusual", {"statistic": "sum", "column": "mrr"}, "anomaly detection for sum(mrr)"),
    ("unusual", {"statistic": "row_count", "column": ""}, "anomaly detection for row_count"),
]


@pytest.mark.parametrize(("kind", "answers", "definition"), EXAMPLES)
def test_answers_become_sodacl_and_sodacl_becomes_answers(kind, answers, definition):
    text = render(kind, answers)
    assert text.definition == definition
    recognised = recognise(CheckText.parse(definition))
    assert (recognised.kind, dict(recognised.answers)) == (kind, answers)


@pytest.mark.parametrize(
    "definition",
    [
        "missing_count(email) = 0:\n  filter: is_deleted = false",
        "invalid_count(status) = 0:\n  valid regex: '[a-z]+'",
        "freshness(created) < 1d6h",
        "missing_count(email) < 5",
        "row_count:\n  warn: when < 5",
        "duplicate_count(a, b) = 0",
        "schema:\n  fail:\n    when required column missing: [id]",
    ],
)
def test_what_the_questions_cannot_say_stays_sodacl(definition):
    recognised = recognise(CheckText.parse(definition))
    assert recognised.kind == CUSTOM
    assert CheckText.parse(recognised.answers["sodacl"]) == CheckText.parse(definition)


def test_every_kind_asks_something():
    assert set(ASKS) == set(KINDS)
