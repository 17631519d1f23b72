"""A run while it goes on and after it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from portal.runs import RunStatus
from tests import factories as make
from tests import scenarios
from tests.portal.views.test_status import text_of


def page_of(client, run) -> str:
    return text_of(client.get(reverse("run", args=[run.pk])))


def stages(client, run) -> list[str]:
    """The badge of each stage."""
    html = client.get(reverse("run", args=[run.pk])).content.decode()
    part = html[html.index('class="stages"') : html.index("</ol>")]
    return re.findall(r"</svg>([^<]+)</span>", part)


@pytest.fixture
def source(db):
    return make.SourceFactory(slug="stripe", streams=2)


def test_a_queued_run_waits_for_a_worker(reader, source):
    run = make.SyncRunFactory(source=source, queued=True)
    assert stages(reader, run) == ["Queued", "Not started", "Not started", "Not started"]
    assert "it waits for a worker" in page_of(reader, run)


def test_rows_are_shown_while_they_arrive(reader, source):
    run = scenarios.running_run(source)
    page = page_of(reader, run)
    assert "20,710 rows so far" in page
    assert "18,400" in page
    assert reader.get(reverse("run_live", args=[run.pk])).status_code == 200


def test_a_run_that_waits_for_its_next_attempt_says_why(reader, source):
    run = make.SyncRunFactory(
        source=source,
        queued=True,
        not_before=timezone.now() + timedelta(seconds=30),
        failure_sentence="Stripe did not answer in time.",
    )
    make.AttemptFactory(run=run, failed=True, finished_at=timezone.now())
    page = page_of(reader, run)
    assert "Waiting to retry" in page
    assert re.search(r"Attempt 2 +in \d\d s", page)
    assert "It may pass by itself." in page


def test_an_attempt_that_is_overdue_is_awaited_not_past(reader, source):
    run = make.SyncRunFactory(source=source, queued=True, not_before=timezone.now() - timedelta(minutes=5))
    make.AttemptFactory(run=run, failed=True, finished_at=timezone.now() - timedelta(minutes=6))
    assert re.search(r"Attempt 2 +any moment", page_of(reader, run))


def test_a_failed_run_keeps_sentence_and_detail(reader):
    portal = scenarios.troubled()
    page = page_of(reader, portal.run)
    assert "Sync failed. Stripe refused the key" in page
    assert "HTTP 403 from" in page
    assert stages(reader, portal.run) == ["Failed", "Skipped", "Skipped", "Skipped"]


def test_a_run_is_followed_to_its_publication(reader):
    portal = scenarios.healthy()
    assert stages(reader, portal.run) == ["Succeeded", "Succeeded", "Succeeded", "Published"]
    page = page_of(reader, portal.run)
    assert "Published for everybody." in page
    assert "Healed by itself." in page


def test_a_finished_run_asks_no_more(reader):
    portal = scenarios.healthy()
    assert "hx-trigger" not in reader.get(reverse("run", args=[portal.run.pk])).content.decode()
    assert reader.get(reverse("run_live", args=[portal.run.pk])).status_code == 286


def test_a_run_without_news_builds_nothing(reader, source):
    run = make.SyncRunFactory(source=source, has_new_data=False)
    assert stages(reader, run) == ["Succeeded", "Nothing new", "Nothing new", "Nothing new"]


def test_a_run_shows_the_build_that_waits_for_it(reader, source):
    run = make.SyncRunFactory(source=source, awaits_build=True)
    make.BuildFactory(queued=True)
    assert stages(reader, run)[:2] == ["Succeeded", "Queued"]
    assert "hx-trigger" in reader.get(reverse("run", args=[run.pk])).content.decode()


def test_a_page_does_not_ask_forever_for_a_build_that_never_came(reader, source):
    run = make.SyncRunFactory(source=source, finished_at=timezone.now() - timedelta(hours=1))
    assert "hx-trigger" not in reader.get(reverse("run", args=[run.pk])).content.decode()


def test_a_lost_worker_is_told_apart_from_a_failure(reader, source):
    run = make.SyncRunFactory(source=source, running=True)
    make.AttemptFactory(run=run, status="lost", finished_at=timezone.now(), failure_sentence="The worker vanished.")
    make.AttemptFactory(run=run, running=True)
    page = page_of(reader, run)
    assert "Worker lost" in page
    assert "Attempt 2" in page


def test_only_the_streams_that_were_asked_for_are_listed(reader, source):
    names = sorted(stream.name for stream in source.streams.all())
    run = make.SyncRunFactory(source=source, status=RunStatus.QUEUED, streams=[names[0]])
    page = page_of(reader, run)
    assert names[0] in page
    assert names[1] not in page


# --- what each attempt brought ----------------------------------------------------------------------------------------
@pytest.fixture
def half_failed(db):
    """Two attempts: the first brought customers, the second asked for invoices alone and failed."""
    source = make.SourceFactory(slug="shop", name="Shop")
    customers, invoices = (
        make.StreamFactory(source=source, name=name, label=name.capitalize()) for name in ("customers", "invoices")
    )
    run = make.SyncRunFactory(source=source, failed=True)
    first = make.AttemptFactory(run=run, failed=True, streams=["customers", "invoices"], rows={"customers": 5})
    second = make.AttemptFactory(run=run, failed=True, streams=["invoices"], rows={})
    make.StreamSyncFactory(attempt=first, stream=customers, rows=5)
    for attempt in (first, second):
        make.StreamSyncFactory(attempt=attempt, stream=invoices, is_ok=False, rows=0, failure_sentence="No answer.")
    return run


def test_each_attempt_says_what_it_asked_for(reader, half_failed):
    page = text_of(reader.get(reverse("run", args=[half_failed.pk])))

    assert "Asked for Customers and Invoices; not brought: Invoices." in page
    assert "Asked for Invoices; not brought: Invoices." in page
    assert "Customers Succeeded 5" in page
    assert "5 rows" in page


def test_what_failed_is_retried_by_hand_and_nothing_else(staff, half_failed, sent):
    page = text_of(staff.get(reverse("run", args=[half_failed.pk])))
    assert "Retry what failed (1 stream)" in page

    staff.post(reverse("retry_run", args=[half_failed.pk]))

    run = type(half_failed).objects.exclude(pk=half_failed.pk).get()
    assert (run.trigger, run.streams) == ("retry", ["invoices"])
    answer = staff.post(reverse("retry_run", args=[half_failed.pk]), follow=True)
    assert "is being synced already" in text_of(answer)


def test_a_reader_may_not_retry(reader, half_failed):
    assert "Retry what failed" not in text_of(reader.get(reverse("run", args=[half_failed.pk])))
    assert reader.post(reverse("retry_run", args=[half_failed.pk])).status_code == 403


def test_a_good_run_has_nothing_to_retry(staff, db):
    run = make.SyncRunFactory()
    assert "Nothing of this run is missing" in text_of(staff.post(reverse("retry_run", args=[run.pk]), follow=True))
