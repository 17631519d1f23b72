"""Scans: checks are carried out for real, kept, and told about."""

from __future__ import annotations

import pytest

from quality import scans
from quality.models import Check, CheckResult, Incident, Measurement, Notification, Severity
from tests.factories import ScanFactory

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
    assert scans.standing_holds() == summary.holds


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
    assert scans.standing_holds() == []


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
