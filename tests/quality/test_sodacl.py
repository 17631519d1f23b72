"""One check taken apart and put together again."""

from __future__ import annotations

import pytest

from quality.sodacl import CheckText, History, Kind, Threshold


@pytest.mark.parametrize(
    ("line", "kind", "columns"),
    [
        ("row_count > 0", Kind.METRIC, ()),
        ("missing_count(customer_id) = 0", Kind.METRIC, ("customer_id",)),
        ('duplicate_count(id, "Order") = 0', Kind.METRIC, ("id", "Order")),
        ("percentile(amount, 0.95) < 10", Kind.METRIC, ("amount",)),
        ("freshness(created) < 3h", Kind.FRESHNESS, ("created",)),
        ("anomaly detection for sum(mrr)", Kind.ANOMALY, ("mrr",)),
        ("change avg last 7 percent for row_count < 5", Kind.CHANGE, ()),
        ("values in (a) must exist in other (b)", Kind.REFERENCE, ("a",)),
        ("row_count same as other", Kind.SAME_ROWS, ()),
        ("schema", Kind.SCHEMA, ()),
        ("failed rows", Kind.FAILED_ROWS, ()),
        ("row_count >< 3", Kind.OTHER, ()),
    ],
)
def test_kind_and_columns_are_read_from_the_line(line, kind, columns):
    text = CheckText(line)
    assert (text.kind, text.columns) == (kind, columns)


@pytest.mark.parametrize(
    ("line", "rendered"),
    [
        ("missing_count(d) = 0", 'missing_count("d") = 0'),
        ("sum(ORDER) between 1 and 3", 'sum("Order") between 1 and 3'),
        ("anomaly detection for sum(mrr)", 'anomaly detection for sum("mrr")'),
        ("percentile(mrr, 0.5) < 3", 'percentile("mrr", 0.5) < 3'),
        ("duplicate_count(d, mrr) = 0", 'duplicate_count("d", "mrr") = 0'),
        ("values in (d) must exist in cust (id)", 'values in ("d") must exist in raw_x.cust ("id")'),
        ("values in (d) must not exist in b.cust (id)", 'values in ("d") must not exist in b.cust ("id")'),
        ("row_count same as cust", "row_count same as raw_x.cust"),
        ("row_count > 0", "row_count > 0"),
    ],
)
def test_identifiers_are_quoted_in_the_spelling_of_the_table(line, rendered):
    assert CheckText(line).rendered_line({"d": "d", "order": "Order", "mrr": "mrr"}, "raw_x") == rendered


@pytest.mark.parametrize(
    ("text", "threshold"),
    [
        ("= 0", Threshold("=", "0")),
        ("<> 3", Threshold("!=", "3")),
        ("< 3h", Threshold("<", "3h")),
        (">= -1.5", Threshold(">=", "-1.5")),
        ("< 5 %", Threshold("<", "5", is_percent=True)),
        ("between 1 and 3", Threshold("between", "1", "3")),
        ("not between (1 and 3]", Threshold("not between", "1", "3")),
        (">< 3", None),
        ("", None),
    ],
)
def test_a_threshold_is_understood_or_left_alone(text, threshold):
    assert Threshold.parse(text) == threshold


def test_how_a_change_looks_back():
    assert CheckText("change for row_count < 5").history == History()
    assert CheckText("change max last 3 percent for row_count < 5").history == History("max", 3, is_percent=True)
    assert CheckText("change same day last week for row_count < 5").history == History(same_day_last_week=True)


@pytest.mark.parametrize(
    "definition",
    [
        "row_count > 0",
        "invalid_count(status) = 0:\n  valid values: [active, 'yes', 3]",
        "failed rows:\n  fail query: |\n    select *\n    from raw_stripe.invoices",
        "schema:\n  fail:\n    when required column missing: [id]",
    ],
)
def test_the_canonical_form_is_stable(definition):
    once = CheckText.parse(definition).definition
    assert CheckText.parse(once).definition == once
    assert CheckText.parse(once) == CheckText.parse(definition)


@pytest.mark.parametrize("definition", ["", "[a, b]", "a: {b: c}\nd: e", "x: [", "row_count > 0: 5"])
def test_what_is_no_check_is_refused_with_a_sentence(definition):
    with pytest.raises(ValueError, match=r"\.$"):
        CheckText.parse(definition)
