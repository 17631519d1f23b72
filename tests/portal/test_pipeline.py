"""The order of the stages, who may go when, and what each ending leads to."""

from __future__ import annotations

import duckdb
import pytest
import time_machine
from django.utils import timezone

from metrics.models import Build
from portal import pipeline
from portal.failures import TerminalError, TransientError
from portal.models import Publication
from portal.runs import RunStatus, Trigger
from portal.warehouse import get_warehouse
from quality.models import Check, Incident, Notification, Outcome, Scan
from sources.engines.base import StreamOutcome, SyncOutcome, TerminalSyncError
from sources.models import Attempt, StreamSync, SyncRun
from sources.syncs import request_sync
from tests.factories import CheckFactory, CheckResultFactory, ScanFactory, SourceFactory, StreamFactory, UserFactory
from tests.fakes import build_with_failing_test

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def source():
    source = SourceFactory(slug="stripe", owner=UserFactory(email="owner@example.com"))
    StreamFactory(source=source, name="invoices", freshness_minutes=60)
    return source


@pytest.fixture
def warehouse():
    warehouse = get_warehouse()
    warehouse.path.parent.mkdir(parents=True)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("create schema raw_stripe; create table raw_stripe.invoices as select 1 as id")
        connection.execute("create schema mart_finance; create table mart_finance.mrr as select 100 as mrr")
    return warehouse


def follow(steps: list[pipeline.Step]) -> list[str]:
    """Carry out every step that follows, as workers would; returns the names of the tasks."""
    functions = {
        "run_sync": pipeline.sync,
        "run_build": pipeline.build,
        "run_scan": pipeline.scan,
        "run_publication": pipeline.publish,
    }
    done = []
    while steps:
        step = steps.pop(0)
        if step.task in functions and step.delay is None:
            done.append(step.task)
            steps += functions[step.task](step.pk)
    return done


def test_new_data_is_built_scanned_and_published(source, engine, dbt, warehouse, sent):
    engine.script = [{"invoices": 3}]
    run = request_sync(source)

    assert follow(pipeline.sync(run.pk)) == ["run_build", "run_scan", "run_publication"]

    publication = Publication.objects.current()
    assert publication is not None
    assert warehouse.query(publication.location, "select mrr from mart_finance.mrr").rows == [(100,)]
    assert dbt.requests[0].changed == ("raw_stripe.invoices",)
    assert not SyncRun.objects.get().awaits_build


def test_nothing_new_builds_nothing(source, engine, dbt, sent):
    run = request_sync(source)
    assert pipeline.sync(run.pk) == []
    assert not Build.objects.exists()


def test_a_message_delivered_twice_does_nothing_twice(source, engine, dbt, sent):
    engine.script = [{"invoices": 3}, {"invoices": 3}]
    run = request_sync(source)
    pipeline.sync(run.pk)
    assert pipeline.sync(run.pk) == []
    assert Attempt.objects.count() == 1


def test_a_source_has_at_most_one_active_run(source, sent):
    assert request_sync(source) is not None
    assert request_sync(source) is None
    assert SyncRun.objects.count() == 1


def test_a_failure_that_may_pass_is_tried_again_later(source, engine, sent, settings):
    engine.script = [TransientError("Stripe did not answer.", "connect timeout"), {"invoices": 1}]
    run = request_sync(source)

    (step,) = pipeline.sync(run.pk)

    run.refresh_from_db()
    assert run.status == RunStatus.QUEUED
    assert step.task == "run_sync"
    assert 9 < step.delay.total_seconds() <= 10
    assert pipeline.sync(run.pk) == [], "not before its time"
    assert not Incident.objects.exists()

    with time_machine.travel(run.not_before, tick=False):
        pipeline.sync(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED
    assert list(run.attempts.values_list("status", flat=True)) == ["failed", "succeeded"]


def test_the_wait_between_attempts_grows_and_then_a_person_is_told(source, engine, sent, settings):
    engine.script = [TransientError("Stripe did not answer.") for _ in range(5)]
    run = request_sync(source)
    delays = []
    now = timezone.now()
    for _ in range(5):
        with time_machine.travel(now, tick=False):
            steps = pipeline.sync(run.pk)
        run.refresh_from_db()
        if run.not_before:
            delays.append((run.not_before - now).total_seconds())
            now = run.not_before
    assert delays == [10, 30, 90, 270]
    assert steps == [pipeline.MAIL]
    assert run.status == RunStatus.FAILED
    assert run.attempts.count() == 5
    incident = Incident.objects.get()
    assert incident.sentence == "Stripe did not answer."
    assert Notification.objects.get().recipient == "owner@example.com"


def test_retry_after_is_longer_than_our_own_patience(source, engine, sent):
    engine.script = [TransientError("Rate limit.", retry_after=120)]
    run = request_sync(source)
    (step,) = pipeline.sync(run.pk)
    assert step.delay.total_seconds() > 119


def test_a_wrong_token_is_one_incident_however_often_it_happens_and_recovery_resolves_it(source, engine, dbt, sent):
    for _ in range(2):
        engine.script = [TerminalError("The key is not accepted.", "HTTP 401")]
        run = request_sync(source)
        pipeline.sync(run.pk)
    incident = Incident.objects.get()
    assert incident.occurrences == 2
    assert Notification.objects.filter(kind="incident_opened").count() == 1

    engine.script = [{}]
    pipeline.sync(request_sync(source).pk)
    incident.refresh_from_db()
    assert incident.resolved_at is not None
    assert Notification.objects.filter(kind="incident_resolved").count() == 1


def test_an_unforeseen_error_reaches_the_row_without_secrets(source, engine, sent):
    source.secrets = {"api_key": "hunter2-hunter2"}
    source.save()
    engine.script = [RuntimeError("could not log in with hunter2-hunter2")]
    run = request_sync(source)
    pipeline.sync(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "RuntimeError" in run.failure_detail
    assert "hunter2" not in run.failure_detail + run.failure_sentence


def test_syncs_that_end_while_a_build_waits_share_it(engine, dbt, warehouse, sent):
    engine.script = [{"invoices": 1}, {"pulls": 1}]
    builds = set()
    for slug, stream in (("stripe", "invoices"), ("github", "pulls")):
        source = SourceFactory(slug=slug)
        StreamFactory(source=source, name=stream)
        builds |= {step.pk for step in pipeline.sync(request_sync(source).pk)}
    assert len(builds) == 1
    pipeline.build(builds.pop())
    assert dbt.requests[0].changed == ("raw_github.pulls", "raw_stripe.invoices")
    assert Build.objects.get().syncs.count() == 2


def test_a_build_waits_for_the_chain_before_it(source, engine, dbt, warehouse, sent):
    engine.script = [{"invoices": 1}, {"invoices": 1}]
    first = next(step.pk for step in pipeline.sync(request_sync(source).pk))
    scan = next(step for step in pipeline.build(first) if step.task == "run_scan")
    second = next(step.pk for step in pipeline.sync(request_sync(source).pk) if step.task == "run_build")

    assert pipeline.build(second) == [], "the scan of the first is on its way"
    publication = next(step for step in pipeline.scan(scan.pk) if step.task == "run_publication")
    assert pipeline.build(second) == []
    steps = pipeline.publish(publication.pk)
    assert pipeline.Step("run_build", second) in steps, "the publication lets the next one go"


def test_a_failed_build_publishes_nothing_and_its_changes_are_built_by_the_next(source, engine, dbt, warehouse, sent):
    engine.script = [{"invoices": 1}]
    dbt.script = [TerminalError("dbt could not read its project.", "line 3")]
    follow(pipeline.sync(request_sync(source).pk))

    assert Publication.objects.get().outcome == Publication.Outcome.HELD
    assert Publication.objects.get().reasons == ["dbt could not read its project."]
    assert Incident.objects.get().kind == Incident.Kind.BUILD
    assert SyncRun.objects.get().awaits_build

    follow(pipeline.reconsider())
    assert dbt.requests[1].changed == ("raw_stripe.invoices",)
    assert Publication.objects.current() is not None
    assert not Incident.objects.open().exists()


def test_a_failing_dbt_test_holds_the_publication_and_opens_an_incident(source, engine, dbt, warehouse, sent):
    engine.script = [{"invoices": 1}]
    dbt.script = [build_with_failing_test()]
    follow(pipeline.sync(request_sync(source).pk))
    publication = Publication.objects.get()
    assert publication.outcome == Publication.Outcome.HELD
    assert publication.reasons == ["Invariant (mart_finance.mrr): 2 rows break it."]
    incident = Incident.objects.get()
    assert (incident.kind, incident.fingerprint) == (Incident.Kind.CHECK, f"check:{Check.objects.get().pk}")
    assert Publication.objects.current() is None

    follow(pipeline.reconsider())
    assert Publication.objects.current() is not None
    assert not Incident.objects.open().exists()


def test_a_standing_critical_check_holds_what_is_otherwise_fine(source, engine, dbt, warehouse, sent):
    check = CheckFactory(dataset="raw_other.table", name="Other is right", severity="critical")
    CheckResultFactory(check_row=check, scan=ScanFactory(), outcome=Outcome.FAIL, sentence="Other is wrong.")
    engine.script = [{"invoices": 1}]
    follow(pipeline.sync(request_sync(source).pk))
    publication = Publication.objects.get()
    assert publication.outcome == Publication.Outcome.HELD
    assert any("Other is" in reason for reason in publication.reasons)


def test_a_scan_that_breaks_off_keeps_the_gate_shut(source, engine, dbt, warehouse, sent, monkeypatch):
    def broken(scan):
        raise RuntimeError("no memory")

    monkeypatch.setattr("quality.scans.perform", broken)
    engine.script = [{"invoices": 1}]
    follow(pipeline.sync(request_sync(source).pk))
    assert Scan.objects.get().status == RunStatus.FAILED
    assert Publication.objects.get().outcome == Publication.Outcome.HELD
    assert Incident.objects.get().fingerprint == "scan"


def test_what_was_not_scanned_is_not_published(source, engine, dbt, warehouse, sent):
    engine.script = [{"invoices": 1}]
    build = next(step.pk for step in pipeline.sync(request_sync(source).pk))
    scan = next(step for step in pipeline.build(build) if step.task == "run_scan")
    publication = next(step for step in pipeline.scan(scan.pk) if step.task == "run_publication")
    Build.objects.create(status=RunStatus.SUCCEEDED, trigger=Trigger.MANUAL, started_at=timezone.now())
    pipeline.publish(publication.pk)
    row = Publication.objects.get()
    assert row.outcome == Publication.Outcome.HELD
    assert "newer build" in row.reasons[0]


def test_old_versions_are_discarded_beyond_the_kept_ones(source, engine, dbt, warehouse, sent, settings):
    settings.PUBLICATIONS_KEPT = 2
    engine.script = [{"invoices": 1} for _ in range(4)]
    for _ in range(4):
        follow(pipeline.sync(request_sync(source).pk))
    kept = list(Publication.objects.exclude(location="").values_list("location", flat=True))
    assert len(kept) == 2
    assert sorted(file.name for file in warehouse.published_dir.iterdir()) == sorted(kept)


def test_what_a_vanished_worker_may_have_loaded_is_built(source, engine, dbt, warehouse, sent):
    """It was killed between the commit of its rows and the row that says so; the next attempt finds nothing new."""
    run = request_sync(source)
    SyncRun.objects.claim(run.pk)
    Attempt.objects.create(run=run, number=1, started_at=timezone.now())
    SyncRun.objects.put_back(run.pk)
    engine.script = [{}]
    follow(pipeline.sync(run.pk))
    assert dbt.requests[0].changed == (), "nobody can tell what changed: everything"
    assert Publication.objects.current() is not None


def test_rows_of_streams_that_came_through_are_built_although_another_failed(source, engine, dbt, warehouse, sent):
    StreamFactory(source=source, name="refunds")
    failure = TerminalSyncError("Stream “refunds”: the key may not read it.")
    failure.outcome = SyncOutcome(
        [StreamOutcome("invoices", rows=3), StreamOutcome("refunds", error=TerminalError("not allowed"))],
        has_new_data=True,
    )
    engine.script = [failure]
    steps = pipeline.sync(request_sync(source).pk)
    assert [step.task for step in steps] == ["deliver_mail", "run_build"]
    assert dict(StreamSync.objects.values_list("stream__name", "is_ok")) == {"invoices": True, "refunds": False}
    follow(steps)
    assert dbt.requests[0].changed == ("raw_stripe.invoices",)


def test_a_source_without_a_ticked_stream_does_not_succeed_in_silence(source, engine, sent):
    source.streams.update(is_enabled=False)
    run = request_sync(source)
    pipeline.sync(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "no stream" in run.failure_sentence


def test_a_new_check_is_carried_out_without_waiting_for_new_data(source, engine, dbt, warehouse, sent):
    engine.script = [{"invoices": 1}]
    follow(pipeline.sync(request_sync(source).pk))
    assert pipeline.reconsider_edited() == []

    CheckFactory(dataset="raw_stripe.invoices", name="A million invoices", definition="row_count > 1000000")
    assert follow(pipeline.reconsider_edited()) == ["run_scan", "run_publication"]
    latest = Publication.objects.exclude(outcome="").latest("pk")
    assert latest.outcome == Publication.Outcome.HELD
    assert pipeline.reconsider_edited() == [], "a hold is not scanned for ever"


def test_a_secret_from_the_environment_is_hidden_too(source, engine, sent, monkeypatch):
    monkeypatch.setenv("STRIPE_SECRET_KEY", "from-the-environment-77")
    source.secrets = {"api_key": "${STRIPE_SECRET_KEY}"}
    source.save()
    engine.script = [RuntimeError("refused: from-the-environment-77")]
    run = request_sync(source)
    pipeline.sync(run.pk)
    run.refresh_from_db()
    assert "[hidden]" in run.failure_detail
    assert "environment-77" not in run.failure_detail + run.attempts.get().failure_detail


def test_a_person_may_accept_fewer_rows_for_one_run(source, engine, dbt, sent):
    pipeline.sync(request_sync(source, accept_fewer=True).pk)
    pipeline.sync(request_sync(source).pk)
    first, second = engine.requests
    assert all(stream.accept_fewer for stream in first.streams)
    assert not any(stream.accept_fewer for stream in second.streams)
