from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from portal.failures import TerminalError
from portal.runs import RunStatus, heartbeat
from sources.models import SyncRun
from tests.factories import SourceFactory, SyncRunFactory

pytestmark = pytest.mark.django_db


def queued(**values) -> SyncRun:
    return SyncRunFactory(queued=True, **values)


def running(**values) -> SyncRun:
    return SyncRunFactory(running=True, **values)


def test_a_run_is_claimed_once_however_often_its_message_comes():
    run = queued()
    assert [SyncRun.objects.claim(run.pk) for _ in range(3)] == [1, 0, 0]
    run.refresh_from_db()
    assert (run.status, run.claims) == (RunStatus.RUNNING, 1)
    assert run.started_at is not None
    assert run.heartbeat_at is not None
    assert ":" in run.worker


def test_a_run_that_waits_for_its_next_attempt_is_not_claimed_early():
    now = timezone.now()
    run = queued(not_before=now + timedelta(seconds=30))
    assert SyncRun.objects.claim(run.pk) == 0
    SyncRun.objects.filter(pk=run.pk).update(not_before=now - timedelta(seconds=1))
    assert SyncRun.objects.claim(run.pk) == 1


def test_only_a_running_run_can_succeed():
    run = queued()
    assert SyncRun.objects.succeed(run.pk) == 0
    SyncRun.objects.claim(run.pk)
    assert SyncRun.objects.succeed(run.pk, has_new_data=True) == 1
    assert SyncRun.objects.succeed(run.pk) == 0
    run.refresh_from_db()
    assert (run.status, run.has_new_data) == (RunStatus.SUCCEEDED, True)
    assert run.finished_at is not None


def test_a_failure_is_kept_with_its_kind_sentence_and_detail():
    run = running()
    assert SyncRun.objects.fail(run.pk, TerminalError("The key was refused.", "HTTP 401", kind="key")) == 1
    run.refresh_from_db()
    assert (run.status, run.failure_kind, run.failure_sentence, run.failure_detail) == (
        RunStatus.FAILED,
        "key",
        "The key was refused.",
        "HTTP 401",
    )
    assert SyncRun.objects.fail(run.pk, TerminalError("Again.")) == 0


def test_what_is_over_stays_over():
    for over in (SyncRunFactory(), SyncRunFactory(failed=True), SyncRunFactory(status=RunStatus.CANCELLED)):
        before = over.status
        moves = [
            SyncRun.objects.claim(over.pk),
            SyncRun.objects.beat(over.pk),
            SyncRun.objects.put_back(over.pk),
            SyncRun.objects.cancel(over.pk),
            SyncRun.objects.fail(over.pk, TerminalError("Late.")),
        ]
        assert moves == [0, 0, 0, 0, 0]
        over.refresh_from_db()
        assert over.status == before


def test_a_success_after_a_retry_does_not_keep_the_old_failure():
    """What a healed attempt said stays with the attempt; a run that succeeded has no failure of its own."""
    run = running()
    SyncRun.objects.put_back(run.pk, failure_kind="transient", failure_sentence="Stripe did not answer.")
    SyncRun.objects.claim(run.pk)
    SyncRun.objects.succeed(run.pk)
    run.refresh_from_db()
    assert (run.failure_kind, run.failure_sentence, run.failure_detail) == ("", "", "")


def test_a_run_is_put_back_with_its_next_moment_and_counts_its_claims():
    run = running(claims=1)
    later = timezone.now() + timedelta(seconds=90)
    assert SyncRun.objects.put_back(run.pk, not_before=later) == 1
    run.refresh_from_db()
    assert (run.status, run.not_before, run.heartbeat_at, run.claims) == (RunStatus.QUEUED, later, None, 1)


def test_only_what_has_not_begun_can_be_cancelled():
    assert SyncRun.objects.cancel(running().pk) == 0
    assert SyncRun.objects.cancel(queued().pk) == 1


def test_a_run_is_lost_when_nobody_gave_a_sign_of_life_for_long_enough(settings):
    settings.RUN_LOST_AFTER = timedelta(seconds=60)
    now = timezone.now()
    lost = running(heartbeat_at=now - timedelta(seconds=61))
    running(heartbeat_at=now - timedelta(seconds=59))
    queued()
    assert list(SyncRun.objects.lost(now)) == [lost]


def test_due_are_the_queued_ones_whose_moment_has_come():
    now = timezone.now()
    due = [queued(), queued(not_before=now - timedelta(seconds=1))]
    queued(not_before=now + timedelta(seconds=1))
    running()
    assert set(SyncRun.objects.due(now)) == set(due)


def test_a_source_has_at_most_one_active_run():
    from django.db import IntegrityError, transaction

    source = SourceFactory()
    SyncRunFactory(source=source)
    run = queued(source=source)
    with pytest.raises(IntegrityError), transaction.atomic():
        running(source=source)
    SyncRun.objects.cancel(run.pk)
    assert running(source=source).is_active


def test_the_duration_of_a_run():
    now = timezone.now()
    assert queued().duration is None
    assert SyncRunFactory(started_at=now - timedelta(seconds=30), finished_at=now).duration == timedelta(seconds=30)
    assert running(started_at=now - timedelta(seconds=30)).duration >= timedelta(seconds=30)


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_gives_signs_of_life_while_the_block_works_and_stops_after(settings):
    settings.RUN_HEARTBEAT = timedelta(milliseconds=20)
    run = running(heartbeat_at=timezone.now() - timedelta(minutes=5))
    stale = run.heartbeat_at
    with heartbeat(SyncRun.objects.all(), run.pk):
        for _ in range(500):
            run.refresh_from_db()
            if run.heartbeat_at != stale:
                break
            threading.Event().wait(0.01)
        assert run.heartbeat_at > stale
    assert not [thread for thread in threading.enumerate() if thread.name == f"heartbeat-{run.pk}"]
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_survives_a_database_that_is_away_for_a_moment(settings, monkeypatch):
    """A sign of life that cannot be written must not end the signs of life."""
    from django.db import OperationalError

    settings.RUN_HEARTBEAT = timedelta(milliseconds=10)
    run = running()
    calls = threading.Semaphore(0)

    class Flaky:
        def all(self):
            return self

        def beat(self, pk):
            calls.release()
            raise OperationalError("database is locked")

    with heartbeat(Flaky(), run.pk):
        assert calls.acquire(timeout=10)
        assert calls.acquire(timeout=10)
