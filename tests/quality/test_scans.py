"""Scans: checks are carried out for real, kept, and told about."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from quality import results, scans, soda_adapter
from quality.models import Check, CheckResult, Incident, Measurement, Notification, Severity
from tests.factories import ScanFactory, SourceFactory, UserFactory

BRIEF = Path(__file__).parent.parent / "fixtures" / "brief" / "stripe_checks.yaml"

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def check(definition: str, name: str = "", dataset: str = "raw_stripe.subscriptions", **values) -> Check:
    return Check.objects.create(dataset=dataset, name=name or definition[:200], definition=definition, **values)


@pytest.fixture
def subscriptions(warehouse_sql):
    warehouse_sql(
        "create schema raw_stripe",
        "create table raw_stripe.subscriptions (id varchar, customer_id varchar, status varchar, created timestamptz)",
        "insert into raw_stripe.subscriptions select i::varchar, case when i > 7 then null else 'c' || i end, 'active',"
        " now() - interval 72 minute from range(10) t(i)",
    )


def test_every_check_gets_a_result_and_the_summary_counts_them(subscriptions):
    check("row_count > 0")
    check("missing_count(customer_id) = 0", severity=Severity.WARN)
    check("missing_count(status) = 0")
    check("missing_count(nope) = 0")
    check("anomaly detection for row_count")

    summary = scans.perform(ScanFactory(datasets=[]))

    assert (summary.checks, summary.passed, summary.warned, summary.failed, summary.errored, summary.learning) == (
        5, 2, 1, 0, 1, 1,
    )  # fmt: skip
    assert CheckResult.objects.count() == 5
    assert summary.holds == [
        "missing_count(nope) = 0 (raw_stripe.subscriptions): The table raw_stripe.subscriptions has no column nope, "
        "so this could not be checked."
    ]
    assert results.standing_holds() == summary.holds


def test_a_check_that_fails_opens_one_incident_and_passing_resolves_it(subscriptions, warehouse_sql):
    row = check("missing_count(customer_id) = 0", "Every subscription has a customer")
    scans.perform(ScanFactory())
    scans.perform(ScanFactory())

    incident = Incident.objects.get()
    assert (incident.fingerprint, incident.occurrences, incident.check_row) == (f"check:{row.pk}", 2, row)
    assert incident.sentence == "2 rows have no customer_id; none are allowed."
    assert Notification.objects.count() == 1

    warehouse_sql("update raw_stripe.subscriptions set customer_id = 'c'")
    scans.perform(ScanFactory())

    incident.refresh_from_db()
    assert incident.state == "resolved"
    assert incident.resolution == "The check passes again. Every row has a customer_id."
    assert list(Notification.objects.order_by("pk").values_list("kind", flat=True)) == [
        "incident_opened",
        "incident_resolved",
    ]
    assert results.standing_holds() == []


def test_only_the_datasets_of_the_scan_are_looked_at(subscriptions):
    check("row_count > 0")
    check("row_count > 0", dataset="mart_finance.mrr_monthly")
    summary = scans.perform(ScanFactory(datasets=["raw_stripe.subscriptions"]))
    assert (summary.checks, summary.passed) == (1, 1)


def test_a_missing_table_is_an_error_for_each_of_its_checks(subscriptions):
    check("row_count > 0", dataset="mart_finance.mrr_monthly")
    check("avg(mrr) between 1 and 2", dataset="mart_finance.mrr_monthly")
    summary = scans.perform(ScanFactory())
    assert summary.errored == 2
    assert all("The table mart_finance.mrr_monthly does not exist" in hold for hold in summary.holds)


def test_nothing_synced_yet_is_an_error_and_not_an_exception():
    check("row_count > 0")
    summary = scans.perform(ScanFactory())
    assert summary.errored == 1


def test_only_checks_that_compare_with_history_keep_measurements(subscriptions):
    check("row_count > 0")
    learner = check("change for row_count < 5")
    scans.perform(ScanFactory())
    assert list(Measurement.objects.values_list("check_row", "value")) == [(learner.pk, 10)]


def test_a_change_check_compares_with_the_scan_before(subscriptions, warehouse_sql):
    check("change for row_count < 5")
    first = scans.perform(ScanFactory())
    warehouse_sql("insert into raw_stripe.subscriptions select 'x', 'c', 'active', now() from range(20)")
    second = scans.perform(ScanFactory())
    assert (first.learning, second.failed) == (1, 1)
    assert CheckResult.objects.first().sentence == (
        "The number of rows changed by +20 (from 10 to 30); it must be less than 5."
    )


def test_the_owner_of_the_check_is_told_before_the_owner_of_the_source(subscriptions):
    SourceFactory(slug="stripe", owner=UserFactory(email="source@example.com"))
    check("missing_count(customer_id) = 0", owner=UserFactory(email="check@example.com"))
    check("row_count > 100")
    scans.perform(ScanFactory())
    told = dict(Notification.objects.values_list("incident__check_row__definition", "recipient"))
    assert told == {
        "missing_count(customer_id) = 0": "check@example.com",
        "row_count > 100": "source@example.com",
    }


def test_an_error_of_a_check_that_only_warns_does_not_hold(subscriptions):
    check("missing_count(nope) = 0", severity=Severity.WARN)
    summary = scans.perform(ScanFactory())
    assert (summary.errored, summary.holds, results.standing_holds()) == (1, [], [])
    assert Incident.objects.open().count() == 1


def test_a_check_that_is_switched_off_is_not_run_and_does_not_hold(subscriptions):
    row = check("row_count > 100")
    scans.perform(ScanFactory())
    assert len(results.standing_holds()) == 1
    row.is_enabled = False
    row.save()
    assert scans.perform(ScanFactory()).checks == 0
    assert results.standing_holds() == []
    assert "switched off" in Incident.objects.get().resolution


def test_one_dataset_that_breaks_does_not_hide_the_others(subscriptions, monkeypatch):
    check("row_count > 0")
    check("row_count > 0", dataset="mart_x.t")
    real = soda_adapter.scan_dataset

    def breaking(connection, dataset, requests, now):
        if dataset == "mart_x.t":
            raise RuntimeError("the library fell over")
        return real(connection, dataset, requests, now)

    monkeypatch.setattr(soda_adapter, "scan_dataset", breaking)
    summary = scans.perform(ScanFactory())
    assert (summary.passed, summary.errored) == (1, 1)
    assert "RuntimeError: the library fell over" in CheckResult.objects.get(outcome="error").detail


def test_a_scan_without_trouble_costs_the_same_number_of_queries_for_one_check_and_for_many(
    subscriptions, django_assert_num_queries
):
    check("row_count > 0")
    scan = ScanFactory()
    with CaptureQueriesContext(connection) as for_one:
        scans.perform(scan)
    for number in range(1, 10):
        check(f"row_count > {number}")
    with django_assert_num_queries(len(for_one)):
        assert scans.perform(scan).passed == 10


def test_the_companys_checks_are_carried_out_on_good_and_on_bad_data(warehouse_sql):
    call_command("import_checks", str(BRIEF), stdout=StringIO())
    warehouse_sql(
        "create schema raw_stripe",
        "create schema mart_finance",
        "create table raw_stripe.subscriptions as select 'sub_1' as id, 'cus_1' as customer_id, 'active' as status,"
        " now() as created",
        "create table raw_stripe.invoices as select 'in_1' as id, 100 as amount_paid, 'usd' as currency, now() as created",
        "create table mart_finance.mrr_monthly as select date '2026-10-01' as month, 170000.00::decimal(18,2) as mrr",
    )
    good = scans.perform(ScanFactory())
    assert (good.checks, good.passed, good.learning, good.holds) == (12, 10, 2, [])

    warehouse_sql(
        "insert into raw_stripe.invoices values ('in_2', -5, 'chf', now()), ('in_3', null, 'usd', now())",
        "update mart_finance.mrr_monthly set mrr = 90000",
    )
    bad = scans.perform(ScanFactory())
    assert bad.failed == 4
    assert sorted(bad.holds) == [
        "Every row has an amount_paid (raw_stripe.invoices): 1 row has no amount_paid; none are allowed.",
        "MRR is in expected range ($150K-$250K) (mart_finance.mrr_monthly): The average of mrr is 90,000; it must be "
        "between 150,000 and 250,000.",
        "No negative invoice amounts (raw_stripe.invoices): 1 row matches “amount_paid < 0”; none are allowed.",
        "Only expected currencies (raw_stripe.invoices): 1 row has a currency that is not one of usd, eur and gbp; "
        "none are allowed.",
    ]


def test_an_anomaly_check_judges_by_the_measurements_it_kept(subscriptions):
    row = check("anomaly detection for row_count")
    scans.perform(ScanFactory())
    first = Measurement.objects.get()
    assert CheckResult.objects.first().outcome == "learning"
    Measurement.objects.bulk_create(
        Measurement(
            check_row=row,
            metric=first.metric,
            value=1000 + day % 3,
            # Three scans a day, as a company that syncs every eight hours has.
            measured_at=first.measured_at - timedelta(days=day, hours=8 * scan),
        )
        for day in range(1, 25)
        for scan in range(3)
    )
    summary = scans.perform(ScanFactory())
    assert summary.failed == 1
    assert CheckResult.objects.first().sentence.startswith("The number of rows is 10; between ")
    assert set(Measurement.objects.order_by("-pk").first().extra) == {"low", "high", "expected"}
