"""What nobody else would notice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from metrics.models import Build
from portal import pipeline
from portal.models import Beacon, Publication
from portal.runs import RunStatus
from portal.sweep import sweep
from quality.models import Incident
from sources.models import Attempt, Source, SyncRun
from sources.syncs import request_sync, start_if_due
from tests.factories import CheckFactory, ScanFactory, SourceFactory, StreamFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def source():
    with time_machine.travel(NOON - timedelta(days=1), tick=False):
        source = SourceFactory(slug="stripe", schedule="0 * * * *", owner=UserFactory())
    StreamFactory(source=source, name="invoices", freshness_minutes=None)
    return source


def test_the_sweep_leaves_a_sign_of_life(sent):
    sweep(NOON)
    assert Beacon.objects.get(name="beat").seen_at == NOON


def test_a_missed_schedule_is_started_once(source, sent):
    late = NOON + timedelta(minutes=5)
    with time_machine.travel(late, tick=False):
        steps = sweep(late)
        assert [step.task for step in steps if step.task == "run_sync"] == ["run_sync"]
        sweep(late)
    run = SyncRun.objects.get()
    assert run.scheduled_for == NOON
    assert run.trigger == "scheduled"


def test_the_scheduler_gets_its_time_before_the_sweep_steps_in(source, sent):
    with time_machine.travel(NOON + timedelta(seconds=30), tick=False):
        SyncRun.objects.create(source=source, status=RunStatus.SUCCEEDED, queued_at=NOON - timedelta(hours=1))
        sweep(NOON + timedelta(seconds=30))
    assert SyncRun.objects.count() == 1


def test_scheduler_and_sweep_together_start_a_tick_once(source, sent):
    with time_machine.travel(NOON + timedelta(seconds=1), tick=False):
        assert start_if_due(source, NOON) is not None
    with time_machine.travel(NOON + timedelta(minutes=5), tick=False):
        assert start_if_due(source, NOON) is None


def test_a_schedule_is_not_blamed_for_the_time_before_it_was_set(source, sent):
    with time_machine.travel(NOON + timedelta(minutes=30), tick=False):
        source.schedule = "*/10 * * * *"
        source.save()
        assert start_if_due(source, timezone.now()) is None or SyncRun.objects.get().scheduled_for >= NOON


def test_a_source_that_is_switched_off_is_left_alone(source, sent):
    source.is_enabled = False
    source.save()
    sweep(NOON + timedelta(hours=3))
    assert not SyncRun.objects.exists()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_every_tick_of_a_year_with_both_clock_changes_is_started_once(zone, sent):
    """Daylight saving: a tick an hour, a sweep each quarter of an hour, no tick lost or doubled."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with time_machine.travel(start, tick=False):
        source = SourceFactory(slug="hourly", schedule="30 2 * * *", timezone=zone)
    days = 0
    for day in range(365):
        moment = start + timedelta(days=day, hours=23, minutes=59)
        with time_machine.travel(moment, tick=False):
            run = start_if_due(source, moment)
            if run:
                days += 1
                SyncRun.objects.filter(pk=run.pk).update(status=RunStatus.SUCCEEDED)
            assert start_if_due(source, moment) is None
    assert days == 365


def test_a_lost_run_is_queued_again_and_its_attempt_is_kept(source, engine, sent):
    engine.script = [{"invoices": 1}]
    run = request_sync(source)
    SyncRun.objects.claim(run.pk)
    Attempt.objects.create(run=run, number=1, started_at=timezone.now())
    SyncRun.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=5), queued_at=NOON)

    steps = sweep(timezone.now())
    assert pipeline.Step("run_sync", run.pk) in steps
    pipeline.sync(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED
    assert list(run.attempts.values_list("status", flat=True)) == ["lost", "succeeded"]


def test_a_slow_run_with_a_heartbeat_is_not_lost(source, sent):
    run = request_sync(source)
    SyncRun.objects.claim(run.pk)
    SyncRun.objects.filter(pk=run.pk).update(started_at=timezone.now() - timedelta(hours=3))
    sweep(timezone.now())
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING


def test_a_run_that_keeps_losing_its_workers_is_given_up_and_told(source, sent, settings):
    run = request_sync(source)
    SyncRun.objects.claim(run.pk)
    SyncRun.objects.filter(pk=run.pk).update(
        heartbeat_at=timezone.now() - timedelta(minutes=5), claims=settings.RUN_MAX_CLAIMS
    )
    sweep(timezone.now())
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "vanished" in Incident.objects.get(fingerprint="sync:stripe").sentence


def test_a_lost_build_is_queued_again(sent):
    build = Build.objects.create()
    Build.objects.claim(build.pk)
    Build.objects.filter(pk=build.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=5), queued_at=NOON)
    assert pipeline.Step("run_build", build.pk) in sweep(timezone.now())


def test_a_lost_build_joins_the_one_that_waits(sent):
    build = Build.objects.create()
    Build.objects.claim(build.pk)
    waiting = Build.objects.create()
    Build.objects.filter(pk=build.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    sweep(timezone.now())
    build.refresh_from_db()
    waiting.refresh_from_db()
    assert build.status == RunStatus.CANCELLED
    assert waiting.status == RunStatus.QUEUED


def test_an_edited_check_makes_the_sweep_look_again_at_what_was_held(sent):
    scan = ScanFactory(build=Build.objects.create(status=RunStatus.SUCCEEDED))
    Publication.objects.create(
        build=scan.build, scan=scan, outcome="held", status=RunStatus.SUCCEEDED, finished_at=timezone.now()
    )
    assert not [step for step in sweep(timezone.now()) if step.task == "run_scan"]
    CheckFactory()
    assert [step for step in sweep(timezone.now()) if step.task == "run_scan"]


def test_deleting_a_source_takes_its_schedule_along(source):
    from django_celery_beat.models import PeriodicTask

    assert PeriodicTask.objects.filter(name="source:stripe").exists()
    Source.objects.get().delete()
    assert not PeriodicTask.objects.filter(name="source:stripe").exists()
