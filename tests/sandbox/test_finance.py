"""The plan that the finance team keeps by hand, against what the company is really worth."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox import truth
from sandbox.finance import BUDGET_RATES, MONTHS_AHEAD
from sandbox.timeline import add_months, day_of, month_start
from tests.sandbox.conftest import MONDAY

pytestmark = pytest.mark.slow  # a company is simulated for it


def true_mrr(sandbox) -> dict[str, int]:
    """Month → true MRR at its end in dollars at the budget's rates."""
    found: dict[str, Decimal] = {}
    for month in truth.monthly(sandbox.company):
        key = month.month.isoformat()
        found[key] = found.get(key, Decimal(0)) + month.mrr * Decimal(str(BUDGET_RATES[month.currency]))
    return {key: round(value) for key, value in found.items()}


def test_the_plan_reaches_from_the_beginning_to_twelve_months_ahead(sandbox):
    starts = sorted(sandbox.company.finance.months)
    assert starts == [add_months(sandbox.company.start, number) for number in range(len(starts))]
    quarter = max(start for start in starts if start <= MONDAY)
    assert add_months(month_start(MONDAY), MONTHS_AHEAD - 3) <= starts[-1]
    assert quarter == month_start(MONDAY)


def test_actuals_are_what_the_books_say_at_the_months_end(sandbox):
    truly = true_mrr(sandbox)
    closed = [month for month in sandbox.company.finance.months.values() if month.actual_mrr is not None]
    assert len(closed) == 24
    for month in closed:
        assert abs(month.actual_mrr - truly[day_of(month.start).isoformat()]) <= 1, day_of(month.start)


def test_the_plan_is_off_by_some_percent_but_about_this_company(sandbox):
    closed = [month for month in sandbox.company.finance.months.values() if month.actual_mrr]
    off = [month.plan_mrr / month.actual_mrr - 1 for month in closed]
    assert all(abs(share) < 0.25 for share in off)
    assert sum(abs(share) for share in off) / len(off) < 0.1
    assert len({round(share, 3) for share in off}) > 5


def test_the_sheet_looks_as_people_leave_it(sandbox):
    plan, people, rates = sandbox.company.finance.sheets()
    assert [sheet.title for sheet in (plan, people, rates)] == ["Plan", "People", "Budget rates"]
    assert plan.merges[:2] == [(0, 1, 0, 11), (1, 2, 0, 11)]
    assert any(first_column == 0 and last - first == 3 for first, last, first_column, _ in plan.merges)
    assert plan.rows[2][7] is None
    assert any(row[7] for row in plan.rows[3:])
    texts = [cell.value for row in plan.rows[3:] for cell in row if cell and isinstance(cell.value, str)]
    assert any(text.startswith("$ ") for text in texts)
    assert any(text.startswith("(") for text in texts)
    assert "#REF!" in [cell.value for row in people.rows for cell in row if cell]


def test_the_sheet_moves_on_with_the_clock_and_is_the_same_however_it_got_there(fresh):
    steps, leap = fresh("steps", now=MONDAY), fresh("leap", now=MONDAY)
    before = leap.company.finance.sheets()
    for _ in range(4):
        steps.advance(days=10)
    leap.advance(days=40)
    assert steps.company.finance.sheets() == leap.company.finance.sheets() != before
    months = leap.company.finance.months
    assert months[month_start(MONDAY)].actual_mrr is not None
    assert max(months) == add_months(month_start(MONDAY), MONTHS_AHEAD)
    leap.advance(days=60)
    assert max(months) == add_months(month_start(MONDAY), MONTHS_AHEAD + 3)
