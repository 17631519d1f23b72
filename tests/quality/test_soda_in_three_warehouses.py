"""The same checks in DuckDB, PostgreSQL and BigQuery: the same outcomes, numbers and sentences, and nothing is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from quality.soda_adapter import CheckReport, CheckRequest, connected, scan_dataset
from quality.soda_runtime import Point
from tests.warehouses.places import PLACES, Place

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CUSTOMERS = "mart_x.customers"


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, settings: Any) -> Place:
    made = PLACES[request.param](settings, request)
    rows = " union all ".join(
        f"select {n} as m, {'null' if n == 3 else repr(f'cus_{n}')} as customer_id, 'active' as status,"
        f" cast('2026-11-20 10:48:00' as timestamp) as created_at, cast({n}.5 as numeric) as amount"
        for n in range(10)
    )
    made.write("raw_stripe.subscriptions", rows)
    made.write(CUSTOMERS, "select 'cus_1' as id, 20 as m union all select 'cus_2' as id, 30 as m")
    # What people read holds other numbers: checks look at what is about to be published.
    made.warehouse.publish("00000001")
    made.write(CUSTOMERS, "select 'cus_1' as id, 20 as m")
    return made


def run(place: Place, *definitions: str, dataset: str, history: tuple[Point, ...] = ()) -> list[CheckReport]:
    requests = [CheckRequest(str(n), definition, history) for n, definition in enumerate(definitions)]
    with place.warehouse.writer(), connected(place.warehouse) as connection:
        return scan_dataset(connection, dataset, requests, NOW)


CHECKS = [
    ("row_count > 0", "pass", 10, "The table has 10 rows; it must be more than 0."),
    ("missing_count(customer_id) = 0", "fail", 1, "1 row has no customer_id; none are allowed."),
    ("missing_count(CUSTOMER_ID) = 0", "fail", 1, "1 row has no CUSTOMER_ID; none are allowed."),
    ("max(m) < 9", "fail", 9, "The maximum of m is 9; it must be less than 9."),
    ("avg(amount) between 1 and 9", "pass", 5, "The average of amount is 5; it must be between 1 and 9."),
    ("duplicate_count(status) = 0", "fail", 1, "1 value of status occurs more than once; none are allowed."),
    ("row_count:\n  warn: when > 5\n  fail: when > 50", "warn", 10, "The table has 10 rows; it should not be more than 5."),
    ("failed rows:\n  fail condition: m > 7", "fail", 2, "2 rows match “m > 7”; none are allowed."),
    ("failed rows:\n  fail query: select * from raw_stripe.subscriptions where m > 7", "fail", 2, "2 rows found; none are allowed."),
    ("failed rows:\n  fail query: select * from mart_x.customers where m > 7", "fail", 1, "1 row found; none are allowed."),
    ("values in (customer_id) must exist in mart_x.customers (id)", "fail", 8, None),
    ("row_count same as mart_x.customers", "fail", 9, "It has 9 rows more than mart_x.customers."),
    ("schema:\n  fail:\n    when required column missing: [customer_id, plan]", "fail", None, "Missing: plan."),
    ("freshness(created_at) < 1h", "fail", 4320, "The newest created_at is 1 h 12 min old; it must be less than 1 h."),
    ("avg_m > 100:\n  avg_m expression: avg(m)", "fail", 4.5, "Avg_m is 4.5; it must be more than 100."),
    ("invalid_count(status) = 0:\n  valid values: [active]", "pass", 0, None),
    ("invalid_percent(customer_id) < 5:\n  valid regex: cus_[0-8]", "fail", 10, None),
]  # fmt: skip


def test_every_kind_of_check_says_the_same(place: Place) -> None:
    reports = run(place, *(check[0] for check in CHECKS), dataset="raw_stripe.subscriptions")
    for (definition, outcome, value, sentence), report in zip(CHECKS, reports, strict=True):
        assert (report.outcome, report.value) == (outcome, value), f"{definition}\n{report}"
        assert sentence is None or report.sentence == sentence
        assert "candidate_" not in report.sentence


def test_a_mart_is_checked_before_it_is_published(place: Place) -> None:
    rows, known, missing = run(
        place, "row_count = 1", "missing_count(id) = 0", "missing_count(idd) = 0", dataset="mart_x.customers"
    )
    assert (rows.outcome, rows.value, known.outcome) == ("pass", 1, "pass")
    assert missing.sentence == (
        "The table mart_x.customers has no column idd, so this could not be checked. Did you mean id?"
    )


def test_a_broken_check_does_not_take_the_others_with_it(place: Place) -> None:
    reports = run(
        place,
        "row_count > 0",
        "failed rows:\n  fail condition: nonsense > 3",
        "failed rows:\n  fail query: select * from nowhere",
        "missing_count(status) = 0",
        dataset="raw_stripe.subscriptions",
    )
    assert [report.outcome for report in reports] == ["pass", "error", "error", "pass"]
    assert all(report.sentence.startswith("This could not be checked") for report in reports[1:3])


def test_a_table_that_is_not_there_is_said_so(place: Place) -> None:
    (report,) = run(place, "row_count > 0", dataset="mart_x.gone")
    assert report.sentence == "The table mart_x.gone does not exist, so this could not be checked."


def test_history_is_found_again_by_what_everybody_calls_the_table(place: Place) -> None:
    (first,) = run(place, "change for row_count < 5", dataset=CUSTOMERS)
    assert first.outcome == "learning"
    assert first.metric.startswith("metric-portal-mart_x-")
    point = Point(first.metric, -5, datetime(2026, 11, 19, 12, tzinfo=UTC))
    (second,) = run(place, "change for row_count < 5", dataset=CUSTOMERS, history=(point,))
    assert (second.outcome, second.value) == ("fail", 6)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from raw_stripe.subscriptions where true",
        "select 1; delete from raw_stripe.subscriptions where true",
        "select 1; commit; delete from raw_stripe.subscriptions where true",
        "drop table raw_stripe.subscriptions",
    ],
)
def test_a_check_cannot_write(place: Place, statement: str) -> None:
    reports = run(
        place, f"failed rows:\n  fail query: {statement}", "row_count = 10", dataset="raw_stripe.subscriptions"
    )
    assert [report.outcome for report in reports] == ["error", "pass"]
    assert place.run("select count(*) from raw_stripe.subscriptions") == [(10,)]
