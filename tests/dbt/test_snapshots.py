"""What Stripe said in each build is kept, and read beside the invoices: both say the same of every customer."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from metrics.dbt_preview import compare
from sandbox.company import Company
from tests.dbt.helpers import STRIPE, Warehouse, problems
from tests.dbt.sandbox_rows import load_by_file, stripe_rows

pytestmark = pytest.mark.slow


def at(month: int, day: int, hour: int) -> dt.datetime:
    return dt.datetime(2026, month, day, hour, tzinfo=dt.UTC)


LOOKS = (at(9, 16, 10), at(9, 30, 18), at(10, 1, 9), at(10, 14, 9), at(10, 31, 20), at(11, 1, 7))
SUBSCRIPTION = "select dbt_valid_from, dbt_valid_to, status from snapshots.snap_stripe__subscriptions"


def look(company: Company, warehouse: Warehouse, moment: dt.datetime, *changed: str) -> None:
    """The company lives on until then; all of it is read and built."""
    company.run(int(moment.timestamp()))
    warehouse.vars["as_of"] = moment.strftime("%Y-%m-%d %H:%M:%S")
    for table in STRIPE:
        warehouse.execute(f"delete from {table}")
    load_by_file(warehouse.path, stripe_rows(company), warehouse.folder)
    assert problems(warehouse.build(*changed)) == []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Warehouse]:
    """A company that was looked at six times in seven weeks, around two ends of months."""
    folder: Path = tmp_path_factory.mktemp("snapshots")
    company = Company(seed=1, opened_at=int(LOOKS[0].timestamp()), scale=0.2)
    warehouse = Warehouse(folder, STRIPE, {})
    for number, moment in enumerate(LOOKS):
        look(company, warehouse, moment, *(STRIPE if number else ()))
    return company, warehouse


def test_both_readings_are_equal_for_every_customer(world: tuple[Company, Warehouse]) -> None:
    _, warehouse = world
    months = warehouse.rows(
        "select month, watched_since, customers, equal_customers, explained_customers, unexplained_customers, is_complete"
        " from mart_finance.mrr_readings order by month"
    )
    assert [(str(row[0]), row[6]) for row in months] == [
        ("2026-09-01", True),
        ("2026-10-01", True),
        ("2026-11-01", False),
    ]
    assert {str(row[1]) for row in months} == {"2026-09-16"}
    assert all(row[2] > 50 for row in months)
    assert [(row[2] - row[3], row[4], row[5]) for row in months] == [(0, 0, 0)] * 3


def test_the_comparison_notices_what_invoices_do_not_say(world: tuple[Company, Warehouse]) -> None:
    """It is no comparison of a thing with itself: an item that was another in September is found."""
    _, warehouse = world
    (item, customer), *_ = warehouse.rows(
        "select items.subscription_item_id, subscriptions.customer_id"
        " from snapshots.snap_stripe__subscription_items as items"
        " inner join snapshots.snap_stripe__subscriptions as subscriptions using (subscription_id)"
        " where subscriptions.status = 'active' and subscriptions.dbt_valid_to is null and items.dbt_valid_to is null"
        " and items.recurring_usage_type = 'licensed' and items.unit_amount_minor > 0"
        " and items.dbt_valid_from < timestamp '2026-09-30' and subscriptions.dbt_valid_from < timestamp '2026-09-30'"
        " order by 1 limit 1"
    )
    before = warehouse.rows("select * from snapshots.snap_stripe__subscription_items")
    try:
        warehouse.execute(
            "update snapshots.snap_stripe__subscription_items set unit_amount_minor = unit_amount_minor * 2,"
            f" unit_amount_minor_exact = unit_amount_minor_exact * 2 where subscription_item_id = '{item}'"
        )
        outcome = warehouse.build("raw_stripe.subscriptions")
        (verdict,) = [node for node in outcome.nodes if node.name == "both_readings_of_mrr_agree"]
        assert verdict.status == "warn"
        assert verdict.rows
        assert problems(outcome) == [], "a warning holds nothing"
        found = warehouse.rows(
            "select customer_id, reason, is_explained from mart_finance.mrr_reading_differences where month < '2026-11-01'"
        )
        assert set(found) == {(customer, "unexplained", False)}
    finally:
        warehouse.execute("delete from snapshots.snap_stripe__subscription_items")
        marks = ", ".join("?" for _ in before[0])
        import duckdb

        with duckdb.connect(str(warehouse.path)) as connection:
            connection.executemany(f"insert into snapshots.snap_stripe__subscription_items values ({marks})", before)


def test_neither_other_sql_nor_a_preview_touches_what_was_seen(world: tuple[Company, Warehouse]) -> None:
    _, warehouse = world
    counts = "select (select count(*) from snapshots.int_mrr__looks), (select count(*) from snapshots.snap_stripe__subscriptions)"
    before = warehouse.rows(counts)
    compare(warehouse.request(), {"past_due_days": 45})
    assert warehouse.rows(counts) == before
    assert not warehouse.rows("select 1 from duckdb_schemas() where schema_name like 'preview_%'")
    assert problems(warehouse.build(full_refresh=True)) == []
    ((looks, subscriptions),) = warehouse.rows(counts)
    assert (looks, subscriptions) == (before[0][0] + 1, before[0][1])
    assert {str(row[0]) for row in warehouse.rows("select watched_since from mart_finance.mrr_readings")} == {
        "2026-09-16"
    }


def test_a_subscription_that_is_gone_ends_with_the_build_that_missed_it(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, STRIPE, {"as_of": "2026-03-01 10:00:00"})
    warehouse.insert(stripe__subscriptions=[{"id": "sub_1", "customer_id": "cus_1", "status": "active"}])
    assert problems(warehouse.build()) == []
    warehouse.execute("delete from raw_stripe.subscriptions")
    warehouse.vars["as_of"] = "2026-03-02 10:00:00"
    assert problems(warehouse.build("raw_stripe.subscriptions")) == []
    first, second = dt.datetime(2026, 3, 1, 10), dt.datetime(2026, 3, 2, 10)
    assert warehouse.rows(SUBSCRIPTION) == [(first, second, "active")]
