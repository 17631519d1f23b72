"""Attempts of a sync: a retry asks only for what failed, and nothing of what came before is lost on the way."""

from __future__ import annotations

import pytest
import time_machine
from django.utils import timezone

from portal import pipeline
from portal.failures import TerminalError, TransientError
from portal.runs import RunStatus
from sources.engines.base import StreamOutcome, SyncOutcome, TerminalSyncError, TransientSyncError
from sources.models import StreamSync
from sources.syncs import outstanding, request_sync
from tests.factories import SourceFactory, StreamFactory
from tests.fakes import FakeEngine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr("sources.syncs.get_engine", lambda name: fake)
    return fake


@pytest.fixture
def source():
    source = SourceFactory(slug="stripe")
    for name in ("charges", "customers", "invoices"):
        StreamFactory(source=source, name=name)
    return source


def only(*failing: str, error=TransientError, new: bool = True):
    """An attempt in which everything that is asked for comes, but for `failing`."""

    def answer(request, progress):
        outcomes = [
            StreamOutcome(
                stream.name,
                rows=0 if stream.name in failing else 5,
                cursor="2026-01-01",
                error=error(f"Stream “{stream.name}”: no answer.") if stream.name in failing else None,
            )
            for stream in request.streams
        ]
        if not any(outcome.error for outcome in outcomes):
            return {outcome.name: 5 for outcome in outcomes}
        kind = TransientSyncError if error is TransientError else TerminalSyncError
        failure = kind("A stream failed.", kind="x")
        failure.outcome = SyncOutcome(outcomes, has_new_data=new)
        raise failure

    return answer


def attempt(run):
    """One attempt, as a worker makes it at the moment it is due."""
    run.refresh_from_db()
    with time_machine.travel(run.not_before or timezone.now(), tick=False):
        pipeline.sync(run.pk)
    run.refresh_from_db()


def asked(engine) -> list[list[str]]:
    return [[stream.name for stream in request.streams] for request in engine.requests]


def test_a_retry_asks_only_for_the_streams_that_failed(source, engine, sent):
    engine.script = [only("charges", "invoices"), only("charges"), only()]
    run = request_sync(source)

    attempt(run)
    attempt(run)
    attempt(run)

    assert asked(engine) == [["charges", "customers", "invoices"], ["charges", "invoices"], ["charges"]]
    assert run.status == RunStatus.SUCCEEDED
    assert list(run.attempts.values_list("streams", flat=True)) == asked(engine)
    good = StreamSync.objects.filter(attempt__run=run, is_ok=True)
    assert sorted(good.values_list("stream__name", "rows")) == [("charges", 5), ("customers", 5), ("invoices", 5)]


def test_the_next_scheduled_run_asks_for_all(source, engine, sent):
    engine.script = [only("charges"), only(), only()]
    first = request_sync(source)
    attempt(first)
    attempt(first)

    second = request_sync(source)
    attempt(second)

    assert asked(engine)[-1] == ["charges", "customers", "invoices"]


def test_a_failure_of_the_whole_attempt_asks_for_all_again(source, engine, sent):
    engine.script = [TransientError("Stripe is away."), only()]
    run = request_sync(source)
    attempt(run)
    attempt(run)

    assert asked(engine)[1] == ["charges", "customers", "invoices"]


def test_a_lost_worker_says_nothing_of_its_streams_so_all_are_asked_again(source, engine, sent):
    run = request_sync(source)
    run.attempts.create(number=1, started_at=timezone.now(), status="running", streams=["charges"])
    attempt(run)

    assert asked(engine) == [["charges", "customers", "invoices"]]


def test_a_healed_run_has_new_data_although_its_last_attempt_brought_none(source, engine, dbt, sent):
    engine.script = [only("charges"), lambda request, progress: {}]
    run = request_sync(source)
    attempt(run)
    type(run).objects.filter(pk=run.pk).update(awaits_build=False)  # a build took the first attempt's rows
    attempt(run)

    assert run.status == RunStatus.SUCCEEDED
    assert run.has_new_data
    assert not run.awaits_build


def test_a_run_is_healed_when_what_failed_was_switched_off(source, engine, sent):
    engine.script = [only("charges")]
    run = request_sync(source)
    attempt(run)
    source.streams.filter(name="charges").update(is_enabled=False)
    attempt(run)

    assert run.status == RunStatus.SUCCEEDED
    assert len(engine.requests) == 1


def test_a_failed_run_knows_what_it_did_not_bring(source, engine, sent):
    engine.script = [only("charges", error=TerminalError)]
    run = request_sync(source)
    attempt(run)

    assert run.status == RunStatus.FAILED
    assert outstanding(run) == ["charges"]
    assert run.has_new_data
    assert run.awaits_build
