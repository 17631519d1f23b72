"""Wishes to read a stream again: none is lost, none is carried out twice, and only an engine's word closes one."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.utils import timezone

from portal import pipeline
from portal.failures import TerminalError
from portal.runs import RunStatus, Trigger
from portal.sweep import sweep
from sources import rereads
from sources.engines.base import StreamOutcome, SyncOutcome
from sources.models import Reread, SyncRun
from sources.syncs import request_sync
from tests.factories import SourceFactory, StaffFactory, StreamFactory
from tests.fakes import FakeEngine

pytestmark = pytest.mark.django_db(transaction=True)

MARCH = date(2026, 3, 1)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Carries out every wish it is told of, unless its script says otherwise."""
    fake = FakeEngine()

    def sync(request, progress):
        fake.requests.append(request)
        if fake.script and isinstance(answer := fake.script.pop(0), Exception):
            raise answer
        return SyncOutcome(
            [
                StreamOutcome(s.name, rows=7, cursor=1, table_rows=70, again=s.again.key if s.again else "")
                for s in request.streams
            ]
        )

    monkeypatch.setattr(fake, "sync", sync)
    monkeypatch.setattr("sources.syncs.get_engine", lambda name: fake)
    return fake


@pytest.fixture
def stream():
    source = SourceFactory(slug="stripe", connector="stripe")
    StreamFactory(source=source, name="charges")
    return StreamFactory(source=source, name="invoices", cursor_value={"event_at": 1, "seen": [], "checked_at": 1.0})


def work() -> None:
    for run in SyncRun.objects.due(timezone.now()):
        pipeline.sync(run.pk)


def asked(engine) -> list[tuple[str, object]]:
    return [(s.name, s.again.moment if s.again else None) for request in engine.requests for s in request.streams]


def test_a_wish_starts_a_sync_of_its_stream_alone(stream, engine, sent):
    wish = rereads.ask(stream, MARCH, StaffFactory())

    run = SyncRun.objects.get()
    assert (run.trigger, run.streams) == (Trigger.BACKFILL, ["invoices"])
    work()

    wish.refresh_from_db()
    stream.refresh_from_db()
    assert asked(engine) == [("invoices", datetime(2026, 3, 1, tzinfo=UTC))]
    assert (wish.done_at is not None, wish.rows, wish.tried_in) == (True, 7, run)
    assert stream.table_rows == 70


def test_a_stream_has_one_open_wish(stream, sent):
    assert rereads.ask(stream, MARCH, None)
    assert rereads.ask(stream, None, None) is None


def test_a_wish_of_a_busy_source_is_carried_out_when_it_is_free(stream, engine, sent):
    busy = request_sync(stream.source, streams=["charges"])
    rereads.ask(stream, None, None)
    assert SyncRun.objects.count() == 1

    steps = pipeline.sync(busy.pk)

    following = SyncRun.objects.exclude(pk=busy.pk).get()
    assert ("run_sync", following.pk) in [(step.task, step.pk) for step in steps]
    work()
    assert not Reread.objects.open().exists()


def test_a_wish_that_a_waiting_run_takes_along_needs_no_run_of_its_own(stream, engine, sent):
    request_sync(stream.source)
    rereads.ask(stream, None, None)

    work()

    assert SyncRun.objects.count() == 1
    assert not Reread.objects.open().exists()


def test_the_sweep_starts_what_a_dead_worker_did_not(stream, sent):
    Reread.objects.create(stream=stream)

    steps = sweep(timezone.now())

    assert ("run_sync", SyncRun.objects.get().pk) in [(step.task, step.pk) for step in steps]


def test_a_wish_outlives_a_failed_run_and_goes_with_the_next(stream, engine, sent):
    engine.script = [TerminalError("The key was refused.")]
    wish = rereads.ask(stream, MARCH, None)
    work()
    assert SyncRun.objects.get().status == RunStatus.FAILED
    assert not rereads.start_waiting()  # trouble is not repeated for ever

    request_sync(stream.source)
    work()

    wish.refresh_from_db()
    assert wish.done_at is not None


def test_an_engine_that_says_nothing_of_it_has_not_done_it(stream, engine, sent, monkeypatch):
    wish = rereads.ask(stream, MARCH, None)
    monkeypatch.setattr(engine, "sync", lambda request, progress: SyncOutcome([StreamOutcome("invoices", cursor=1)]))
    work()

    wish.refresh_from_db()
    assert wish.done_at is None


def test_a_withdrawn_wish_is_not_carried_out(stream, engine, sent):
    wish = rereads.ask(stream, None, None)
    assert rereads.withdraw(wish)
    assert not rereads.withdraw(wish)
    work()

    assert asked(engine) == [("invoices", None)]


def test_the_wish_of_a_stream_that_is_off_waits(stream, sent):
    type(stream).objects.filter(pk=stream.pk).update(is_enabled=False)
    Reread.objects.create(stream=stream)

    assert rereads.start_waiting() == []


def test_only_what_can_be_done_is_offered(stream):
    assert rereads.can_backfill(stream)
    stream.cursor_value = {"event_at": 1, "seen": [], "checked_at": 1.0, "after": "in_1"}
    assert (rereads.can_reset(stream), rereads.can_backfill(stream)) == (True, False)
    stream.sync_mode = "full_refresh"
    assert not rereads.can_reset(stream)
    stream.sync_mode, stream.source.engine = "incremental", "own"
    assert not rereads.can_reset(stream)
