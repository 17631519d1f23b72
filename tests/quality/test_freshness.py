"""Freshness is computed when somebody asks, ages by itself, and a broken promise opens an incident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from portal.runs import RunStatus
from quality import freshness
from quality.freshness import FAILING, FRESH, LATE, NEVER_SYNCED, UNKNOWN, stream_freshness, watch_promises, worst
from quality.models import Incident, Notification
from sources.models import Source, Stream
from tests.factories import AttemptFactory, SourceFactory, StreamFactory, StreamSyncFactory, SyncRunFactory, UserFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def sync(stream: Stream, ago: timedelta = timedelta(0), *, ok: bool = True, status=None, rows: int = 5) -> None:
    """One attempt of one run that ended `ago`."""
    end = timezone.now() - ago
    status = status or (RunStatus.SUCCEEDED if ok else RunStatus.FAILED)
    run = SyncRunFactory(source=stream.source, status=status, started_at=end, finished_at=end)
    StreamSyncFactory(
        stream=stream,
        attempt=AttemptFactory(run=run),
        is_ok=ok,
        rows=rows if ok else 0,
        finished_at=end,
        failure_sentence="" if ok else "The key was refused.",
    )


def state(stream: Stream):
    (answer,) = stream_freshness(timezone.now(), Stream.objects.filter(pk=stream.pk))
    return answer


@pytest.fixture
def stream():
    return StreamFactory(source=SourceFactory(slug="stripe", name="Stripe"), name="invoices", freshness_minutes=120)


def test_fresh_turns_late_with_nothing_but_time(stream, clock):
    sync(stream)
    assert state(stream).state == FRESH
    assert state(stream).due_at == NOON + timedelta(hours=2)
    clock.shift(timedelta(hours=2))
    assert state(stream).state == FRESH
    clock.shift(timedelta(seconds=1))
    assert state(stream).state == LATE


def test_what_is_known_of_the_last_good_sync_is_told(stream):
    sync(stream, timedelta(minutes=30), rows=7)
    sync(stream, timedelta(minutes=10), rows=0)
    answer = state(stream)
    assert (answer.last_ok_at, answer.last_rows, answer.last_sentence) == (NOON - timedelta(minutes=10), 0, "")


def test_a_stream_that_never_arrived_is_never_synced(stream):
    answer = state(stream)
    assert (answer.state, answer.last_ok_at, answer.last_rows, answer.due_at) == (NEVER_SYNCED, None, None, None)


def test_nothing_promised_is_unknown_and_never_green(stream):
    Stream.objects.update(freshness_minutes=None)
    sync(stream)
    assert state(stream).state == UNKNOWN


def test_a_source_that_is_switched_off_is_unknown(stream):
    sync(stream)
    Source.objects.update(is_enabled=False)
    assert state(stream).state == UNKNOWN


def test_a_sync_that_was_given_up_is_failing_until_one_succeeds(stream, clock):
    sync(stream, timedelta(minutes=30))
    sync(stream, timedelta(minutes=5), ok=False)
    assert (state(stream).state, state(stream).last_sentence) == (FAILING, "The key was refused.")
    sync(stream)
    assert (state(stream).state, state(stream).last_sentence) == (FRESH, "")


def test_a_failed_attempt_that_is_still_tried_again_is_not_failing_yet(stream):
    sync(stream, timedelta(minutes=30))
    sync(stream, timedelta(minutes=5), ok=False, status=RunStatus.QUEUED)
    assert state(stream).state == FRESH


def test_a_run_that_is_retried_does_not_hide_the_one_before_that_was_given_up(stream):
    sync(stream, timedelta(minutes=30))
    sync(stream, timedelta(minutes=20), ok=False)
    sync(stream, timedelta(minutes=1), ok=False, status=RunStatus.RUNNING)
    assert state(stream).state == FAILING


def test_failing_without_a_promise_is_failing(stream):
    Stream.objects.update(freshness_minutes=None)
    sync(stream, ok=False)
    assert state(stream).state == FAILING


def test_the_worst_stream_speaks_for_the_source():
    assert worst([FRESH, LATE, FAILING, NEVER_SYNCED, UNKNOWN]) == FAILING
    assert worst([FRESH, NEVER_SYNCED, LATE]) == LATE
    assert worst([UNKNOWN, NEVER_SYNCED]) == NEVER_SYNCED
    assert worst([FRESH, UNKNOWN]) == UNKNOWN
    assert worst([FRESH, FRESH]) == FRESH
    assert worst([]) == UNKNOWN


@pytest.mark.parametrize(
    "change",
    [datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=UTC)],
    ids=["clocks go forward", "clocks go back"],
)
def test_a_change_of_the_clocks_makes_nothing_older_or_younger(stream, clock, change, settings):
    settings.TIME_ZONE = "Europe/London"
    Source.objects.update(timezone="Europe/London")
    clock.move_to(change - timedelta(minutes=60))
    sync(stream)
    clock.shift(timedelta(minutes=120))
    assert state(stream).state == FRESH
    clock.shift(timedelta(minutes=1))
    assert state(stream).state == LATE


def test_all_streams_are_answered_in_one_query(django_assert_num_queries):
    for _ in range(5):
        for stream in StreamFactory.create_batch(4, source=SourceFactory()):
            sync(stream)
    StreamFactory(is_enabled=False)
    with django_assert_num_queries(1):
        assert len(stream_freshness(timezone.now())) == 20


# --- promises ---------------------------------------------------------------------------------------------------------
def test_a_broken_promise_opens_one_incident_and_keeping_it_resolves_it(stream, clock):
    Source.objects.update(owner=UserFactory(email="owner@example.com"))
    sync(stream)
    assert watch_promises(timezone.now()) == (0, 0)
    clock.shift(timedelta(hours=2, minutes=1))
    assert watch_promises(timezone.now()) == (1, 0)
    for _ in range(3):
        clock.shift(timedelta(minutes=1))
        assert watch_promises(timezone.now()) == (0, 0)

    incident = Incident.objects.get()
    assert (incident.fingerprint, incident.kind, incident.occurrences) == ("freshness:stripe", "freshness", 1)
    assert incident.title == "Stripe is older than promised"
    assert incident.sentence == "1 stream of Stripe is late. The oldest is 2 h 1 min old."
    assert incident.affected == ["invoices: last arrived 2026-11-23 12:00 UTC; promised every 2 hours."]
    assert Notification.objects.get().recipient == "owner@example.com"

    sync(stream)
    assert watch_promises(timezone.now()) == (0, 1)
    incident.refresh_from_db()
    assert incident.resolution == "Everything promised for Stripe is fresh again."


def test_another_stream_that_gets_late_is_added_to_the_same_incident(stream, clock):
    other = StreamFactory(source=stream.source, name="charges", freshness_minutes=180)
    sync(stream)
    sync(other)
    clock.shift(timedelta(minutes=121))
    watch_promises(timezone.now())
    clock.shift(timedelta(minutes=60))
    watch_promises(timezone.now())
    incident = Incident.objects.get()
    assert [line.partition(":")[0] for line in incident.affected] == ["charges", "invoices"]
    assert incident.sentence.startswith("2 streams of Stripe are late.")
    assert Notification.objects.count() == 1


def test_a_stream_that_never_arrived_gets_as_long_as_it_promised(stream, clock):
    assert watch_promises(timezone.now()) == (0, 0)
    clock.shift(timedelta(minutes=121))
    assert watch_promises(timezone.now()) == (1, 0)
    assert Incident.objects.get().affected == ["invoices: never arrived; promised within 2 hours."]


def test_a_stream_added_to_a_running_source_gets_its_time_too(stream, clock):
    clock.shift(timedelta(days=30))
    sync(stream)
    StreamFactory(source=stream.source, name="charges", freshness_minutes=60)
    clock.shift(timedelta(minutes=59))
    assert watch_promises(timezone.now()) == (0, 0)
    clock.shift(timedelta(minutes=2))
    assert watch_promises(timezone.now()) == (1, 0)


@pytest.mark.parametrize(
    ("end", "resolution"),
    [
        (lambda: Source.objects.update(is_enabled=False), "Stripe was switched off; nothing is promised while it is off."),
        (lambda: Source.objects.get().delete(), "The source was removed, and its promises with it."),
        (lambda: Stream.objects.update(freshness_minutes=None), "Everything promised for Stripe is fresh again."),
    ],
)  # fmt: skip
def test_a_promise_that_ends_resolves_its_incident_and_says_why(stream, clock, end, resolution):
    sync(stream)
    clock.shift(timedelta(hours=3))
    watch_promises(timezone.now())
    end()
    assert watch_promises(timezone.now()) == (0, 1)
    assert Incident.objects.get().resolution == resolution


def test_watching_costs_the_same_for_one_stream_and_for_many(django_assert_num_queries):
    for source in SourceFactory.create_batch(5):
        for stream in StreamFactory.create_batch(3, source=source):
            sync(stream)
    with django_assert_num_queries(2):
        assert watch_promises(timezone.now()) == (0, 0)


def test_states_are_named_once():
    assert set(freshness.WORST_FIRST) == {FRESH, UNKNOWN, NEVER_SYNCED, LATE, FAILING}
