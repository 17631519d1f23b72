"""Two published versions of the marts: which months that were over are told otherwise, for whom, and by which invoices."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from metrics.restatements import Comparison, because, compare
from tests.warehouses.places import PLACES, Place

pytestmark = pytest.mark.slow

MARCH, APRIL, MAY = date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
Worth = Mapping[str, Mapping[date, str]]
BEFORE: Worth = {"cus_a": {MARCH: "100", APRIL: "100", MAY: "100"}, "cus_b": {MARCH: "50", APRIL: "50", MAY: "50"}}
INVOICES = [
    ("in_1", "cus_a", "2026-03-01", "2026-03-01", "paid"),
    ("in_2", "cus_a", "2026-05-01", "2026-05-01", "open"),
]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, settings: Any) -> Place:
    return PLACES[request.param](settings, request)


def publish(
    place: Place, version: str, worth: Worth, invoices: list[tuple[str, ...]] | None = None, currency: str = "usd"
) -> str:
    """A version in which April is the last month that is over."""
    rows = [(who, month, amount) for who, months in worth.items() for month, amount in months.items()]
    place.write(
        "mart_finance.mrr_by_customer_month",
        " union all ".join(
            f"select '{who}' as customer_id, cast('{month}' as date) as month, cast({amount} as numeric) as mrr,"
            f" {1 if amount != '0' else 0} as customers"
            for who, month, amount in rows
        ),
    )
    place.write(
        "mart_finance.mrr_monthly",
        f"select month, '{currency}' as currency, sum(mrr) as mrr, sum(customers) as customers,"
        " month < cast('2026-05-01' as date) as is_complete from ("
        + " union all ".join(
            f"select cast('{month}' as date) as month, cast({amount} as numeric) as mrr,"
            f" {1 if amount != '0' else 0} as customers"
            for _, month, amount in rows
        )
        + ") as rows_of_all group by month",
    )
    if invoices is not None:
        place.write(
            "mart_finance.mrr_invoices",
            " union all ".join(
                f"select '{name}' as invoice_id, 'No {name}' as invoice_number, '{who}' as customer_id,"
                f" '{status}' as status, cast('{made}' as date) as invoiced_on, cast('{since}' as date) as service_from,"
                f" cast('2026-06-01' as date) as service_to, cast(10 as numeric) as total"
                for name, who, made, since, status in invoices
            ),
        )
    return place.warehouse.publish(version)


def test_a_late_invoice_restates_the_month_of_its_service_and_no_other(place: Place) -> None:
    before = publish(place, "00000001", BEFORE, INVOICES)
    late = ("in_3", "cus_b", "2026-03-14", "2026-03-14", "paid")
    ordinary = ("in_4", "cus_b", "2026-05-02", "2026-05-02", "paid")
    worth = {**BEFORE, "cus_b": {MARCH: "90", APRIL: "50", MAY: "95"}}
    after = publish(place, "00000002", worth, [*INVOICES, late, ordinary])

    (march,) = compare(place.warehouse, before, after).months

    assert (march.month, march.mrr_before, march.mrr_after, march.customers) == (MARCH, 150, 190, 1)
    assert march.largest == ({"customer_id": "cus_b", "before": Decimal(50), "after": Decimal(90)},)
    assert march.invoice_count == 1
    (invoice,) = march.invoices
    assert (invoice["invoice_id"], invoice["status_before"], invoice["status_after"]) == ("in_3", None, "paid")
    assert str(invoice["invoiced_on"]) == "2026-03-14"


def test_the_same_numbers_are_no_news(place: Place) -> None:
    before = publish(place, "00000001", BEFORE, INVOICES)
    after = publish(place, "00000002", BEFORE, INVOICES)
    assert compare(place.warehouse, before, after) == Comparison()


# What is decided in Python, with the embedded warehouse alone ---------------------------------------------------------
@pytest.fixture
def duckdb_place(request: pytest.FixtureRequest, settings: Any) -> Place:
    return PLACES["duckdb"](settings, request)


def test_an_exchange_between_customers_is_history_that_changed_though_the_total_stays(duckdb_place: Place) -> None:
    before = publish(duckdb_place, "1", BEFORE, INVOICES)
    swapped = {"cus_a": {**BEFORE["cus_a"], APRIL: "50"}, "cus_b": {**BEFORE["cus_b"], APRIL: "100"}}
    (april,) = compare(duckdb_place.warehouse, before, publish(duckdb_place, "2", swapped, INVOICES)).months
    assert (april.month, april.mrr_before, april.mrr_after, april.customers) == (APRIL, 150, 150, 2)
    assert april.invoice_count == 0


def test_a_month_that_is_only_there_since_now_is_restated_from_nothing(duckdb_place: Place) -> None:
    february = date(2026, 2, 1)
    before = publish(duckdb_place, "1", BEFORE, INVOICES)
    longer = {**BEFORE, "cus_a": {february: "100", **BEFORE["cus_a"]}}
    (found,) = compare(duckdb_place.warehouse, before, publish(duckdb_place, "2", longer, INVOICES)).months
    assert (found.month, found.mrr_before, found.mrr_after) == (february, 0, 100)


def test_a_month_that_is_no_more_is_restated_to_nothing(duckdb_place: Place) -> None:
    before = publish(duckdb_place, "1", BEFORE, INVOICES)
    shorter = {who: {month: mrr for month, mrr in months.items() if month > MARCH} for who, months in BEFORE.items()}
    (found,) = compare(duckdb_place.warehouse, before, publish(duckdb_place, "2", shorter, INVOICES)).months
    assert (found.month, found.mrr_before, found.mrr_after, found.customers) == (MARCH, 150, 0, 2)


def test_another_currency_is_said_instead_of_compared(duckdb_place: Place) -> None:
    before = publish(duckdb_place, "1", BEFORE, INVOICES)
    found = compare(duckdb_place.warehouse, before, publish(duckdb_place, "2", BEFORE, INVOICES, "eur"))
    note = "All money is in EUR from now on, before in USD; months that were over are not compared."
    assert found == Comparison(note=note)


def test_subscriptions_that_are_watched_anew_are_said(duckdb_place: Place) -> None:
    locations = []
    for number, day in enumerate(("2026-01-16", "2026-01-16", "2026-05-02")):
        duckdb_place.write("mart_finance.mrr_readings", f"select date '{day}' as watched_since")
        locations.append(publish(duckdb_place, str(number), BEFORE, INVOICES))
    assert compare(duckdb_place.warehouse, *locations[:2]) == Comparison()
    note = compare(duckdb_place.warehouse, *locations[1:]).note
    assert note.startswith(
        "What Stripe said of subscriptions is known since 2 May 2026 only, before since 16 January 2026"
    )


def test_which_invoices_is_unknown_while_a_version_does_not_tell(duckdb_place: Place) -> None:
    before = publish(duckdb_place, "1", BEFORE)
    after = publish(duckdb_place, "2", {**BEFORE, "cus_b": {**BEFORE["cus_b"], MARCH: "0"}}, INVOICES)
    (march,) = compare(duckdb_place.warehouse, before, after).months
    assert march.invoice_count is None
    assert (march.customers_before, march.customers_after) == (2, 1)


def test_a_company_without_mrr_has_no_history(duckdb_place: Place) -> None:
    duckdb_place.write("mart_finance.other", "select 1 as n")
    locations = [duckdb_place.warehouse.publish(version) for version in ("1", "2")]
    assert compare(duckdb_place.warehouse, *locations) == Comparison()


# Definitions ----------------------------------------------------------------------------------------------------------
DEFINITION = {"sql": "a", "rates": "b", "switches": {"past_due_days": 30, "paused_is_churn": False}}


@pytest.mark.parametrize(
    ("after", "clause"),
    [
        (DEFINITION, ""),
        ({}, ""),
        ({**DEFINITION, "sql": "c"}, "the SQL of the metrics was changed"),
        ({**DEFINITION, "rates": "c"}, "the exchange rates on file were changed"),
        (
            {**DEFINITION, "switches": {"past_due_days": 45, "paused_is_churn": True}},
            "the definition was changed: days until a late payment is churn (30 → 45) and pausing is churn (no → yes)",
        ),
    ],
)
def test_a_definition_that_changed_is_named(after: dict[str, Any], clause: str) -> None:
    assert because(DEFINITION, after) == clause
