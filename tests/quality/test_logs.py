"""A log that a database must keep for too long is an incident; so are missed changes and a slot that stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from portal import pipeline
from portal.failures import TerminalError, TransientError
from portal.runs import RunStatus
from quality import logs
from quality.models import Incident
from sources import logs as source_logs
from sources.connectors.log import LogPosition, Told
from sources.connectors.postgres import PostgresConnector
from sources.models import LogTask, LogWatch
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db
GIGABYTE = 1_000_000_000


@pytest.fixture
def source():
    config = {"changes": "cdc", "host": "db", "database": "app", "user": "reader"}
    return SourceFactory(slug="product", name="Product", connector="postgres", config=config, secrets={"password": "x"})


@pytest.fixture
def watch(source):
    now = timezone.now()
    return LogWatch.objects.create(
        source=source,
        slot="data_portal_product",
        publication="p",
        lag_bytes=0,
        kept_bytes=0,
        measured_at=now,
        read_up_to=now,
    )


@pytest.fixture
def answers(monkeypatch):
    """What the connector says, or raises, when a worker asks it."""
    said = {
        "let_go": "The replication slot was dropped.",
        "position": LogPosition("data_portal_product", "p", lag_bytes=7),
    }

    def answer(name):
        def method(self, settings, source):
            if isinstance(said[name], Exception):
                raise said[name]
            return said[name]

        return method

    for name in said:
        monkeypatch.setattr(PostgresConnector, name, answer(name))
    return said


def test_a_log_that_is_read_is_no_incident(watch):
    assert logs.watch(timezone.now()) == (0, 0)


def test_a_log_that_grows_opens_one_incident_and_is_resolved_when_it_is_read(watch):
    LogWatch.objects.update(kept_bytes=6 * GIGABYTE)
    assert logs.watch(timezone.now()) == (1, 0)
    assert logs.watch(timezone.now()) == (0, 0)
    incident = Incident.objects.get()
    assert "fills its disk" in incident.sentence
    assert incident.source == watch.source
    LogWatch.objects.update(kept_bytes=10)
    assert logs.watch(timezone.now()) == (0, 1)


def test_a_log_that_nobody_reads_while_it_grows_is_an_incident_by_its_age(watch):
    now = timezone.now()
    LogWatch.objects.update(kept_bytes=GIGABYTE, read_up_to=now - timedelta(hours=5))
    assert logs.watch(now) == (0, 0)
    assert logs.watch(now + timedelta(hours=2)) == (1, 0)
    assert "was not read for" in Incident.objects.get().sentence


def test_a_lost_slot_is_an_incident(watch):
    LogWatch.objects.update(is_lost=True)
    assert logs.watch(timezone.now()) == (1, 0)
    assert "no longer keeps" in Incident.objects.get().sentence


def test_missed_changes_are_told_once_and_closed_by_the_next_sync(source, watch):
    lost = Told("The replication slot “x” is gone, so that changes were missed.", is_loss=True)
    source_logs.note(source, LogPosition("data_portal_product", "p", lag_bytes=0, told=[lost]))
    assert logs.after_sync(source)
    assert Incident.objects.open().get().sentence == lost.sentence
    source_logs.note(source, LogPosition("data_portal_product", "p", lag_bytes=0))
    assert logs.after_sync(source)
    assert not Incident.objects.open().exists()


def test_deleting_the_source_drops_the_slot_by_a_worker(source, watch, answers):
    source.delete()
    task = LogTask.objects.get()
    assert (task.kind, task.slug, task.slot, dict(task.secrets)) == (
        "let_go", "product", "data_portal_product", {"password": "x"}
    )  # fmt: skip
    pipeline.log_task(task.pk)
    task.refresh_from_db()
    assert (task.status, task.sentence, dict(task.secrets)) == (RunStatus.SUCCEEDED, answers["let_go"], {})


def test_a_source_that_is_read_by_a_column_leaves_nothing_to_drop():
    SourceFactory(connector="postgres", config={"changes": "cursor"}).delete()
    assert not LogTask.objects.exists()


def test_a_slot_that_cannot_be_dropped_is_tried_again_and_then_told(source, watch, answers):
    source.delete()
    answers["let_go"] = TransientError("The server did not answer.")
    for _ in range(3):
        LogTask.objects.update(not_before=None)
        pipeline.log_task(LogTask.objects.get().pk)
    task = LogTask.objects.get()
    assert (task.status, task.claims) == (RunStatus.QUEUED, 3)
    assert "SELECT pg_drop_replication_slot('data_portal_product');" in Incident.objects.get().sentence
    answers["let_go"] = "It was dropped."
    LogTask.objects.update(not_before=None)
    pipeline.log_task(task.pk)
    assert not Incident.objects.open().exists()


def test_what_needs_a_person_is_told_at_once(source, watch, answers):
    source.delete()
    answers["let_go"] = TerminalError("The password is wrong.")
    pipeline.log_task(LogTask.objects.get().pk)
    assert LogTask.objects.get().status == RunStatus.FAILED
    assert "The password is wrong." in Incident.objects.get().sentence


def test_going_back_to_a_column_lets_go_of_the_slot(source, watch):
    source.config = {**source.config, "changes": "cursor"}
    source.save()
    source_logs.look(timezone.now())
    source_logs.look(timezone.now())
    assert LogTask.objects.get().kind == "let_go"
    assert not LogWatch.objects.exists()


def test_a_log_no_sync_has_looked_at_is_looked_at(source, watch, answers):
    source_logs.look(timezone.now() + timedelta(minutes=10))
    assert not LogTask.objects.exists()
    source_logs.look(timezone.now() + timedelta(minutes=20))
    pipeline.log_task(LogTask.objects.get().pk)
    watch.refresh_from_db()
    assert (watch.lag_bytes, watch.problem) == (7, "")
    answers["position"] = TransientError("It cannot be reached.")
    source_logs.look(timezone.now() + timedelta(minutes=40))
    pipeline.log_task(LogTask.objects.latest("pk").pk)
    watch.refresh_from_db()
    assert (watch.lag_bytes, watch.problem) == (7, "It cannot be reached.")
