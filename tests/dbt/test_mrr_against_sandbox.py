"""The sandbox company's true numbers against what dbt makes of its invoices: equal to the cent."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from portal.truth_questions import rate
from sandbox import truth, truth_retention
from sandbox.company import Company
from tests.dbt.helpers import STRIPE, Warehouse, problems
from tests.dbt.sandbox_rows import load_by_file, stripe_rows

pytestmark = pytest.mark.slow

OPENED = dt.datetime(2026, 11, 15, 10, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module", params=[1, 7], ids=["seed-1", "seed-7"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Warehouse]:
    """A smaller company with every kind of story in it, built."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    company = Company(seed=request.param, opened_at=int(OPENED.timestamp()), scale=0.4)
    company.run(int(OPENED.timestamp()))
    warehouse = Warehouse(folder, STRIPE, {"as_of": OPENED.strftime("%Y-%m-%d %H:%M:%S")})
    load_by_file(warehouse.path, stripe_rows(company), folder)
    assert problems(warehouse.build()) == []
    return company, warehouse


def test_every_customer_is_worth_the_truth_at_the_end_of_every_month(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    ours: dict[dt.date, dict[str, Decimal]] = defaultdict(dict)
    for month, customer, mrr in warehouse.rows(
        "select month, customer_id, mrr from mart_finance.mrr_by_customer_month where mrr <> 0"
    ):
        ours[month][customer] = mrr
    months = [row[0] for row in warehouse.rows("select month from mart_finance.mrr_monthly order by month")]
    assert len(months) == 25
    for month in months:
        last_day = (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)
        assert ours[month] == truth.mrr_on(company, last_day, rates=rate), month


def test_changes_that_wait_for_their_invoice_are_among_them(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    waiting = [
        item.id for item in company.ledger.invoice_items.values() if item.invoice is None and item.line.proration
    ]
    assert waiting
    known = warehouse.rows("select invoice_line_id from intermediate.int_stripe__pending_changes")
    assert {row[0] for row in known} == set(waiting)


def test_every_movement_is_the_true_one(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    theirs = [
        (move.customer_id, move.event_date, move.event_type, move.mrr_change)
        for move in truth.movements(company, rates=rate)
    ]
    ours = warehouse.rows("select customer_id, event_date, event_type, mrr_change from mart_finance.mrr_events")
    assert sorted(ours) == sorted(theirs)
    assert len(ours) > 500


def test_every_rate_of_every_month_is_the_true_one(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    names = [field.name for field in dataclasses.fields(truth_retention.MonthRates)]
    ours = warehouse.rows(f"select {', '.join(names)} from mart_finance.revenue_retention order by month")
    theirs = [dataclasses.astuple(row) for row in truth_retention.month_rates(company, rates=rate)]
    assert ours == theirs
    assert len(ours) == 25
    assert sum(row[names.index("trials_converted")] for row in ours) > 5


def test_every_cell_of_every_cohort_is_the_true_one(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    ours = warehouse.rows(
        "select cohort_month, months_since, customers, mrr from mart_finance.cohort_retention order by 1, 2"
    )
    assert ours == [dataclasses.astuple(cell) for cell in truth_retention.cohorts(company, rates=rate)]
    assert len(ours) > 200


def test_the_bars_of_the_waterfall_stand_on_each_other(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    bars = warehouse.rows(
        "select month, step, amount, bar_from, bar_to from mart_finance.mrr_waterfall order by month, step_order"
    )
    for first in range(0, len(bars), 8):
        month = bars[first : first + 8]
        assert month[0][4] == month[0][2]
        assert month[-1][3] == 0
        for below, above in itertools.pairwise(month[:-1]):
            assert above[3] == below[4]
            assert above[4] - above[3] == above[2]
        assert month[-2][4] == month[-1][4] == month[-1][2]
    true = {row.month: row for row in truth.monthly(company, rates=rate)}
    assert {row[0]: row[2] for row in bars if row[1] == "end"} == {month: row.mrr for month, row in true.items()}
