"""What other definitions would do, computed for real beside a built warehouse that stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics.dbt_preview import compare
from portal.failures import TerminalError
from tests.dbt.billing import Billing
from tests.dbt.helpers import STRIPE, Warehouse, problems

pytestmark = pytest.mark.slow

AS_OF = "2026-03-15 00:00:00"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    billing = Billing()
    for name, amount, months in (("a", 10_000, (1, 2, 3)), ("b", 5_000, (1,)), ("c", 2_000, (2, 3))):
        ended = {} if len(months) > 1 else {"status": "canceled", "ended_at": "2026-02-01", "canceled_at": "2026-02-01"}
        billing.subscribe(name, f"cus_{name}", amount, **ended)
        for month in months:
            billing.invoice(name, f"cus_{name}", f"2026-{month:02}-01", f"2026-{month + 1:02}-01", amount)
    found = Warehouse(tmp_path, STRIPE, {"as_of": AS_OF})
    found.insert(**billing.rows)
    return found


def test_both_ways_are_computed_from_the_same_rows_and_nothing_else_is_touched(warehouse: Warehouse) -> None:
    assert problems(warehouse.build()) == []
    before = warehouse.rows("select schema_name, table_name, estimated_size from duckdb_tables() order by all")

    numbers = {
        row["label"]: (row["before"], row["after"], row["currencies"])
        for row in compare(
            warehouse.request(), {**warehouse.vars, "customer_churn_of": "start_and_new", "reporting_currency": "eur"}
        )
    }

    assert numbers["Customers now"] == ("2", "2", ["usd", "eur"])
    assert numbers["MRR now"][0] == "120.00"
    assert 0 < float(numbers["MRR now"][1]) < 120
    # Lost in February: 1 of 2 at its start, and 1 was new.
    assert numbers["Customer churn last month"][:2] == ("0.500000", "0.333333")
    assert warehouse.rows("select schema_name, table_name, estimated_size from duckdb_tables() order by all") == before
    assert warehouse.rows("select schema_name from duckdb_schemas() where schema_name like 'preview%'") == []
    assert warehouse.build("raw_stripe.invoices").error is None


def test_without_the_raw_tables_it_says_what_is_missing(tmp_path: Path) -> None:
    empty = Warehouse(tmp_path, ("raw_stripe.customers",), {"as_of": AS_OF})

    with pytest.raises(TerminalError, match=r"they need .*raw_stripe.invoice_lines.*which no source has brought in"):
        compare(empty.request(), empty.vars)
