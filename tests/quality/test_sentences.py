"""What checks promise and find, in plain English."""

from __future__ import annotations

import pytest

from quality import sentences
from quality.sodacl import CheckText


@pytest.mark.parametrize(
    ("line", "config", "promise"),
    [
        ("freshness(created) < 3h", {}, "The newest created is less than 3 h old"),
        ("missing_count(amount_paid) = 0", {}, "Every row has an amount_paid"),
        ("row_count > 0", {}, "The table is not empty"),
        ("row_count > 1000", {}, "The number of rows is more than 1,000"),
        ("duplicate_count(id) = 0", {}, "No two rows share the same id"),
        ("invalid_count(status) = 0", {"valid values": ["a", "b"]}, "Every status is one of a and b"),
        ("invalid_count(email) = 0", {"valid format": "email"}, "Every email is a valid email"),
        ("avg(mrr) between 150000 and 250000", {}, "The average of mrr is between 150,000 and 250,000"),
        ("anomaly detection for sum(mrr)", {}, "No unusual changes in the sum of mrr"),
        ("change percent for row_count < 5", {}, "The change in the number of rows is less than 5"),
        ("failed rows", {"fail condition": "amount < 0"}, "No row where amount < 0"),
        ("row_count same as customers", {}, "Has as many rows as customers"),
        ("schema", {"fail": {}}, "The columns are as expected"),
        ("row_count", {"warn": "when < 5"}, "The number of rows is not less than 5"),
    ],
)
def test_a_check_without_a_name_is_named_by_what_it_says(line, config, promise):
    assert sentences.promise(CheckText(line, config)) == promise


@pytest.mark.parametrize(
    ("line", "config", "value", "outcome", "sentence"),
    [
        ("missing_count(customer_id) = 0", {}, 3, "fail", "3 rows have no customer_id; none are allowed."),
        ("missing_count(customer_id) = 0", {}, 1, "fail", "1 row has no customer_id; none are allowed."),
        ("missing_count(customer_id) = 0", {}, 0, "pass", "Every row has a customer_id."),
        (
            "invalid_count(status) = 0",
            {"valid values": ["a", "b"]},
            1,
            "fail",
            "1 row has a status that is not one of a and b; none are allowed.",
        ),
        ("freshness(created) < 3h", {}, 4320, "pass", "The newest created is 1 h 12 min old; it must be less than 3 h."),
        (
            "avg(mrr) between 150000 and 250000",
            {},
            171204.4,
            "pass",
            "The average of mrr is 171,204.4; it must be between 150,000 and 250,000.",
        ),
        ("row_count", {"warn": "when > 5", "fail": "when > 9"}, 7, "warn", "The table has 7 rows; it should not be more than 5."),
        ("row_count", {"warn": "when > 5", "fail": "when > 9"}, 10, "fail", "The table has 10 rows; it must not be more than 9."),
        ("failed rows", {"fail condition": "a < 0"}, 2, "fail", "2 rows match “a < 0”; none are allowed."),
        ("row_count same as other", {}, -2, "fail", "It has 2 rows fewer than other."),
        ("missing_percent(a) < 5 %", {}, 10, "fail", "The share of rows without a value of a is 10 %; it must be less than 5 %."),
    ],
)  # fmt: skip
def test_an_outcome_is_said_with_its_number_and_its_rule(line, config, value, outcome, sentence):
    assert sentences.found(CheckText(line, config), value, outcome, {}) == sentence


def test_an_anomaly_says_what_was_expected():
    text = CheckText("anomaly detection for row_count")
    assert sentences.found(text, 1200, "fail", {"low": 90, "high": 110}) == (
        "The number of rows is 1,200; between 90 and 110 was expected from its history."
    )


def test_learning_says_how_far_it_is():
    assert sentences.learning(2, 5).startswith("Learning (2 of 5 measurements)")
