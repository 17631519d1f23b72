"""The finance team's plan in staging: a company's own headers, and what is no number."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from tests.dbt.helpers import Warehouse, problems

pytestmark = pytest.mark.slow

PLAN = ("raw_google_sheets.plan",)
READ = "select row_number, month, plan_mrr, plan_new_mrr, plan_costs, notes from staging.stg_google_sheets__plan order by 1"


def test_columns_that_a_sheet_does_not_have_are_empty_until_it_has_them(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, PLAN, {"as_of": "2026-04-20 12:00:00"})
    warehouse.execute("alter table raw_google_sheets.plan drop column plan_new_mrr")
    warehouse.execute("alter table raw_google_sheets.plan rename column plan_mrr to target")
    warehouse.execute("alter table raw_google_sheets.plan alter costs type varchar")
    warehouse.execute(
        "insert into raw_google_sheets.plan (_row, month, target, costs, notes) values"
        " (4, '2026-04-01', 158100.005, '176600', 'checked'), (5, null, 1, 'tbd', null)"
    )
    warehouse.vars["plan_columns"] = {"plan_mrr": "target"}
    assert problems(warehouse.build()) == []
    first = dt.date(2026, 4, 1)
    assert warehouse.rows(READ) == [
        (4, first, Decimal("158100.01"), None, Decimal("176600.00"), "checked"),
        (5, None, Decimal("1.00"), None, None, None),
    ]
    warehouse.execute("alter table raw_google_sheets.plan add column plan_new_mrr double")
    warehouse.execute("update raw_google_sheets.plan set plan_new_mrr = 3350 where _row = 4")
    assert problems(warehouse.build("raw_google_sheets.plan")) == []
    assert [row[3] for row in warehouse.rows(READ)] == [Decimal("3350.00"), None]


def test_a_company_without_the_sheet_has_an_empty_plan(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, ("raw_postgres.events",), {"as_of": "2026-04-20 12:00:00"})
    assert problems(warehouse.build()) == []
    assert warehouse.rows(READ) == []
