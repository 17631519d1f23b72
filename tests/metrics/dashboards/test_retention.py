"""Retention and cohorts: what has not happened yet is blank, months that are not over do not count."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from metrics.dashboards import retention
from metrics.dashboards.choices import read_query
from metrics.dashboards.published import Published
from metrics.dashboards.shapes import Board
from metrics.manifest import ProjectDoc
from tests.metrics.dashboards.published import publish

pytestmark = pytest.mark.slow


def board(query: str = "", **more) -> Board:
    publish("a.duckdb", **more)
    return retention.read(Published("a.duckdb"), read_query(query), ProjectDoc())


def cell(cohort: int, age: int, month: date, began: int, kept: int, *, is_complete: bool = True) -> dict:
    return {
        "cohort_month": date(2026, cohort, 1),
        "months_since": age,
        "month": month,
        "cohort_mrr": Decimal(began),
        "mrr": Decimal(kept),
        "is_complete": is_complete,
    }


def test_ages_are_weighted_by_size_and_leave_out_the_running_month():
    rows = [
        cell(1, 0, date(2026, 1, 1), 100, 100),
        cell(1, 1, date(2026, 2, 1), 100, 50),
        cell(1, 2, date(2026, 3, 1), 100, 0, is_complete=False),
        cell(2, 0, date(2026, 2, 1), 300, 300),
        cell(2, 1, date(2026, 3, 1), 300, 300, is_complete=False),
        cell(3, 0, date(2026, 3, 1), 900, 900, is_complete=False),
    ]
    found = retention.by_age(rows, "mrr")
    assert [(row["months_since"], row["retention"], row["cohorts"]) for row in found] == [
        (0, 1, 3),
        (1, Decimal("0.5"), 1),
    ]


def test_one_old_cohort_does_not_speak_for_all():
    ages = [{"months_since": age, "cohorts": count} for age, count in ((0, 5), (1, 3), (2, 2), (3, 1))]
    assert [age["months_since"] for age in retention.well_known(ages)] == [0, 1]
    assert retention.well_known(ages[2:]) == ages[2:]


def test_the_grid_is_whole_at_month_0_and_blank_where_nothing_happened_yet():
    grid = board("months=all").section("cohorts").grid
    newest, oldest = grid.rows[0], grid.rows[-1]
    assert newest[0][0] == "Nov 2026"
    assert [heat.words for _, cells in grid.rows for heat in cells[:1]] == ["100%"] * len(grid.rows)
    assert all(heat.level is None and heat.words == "" for heat in newest[1][1:])
    assert all(heat.level is not None for heat in oldest[1])


def test_the_running_month_is_marked_in_the_grid():
    grid = board().section("cohorts").grid
    october = next(cells for head, cells in grid.rows if head[0] == "Oct 2026")
    assert not october[0].is_to_date
    assert october[1].is_to_date


def test_cohorts_are_counted_by_customers_when_asked():
    found = board("by=customers")
    assert found.section("cohorts").title == "Cohort by cohort: Customers"
    assert {"cohort_customers", "customers", "customer_retention"} < {
        column.name for column in found.section("cohorts").table.columns
    }
    assert "customer" in found.section("cohorts").grid.rows[0][0][1]


def test_a_past_month_knows_nothing_of_what_came_after():
    found = board("month=2026-03")
    assert max(row["month"] for row in found.section("cohorts").table.rows) == date(2026, 3, 1)
    assert found.section("revenue").table.rows[0]["month"] == date(2026, 3, 1)


def test_what_is_not_defined_is_not_a_number():
    found = board(months=1)
    assert "no retention to speak of" in found.section("revenue").finding
    assert not found.section("revenue").has_chart


def test_either_mart_may_be_missing():
    no_cohorts = board(without=["mart_finance.cohort_retention"])
    assert "No cohorts yet" in no_cohorts.section("ages").problem
    assert not no_cohorts.section("revenue").problem
    no_rates = board(without=["mart_finance.revenue_retention"])
    assert "No revenue retention yet" in no_rates.section("revenue").problem
    assert no_rates.section("cohorts").grid
    assert (
        "connect Stripe" in board(without=["mart_finance.revenue_retention", "mart_finance.cohort_retention"]).problem
    )
