"""A publication that changes months that were over: noted with it, said in words, shown where people look."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest
from django.urls import reverse
from django.utils import timezone

from portal import pipeline, restatements
from portal.models import Publication, Restatement
from portal.overview import look
from portal.trust import trust
from portal.verdict import judge
from portal.warehouse import get_warehouse
from tests import factories as make
from tests import scenarios

pytestmark = pytest.mark.django_db

MARCH = date(2026, 3, 1)
ARRIVED = {
    "invoice_id": "in_3",
    "invoice_number": "A-3",
    "customer_id": "cus_b",
    "invoiced_on": "2026-03-14",
    "status_before": None,
    "status_after": "paid",
}


def restated(**values) -> Restatement:
    """March by 440.00 more, published on 2 April 2026."""
    publication = values.pop("publication", None) or make.PublicationFactory(
        finished_at=datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
    )
    defaults = {
        "month": MARCH,
        "currency": "usd",
        "mrr_before": Decimal("41200"),
        "mrr_after": Decimal("41640"),
        "customers_before": 80,
        "customers_after": 80,
        "customers": 2,
        "largest": [{"customer_id": "cus_b", "before": "10.00", "after": "410.00"}],
        "invoice_count": 1,
        "invoices": [ARRIVED],
    }
    return Restatement.objects.create(publication=publication, **{**defaults, **values})


# --- in words -------------------------------------------------------------------------------------------------------
def test_one_sentence_says_what_changed_and_why(time_machine):
    time_machine.move_to("2026-04-05")
    assert restatements.sentence(restated()) == (
        "March 2026 was restated on 2 April: $41,200.00 → $41,640.00, 2 customers; an invoice of 14 March arrived."
    )


@pytest.mark.parametrize(
    ("values", "clause"),
    [
        ({"because": "the SQL of the metrics was changed"}, "the SQL of the metrics was changed"),
        (
            {"invoices": [{**ARRIVED, "status_before": "open", "status_after": "void"}]},
            "the invoice of 14 March is void now, before open",
        ),
        ({"invoices": [{**ARRIVED, "status_before": "paid", "status_after": None}]}, "the invoice of 14 March is gone"),
        ({"invoices": [{**ARRIVED, "status_before": "paid"}]}, "the invoice of 14 March was changed"),
        ({"invoice_count": 7}, "7 invoices arrived or changed, the latest of 14 March"),
        ({"invoices": [{**ARRIVED, "invoiced_on": "2025-12-30"}]}, "an invoice of 30 December 2025 arrived"),
        ({"invoice_count": None, "invoices": []}, "which invoices did it is not known"),
        (
            {"invoice_count": 0, "invoices": []},
            "no invoice arrived or changed, so something else at Stripe did: a subscription, an item or a coupon",
        ),
    ],
)
def test_the_reason_is_a_clause(values, clause):
    assert restatements.why(restated(**values)) == clause


def test_a_total_that_stays_is_not_shown_as_a_change():
    row = restated(mrr_after=Decimal("41200"), customers=2)
    assert restatements.difference(row) == "$41,200.00 as before, but otherwise for 2 customers"


def test_many_months_are_one_sentence_about_the_largest(time_machine):
    time_machine.move_to("2026-04-05")
    first = restated()
    rows = [first, restated(publication=first.publication, month=date(2026, 2, 1), mrr_after=Decimal("41201"))]
    assert restatements.headline(rows).startswith(
        "2 months that were over were restated on 2 April, most of all March 2026: $41,200.00 → $41,640.00"
    )
    assert restatements.headline([]) == ""


# --- noted by the worker --------------------------------------------------------------------------------------------
@pytest.fixture
def marts():
    """Writes the candidate marts: March is over; `mrr` of the one customer there is."""
    warehouse = get_warehouse()
    warehouse.path.parent.mkdir(parents=True)

    def write(mrr: str) -> None:
        with duckdb.connect(str(warehouse.path)) as connection:
            connection.execute("create schema if not exists mart_finance")
            connection.execute(
                "create or replace table mart_finance.mrr_by_customer_month as select 'cus_b' as customer_id,"
                f" month, {mrr}::decimal(18, 2) as mrr, 1 as customers"
                " from (values (date '2026-03-01'), (date '2026-04-01')) as months(month)"
            )
            connection.execute(
                "create or replace table mart_finance.mrr_monthly as select month, 'usd' as currency, mrr, customers,"
                " month < date '2026-04-01' as is_complete from mart_finance.mrr_by_customer_month"
            )

    return write


def published(**build) -> Publication:
    publication = make.PublicationFactory(
        build=make.BuildFactory(**build), outcome="", location="", status="queued", started_at=None, finished_at=None
    )
    pipeline.publish(publication.pk)
    publication.refresh_from_db()
    assert publication.outcome == Publication.Outcome.PUBLISHED, publication.failure_detail
    return publication


def test_the_first_publication_has_no_history(marts):
    marts("100")
    assert not published().restatements.exists()


def test_a_publication_notes_the_months_it_restates(marts):
    marts("100")
    published()
    marts("140")
    row = published().restatements.get()
    assert (row.month, row.mrr_before, row.mrr_after, row.customers) == (MARCH, 100, 140, 1)
    assert row.largest == [{"customer_id": "cus_b", "before": "100.00", "after": "140.00"}]
    assert not published().restatements.exists(), "the same numbers are no news"


def test_a_changed_definition_is_the_reason(marts):
    marts("100")
    published(definition={"sql": "a"})
    marts("140")
    assert published(definition={"sql": "b"}).restatements.get().because == "the SQL of the metrics was changed"


def test_what_cannot_be_compared_is_published_and_said(marts):
    marts("100")
    first = published()
    (get_warehouse().published_dir / first.location).unlink()
    second = published()
    assert "Whether it changed months that were over is not known" in second.history_note
    assert ("warn", second.history_note) in [
        (one.tone, one.sentence) for one in trust(look(timezone.now()), {"mart_finance.mrr_monthly"}).findings
    ]


# --- shown ----------------------------------------------------------------------------------------------------------
def test_whoever_looks_in_within_a_week_is_told():
    portal = scenarios.healthy()
    row = restated(publication=portal.publication)
    seen = look(timezone.now())
    said = restatements.headline([row])
    assert said in judge(seen).notes
    assert judge(seen).tone == "good", "it is news, not trouble"
    found = trust(seen, {"mart_finance.mrr_monthly"})
    assert found.findings[-1].sentence == said
    assert found.worst.tone != "note"
    assert said not in [one.sentence for one in trust(seen, {"mart_support.conversations_daily"}).findings]
    assert not restatements.recent(timezone.now() + timedelta(days=8))


def test_only_what_the_latest_restating_publication_did_is_news():
    portal = scenarios.healthy()
    restated(publication=portal.publication)
    newer = restated(publication=make.PublicationFactory(finished_at=timezone.now()), mrr_after=Decimal("1"))
    assert restatements.recent(timezone.now()) == [newer]


def test_the_page_of_the_build_names_customers_and_invoices(client):
    client.force_login(make.UserFactory())
    row = restated(customers=9)
    body = client.get(reverse("build", args=[row.publication.build_id])).content.decode()
    assert "March 2026 was restated" in body
    assert "$10.00 → $410.00" in body
    assert "8 more customers" in body
    assert "A-3" in body
