"""Customers followed from raw rows to the marts: each rule once more, through every dbt model together."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.dbt.billing import Billing, at
from tests.dbt.helpers import STRIPE, Warehouse, problems

pytestmark = pytest.mark.slow

WATERFALL = Path(__file__).parent.parent / "fixtures" / "brief" / "mrr_waterfall.sql"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Everything is built, of nothing: what follows is a second build, as most builds are."""
    made = Warehouse(tmp_path_factory.mktemp("empty"), STRIPE, {"as_of": "2026-04-20 12:00:00"})
    assert problems(made.build()) == []
    return made


@pytest.fixture
def warehouse(empty: Warehouse, tmp_path: Path) -> Warehouse:
    return empty.copy(tmp_path)


def _months(billing: Billing, name: str, customer: str, amount: int, *months: int) -> None:
    for month in months:
        billing.invoice(name, customer, f"2026-{month:02d}-01", f"2026-{month + 1:02d}-01", amount)


def _events(warehouse: Warehouse) -> list[tuple[str, str, str, float]]:
    rows = warehouse.rows(
        "select customer_id, cast(event_date as varchar), event_type, mrr_change from mart_finance.mrr_events "
        "order by customer_id, event_date, step_in_day"
    )
    return [(customer, day, kind, float(change)) for customer, day, kind, change in rows]


def _company() -> Billing:
    """Six customers, each with a story."""
    billing = Billing()
    # stays, and upgrades in the middle of February
    billing.subscribe("stays", "cus_1", 8000)
    _months(billing, "stays", "cus_1", 5000, 1, 2)
    for text, amount, price in (("Unused", -2500, 5000), ("Remaining", 4000, 8000)):
        billing.line(
            "in_stays_change", "stays", "cus_1", "2026-02-15", "2026-03-01", amount,
            type="invoiceitem", proration=True, unit_amount=price, price_id=f"price_{price}", description=text,
        )  # fmt: skip
    billing.rows["stripe__invoices"].append(
        {"id": "in_stays_change", "customer_id": "cus_1", "subscription_id": "stays", "status": "paid",
         "created": at("2026-02-15"), "paid_at": at("2026-02-15"), "amount_due": 1500, "amount_paid": 1500,
         "subtotal": 1500, "total": 1500, "currency": "usd"}
    )  # fmt: skip
    _months(billing, "stays", "cus_1", 8000, 3, 4)
    # buys a second subscription, cancels the first at its period's end
    billing.subscribe("first", "cus_2", 3000, status="canceled", ended_at="2026-03-01", canceled_at="2026-02-10")
    _months(billing, "first", "cus_2", 3000, 1, 2)
    billing.subscribe("second", "cus_2", 1000, created="2026-02-01")
    _months(billing, "second", "cus_2", 1000, 2, 3, 4)
    # comes and goes within January, returns in March
    billing.subscribe("short", "cus_3", 2000, status="canceled", ended_at="2026-01-20", canceled_at="2026-01-20")
    _months(billing, "short", "cus_3", 2000, 1)
    billing.subscribe("again", "cus_3", 2500, created="2026-03-01")
    _months(billing, "again", "cus_3", 2500, 3, 4)
    # a trial that converts three days after it ended, on an annual plan; refunded, which changes nothing
    year = {"recurring_interval": "year", "recurring_interval_count": 1}
    billing.subscribe("yearly", "cus_4", 200000, item={**year})
    billing.invoice("yearly", "cus_4", "2026-01-01", "2026-01-15", 0, line={**year, "unit_amount": 200000})
    billing.invoice("yearly", "cus_4", "2026-01-15", "2027-01-15", 200000, paid="2026-01-18", line=year)
    billing.rows["stripe__charges"].append(
        {"id": "ch_1", "invoice_id": "in_yearly_2026-01-15", "created": at("2026-01-18"), "status": "succeeded",
         "amount": 200000, "amount_refunded": 200000, "paid": True, "refunded": True, "currency": "usd"}
    )  # fmt: skip
    billing.rows["stripe__refunds"].append(
        {"id": "re_1", "charge_id": "ch_1", "created": at("2026-02-01"), "amount": 200000, "status": "succeeded"}
    )
    # stops paying in February, is given up on the sixtieth day
    billing.subscribe("broke", "cus_5", 4000, status="canceled", ended_at="2026-04-02", canceled_at="2026-04-02")
    _months(billing, "broke", "cus_5", 4000, 1)
    for month in (2, 3):
        billing.invoice(
            "broke", "cus_5", f"2026-{month:02d}-01", f"2026-{month + 1:02d}-01", 4000, paid=None,
            status="uncollectible", marked_uncollectible_at="2026-04-02",
        )  # fmt: skip
    # leaves at the end of April: scheduled
    billing.subscribe(
        "leaving",
        "cus_6",
        6000,
        cancel_at_period_end=True,
        canceled_at="2026-04-05",
        current_period_end=at("2026-05-01"),
    )
    _months(billing, "leaving", "cus_6", 6000, 1, 2, 3, 4)
    # a free plan is no customer
    billing.subscribe("free", "cus_7", 0)
    _months(billing, "free", "cus_7", 0, 1, 2, 3, 4)
    return billing


def test_each_customer_moves_as_its_story_says(warehouse: Warehouse) -> None:
    warehouse.insert(**_company().rows)
    assert problems(warehouse.build()) == []
    assert _events(warehouse) == [
        ("cus_1", "2026-01-01", "new", 50.0),
        ("cus_1", "2026-02-15", "expansion", 30.0),
        ("cus_2", "2026-01-01", "new", 30.0),
        ("cus_2", "2026-02-01", "expansion", 10.0),
        ("cus_2", "2026-03-01", "contraction", -30.0),
        ("cus_3", "2026-01-01", "new", 20.0),
        ("cus_3", "2026-01-20", "churn", -20.0),
        ("cus_3", "2026-03-01", "reactivation", 25.0),
        ("cus_4", "2026-01-18", "new", 166.67),
        ("cus_5", "2026-01-01", "new", 40.0),
        ("cus_5", "2026-03-03", "churn", -40.0),
        ("cus_6", "2026-01-01", "new", 60.0),
    ]
    assert warehouse.rows("select subscription_id, scheduled_on, mrr from mart_finance.mrr_scheduled_churn") == [
        ("leaving", date(2026, 5, 1), Decimal("60.00"))
    ]


def test_the_companys_waterfall_runs_unchanged(warehouse: Warehouse) -> None:
    warehouse.insert(**_company().rows)
    assert problems(warehouse.build()) == []
    rows = [tuple(float(value) for value in row[1:]) for row in warehouse.rows(WATERFALL.read_text())]
    # new, expansion, reactivated, contraction, churned, cumulative
    assert rows == [
        (366.67, 0.0, 0.0, 0.0, -20.0, 346.67),
        (0.0, 40.0, 0.0, 0.0, 0.0, 386.67),
        (0.0, 0.0, 25.0, -30.0, -40.0, 341.67),
    ]
    months = warehouse.rows("select month, mrr, customers, is_complete from mart_finance.mrr_monthly order by month")
    assert months == [
        (date(2026, 1, 1), Decimal("346.67"), 5, True),
        (date(2026, 2, 1), Decimal("386.67"), 5, True),
        (date(2026, 3, 1), Decimal("341.67"), 5, True),
        (date(2026, 4, 1), Decimal("341.67"), 5, False),
    ]


def test_the_same_raw_data_gives_the_same_history_later(warehouse: Warehouse) -> None:
    warehouse.insert(**_company().rows)
    warehouse.build()
    before = _events(warehouse)
    warehouse.vars["as_of"] = "2026-04-29 23:00:00"
    assert problems(warehouse.build()) == []
    assert _events(warehouse) == before


def test_a_company_without_any_customer_builds(warehouse: Warehouse) -> None:
    assert problems(warehouse.build()) == []
    assert warehouse.rows("select count(*) from mart_finance.mrr_monthly") == [(0,)]


def test_paused_collection_is_contraction_and_resuming_expansion(warehouse: Warehouse) -> None:
    billing = Billing()
    billing.subscribe("sub", "cus_1", 5000)
    _months(billing, "sub", "cus_1", 5000, 1, 4)
    for month in (2, 3):
        billing.invoice(
            "sub", "cus_1", f"2026-{month:02d}-01", f"2026-{month + 1:02d}-01", 5000, paid=None,
            status="void", voided_at=f"2026-{month:02d}-01 01:00",
        )  # fmt: skip
    warehouse.insert(**billing.rows)
    assert problems(warehouse.build()) == []
    moves = [(day, kind, change) for _, day, kind, change in _events(warehouse)]
    assert moves == [
        ("2026-01-01", "new", 50.0),
        ("2026-02-01", "contraction", -50.0),
        ("2026-04-01", "expansion", 50.0),
    ]
    assert warehouse.rows("select customers from mart_finance.mrr_monthly order by month") == [(1,), (1,), (1,), (1,)]
    warehouse.vars["paused_is_churn"] = True
    assert problems(warehouse.build()) == []
    assert [kind for _, _, kind, _ in _events(warehouse)] == ["new", "churn", "reactivation"]


def test_half_off_for_three_months_ends_in_an_expansion(warehouse: Warehouse) -> None:
    billing = Billing()
    billing.subscribe("sub", "cus_1", 10000)
    billing.rows["stripe__coupons"].append({"id": "HALF", "percent_off": 50, "duration": "repeating"})
    for month in (1, 2, 3):
        billing.invoice(
            "sub", "cus_1", f"2026-{month:02d}-01", f"2026-{month + 1:02d}-01", 10000,
            line={"discount_amount": 5000, "discount_coupon_ids": ["HALF"]},
        )  # fmt: skip
    _months(billing, "sub", "cus_1", 10000, 4)
    warehouse.insert(**billing.rows)
    assert problems(warehouse.build()) == []
    assert [(day, kind, change) for _, day, kind, change in _events(warehouse)] == [
        ("2026-01-01", "new", 50.0),
        ("2026-04-01", "expansion", 50.0),
    ]
    warehouse.vars["mrr_discounts"] = "forever"
    assert problems(warehouse.build()) == []
    assert [(day, kind, change) for _, day, kind, change in _events(warehouse)] == [("2026-01-01", "new", 100.0)]


def test_a_currency_without_a_rate_stops_the_marts(warehouse: Warehouse) -> None:
    billing = Billing()
    billing.subscribe("sub", "cus_1", 5000, currency="chf")
    billing.invoice("sub", "cus_1", "2026-01-01", "2026-02-01", 5000, currency="chf")
    warehouse.insert(**billing.rows)
    outcome = warehouse.build()
    assert [node.name for node in outcome.failing_tests] == ["every_amount_has_an_exchange_rate"]
    assert "mart_finance.mrr_monthly" not in outcome.touched


@pytest.mark.parametrize(("is_simulated", "status"), [(False, "warn"), (True, "pass")])
def test_made_up_rates_are_a_warning_but_where_all_is_made_up(
    warehouse: Warehouse, *, is_simulated: bool, status: str
) -> None:
    billing = Billing()
    billing.subscribe("sub", "cus_1", 5000, currency="eur")
    billing.invoice("sub", "cus_1", "2026-01-01", "2026-02-01", 5000, currency="eur")
    warehouse.insert(**billing.rows)
    warehouse.vars = {**warehouse.vars, "is_simulated": is_simulated}
    outcome = warehouse.build()
    assert problems(outcome) == []
    rates = next(node for node in outcome.nodes if node.name == "exchange_rates_in_use_are_real_and_recent")
    assert rates.status == status


def test_a_broken_sum_is_found(warehouse: Warehouse) -> None:
    """The invariant can fail: a month whose end was tampered with is one failing row."""
    warehouse.insert(**_company().rows)
    assert problems(warehouse.build()) == []
    sql = Path("dbt/tests/mrr_adds_up_for_every_customer_and_month.sql")
    text = (Path(__file__).parents[2] / sql).read_text().split("}}", 1)[1]
    text = text.replace("{{ ref('mrr_by_customer_month') }}", "mart_finance.mrr_by_customer_month")
    assert warehouse.rows(text) == []
    warehouse.execute(
        "update mart_finance.mrr_by_customer_month set mrr = mrr + 0.01 "
        "where customer_id = 'cus_1' and month = date '2026-02-01'"
    )
    assert len(warehouse.rows(text)) == 1


def test_months_begin_at_midnight_where_the_company_is(warehouse: Warehouse) -> None:
    billing = Billing()
    billing.subscribe("sub", "cus_1", 5000, created="2026-01-31 23:30")
    billing.invoice("sub", "cus_1", "2026-01-31 23:30", "2026-02-28 23:30", 5000, paid="2026-01-31 23:31")
    warehouse.insert(**billing.rows)
    warehouse.vars["company_timezone"] = "Europe/Berlin"
    assert problems(warehouse.build()) == []
    assert _events(warehouse) == [("cus_1", "2026-02-01", "new", 50.0)]
    assert warehouse.rows("select min(month) from mart_finance.mrr_monthly") == [(date(2026, 2, 1),)]


def _waiting(item: str, price: int, amount: int, **values: object) -> dict[str, object]:
    return {
        "id": f"ii_{item}_{price}_{amount}", "created": at("2026-04-10"), "customer_id": "cus_1", "currency": "usd",
        "subscription_id": "waits", "subscription_item_id": item, "price_id": f"price_{price}", "amount": amount,
        "quantity": 1, "proration": True, "period_start": at("2026-04-10"), "period_end": at("2026-05-01"),
        "unit_amount": price, "recurring_interval": "month", "recurring_interval_count": 1,
        "recurring_usage_type": "licensed", **values,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tables", "upgraded_on", "dropped_on"),
    [
        (STRIPE, "2026-04-10", "2026-04-10"),
        # Nobody can know better without them: the upgrade moves with each build, what was dropped is still counted.
        (tuple(table for table in STRIPE if table != "raw_stripe.invoice_items"), "2026-04-20", None),
    ],
    ids=["known", "not-synced"],
)
def test_a_change_that_waits_for_its_invoice_counts_from_its_own_day(
    tmp_path: Path, tables: tuple[str, ...], upgraded_on: str, dropped_on: str | None
) -> None:
    """Two items since April; on the 10th one is upgraded from 50 to 80 and the other, worth 10, is dropped."""
    warehouse = Warehouse(tmp_path, tables, {"as_of": "2026-04-20 12:00:00"})
    billing = Billing()
    billing.subscribe("waits", "cus_1", 8000, created="2026-04-01")
    billing.invoice("waits", "cus_1", "2026-04-01", "2026-05-01", 5000)
    billing.line(
        "in_waits_2026-04-01", "waits", "cus_1", "2026-04-01", "2026-05-01", 1000, subscription_item_id="si_more"
    )
    rows = dict(billing.rows)
    if "raw_stripe.invoice_items" in tables:
        rows["stripe__invoice_items"] = [
            _waiting("si_waits", 5000, -3500),
            _waiting("si_waits", 8000, 5600),
            _waiting("si_more", 1000, -700),
            # Use is never MRR, and what was deleted will not be invoiced.
            _waiting("si_use", 9000, 6300, recurring_usage_type="metered"),
            _waiting("si_gone", 9000, 6300, is_deleted=True),
        ]
    warehouse.insert(**rows)
    assert problems(warehouse.build()) == []
    found = {day: change for _, day, kind, change in _events(warehouse) if kind != "new"}
    if dropped_on == upgraded_on:
        assert found == {upgraded_on: 20.0}
    else:
        assert found == {upgraded_on: 30.0}
