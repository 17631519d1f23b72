"""Each kind of change under each policy, as rows: what is written down, what waits for a person, what they decide."""

from __future__ import annotations

import pytest
from django.utils import timezone

from portal import pipeline
from portal.runs import RunStatus
from quality.column_watch import watch_columns
from quality.models import Incident, Notification
from sources import schema_changes
from sources.engines.base import HELD, ColumnChange, StreamOutcome, SyncOutcome, TerminalSyncError
from sources.models import SchemaChange, SyncRun
from sources.syncs import request_sync
from tests.factories import SourceFactory, StaffFactory, StreamFactory, UserFactory
from tests.fakes import FakeEngine

pytestmark = pytest.mark.django_db(transaction=True)

CHANGES = {
    "added": ColumnChange("added", "tax", new_type="bigint"),
    "vanished": ColumnChange("vanished", "amount", old_type="bigint"),
    "widened": ColumnChange("widened", "amount", "bigint", "double"),
    "changed": ColumnChange("changed", "amount", "double", "bigint"),
    "emptied": ColumnChange("emptied", "amount"),
}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Notices `fake.changes` on "orders", and holds the stream as the real one does."""
    fake = FakeEngine()
    fake.changes = []

    def sync(request, progress):
        fake.requests.append(request)
        (stream,) = request.streams
        pending = [c for c in fake.changes if not c.is_mere_news and c.key not in stream.agreed_changes]
        if not (stream.holds_changes and pending):
            return SyncOutcome([StreamOutcome("orders", rows=1, cursor="2", changes=fake.changes)], has_new_data=True)
        held = [ColumnChange(c.kind, c.column, c.old_type, c.new_type, is_held=True) for c in pending]
        error = TerminalSyncError("Stream “orders”: It is held.", kind=HELD)
        error.outcome = SyncOutcome([StreamOutcome("orders", cursor="1", error=error, changes=held)])
        raise error

    monkeypatch.setattr(fake, "sync", sync)
    monkeypatch.setattr("sources.syncs.get_engine", lambda name: fake)
    return fake


@pytest.fixture
def stream():
    source = SourceFactory(slug="shop", name="Shop", owner=UserFactory(email="owner@example.com"))
    return StreamFactory(source=source, name="orders", label="Orders")


def sync(stream) -> SyncRun:
    run = request_sync(stream.source)
    pipeline.sync(run.pk)
    run.refresh_from_db()
    return run


def follow(stream, policy: str) -> None:
    stream.schema_policy = policy
    stream.save()


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize(
    ("policy", "decision", "status", "incidents"),
    [
        ("accept", "taken", RunStatus.SUCCEEDED, 0),
        ("warn", "warned", RunStatus.SUCCEEDED, 1),
        ("hold", "held", RunStatus.FAILED, 1),
    ],
)
def test_each_change_follows_the_policy(stream, engine, sent, kind, policy, decision, status, incidents):
    follow(stream, policy)
    engine.changes = [CHANGES[kind]]

    run = sync(stream)

    change = SchemaChange.objects.get()
    assert (change.kind, change.decision, change.run) == (kind, decision, run)
    assert (change.loaded_at is None) == (policy == "hold")
    assert run.status == status
    assert Incident.objects.open().count() == incidents
    assert CHANGES[kind].column in change.sentence


def test_a_held_change_is_one_row_and_one_mail_however_often_it_is_met(stream, engine, sent):
    follow(stream, "hold")
    engine.changes = [CHANGES["vanished"]]
    sync(stream)
    sync(stream)

    assert SchemaChange.objects.count() == 1
    incident = Incident.objects.get()
    assert (incident.kind, incident.title) == (Incident.Kind.COLUMNS, "Orders of Shop is held: its columns changed")
    assert Notification.objects.count() == 1


def test_what_was_agreed_to_is_loaded_once_and_the_incident_resolves(stream, engine, sent):
    follow(stream, "hold")
    engine.changes = [CHANGES["vanished"]]
    sync(stream)
    person = StaffFactory()

    (change,) = schema_changes.agree(stream, person)
    assert schema_changes.agree(stream, person) == []
    run = sync(stream)

    change.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED
    assert (change.decision, change.decided_by) == ("agreed", person)
    assert change.loaded_at is not None
    assert not Incident.objects.open().exists()
    engine.changes = []
    sync(stream)
    assert [stream.agreed_changes for request in engine.requests for stream in request.streams] == [
        frozenset(),
        frozenset({"vanished:amount:"}),
        frozenset(),
    ]


def test_a_column_that_changes_back_is_withdrawn(stream, engine, sent):
    follow(stream, "hold")
    engine.changes = [CHANGES["vanished"]]
    sync(stream)
    engine.changes = []
    sync(stream)

    assert SchemaChange.objects.get().decision == "withdrawn"
    assert not Incident.objects.open().exists()


def test_a_policy_that_became_milder_lets_the_held_change_through(stream, engine, sent):
    follow(stream, "hold")
    engine.changes = [CHANGES["vanished"]]
    sync(stream)
    follow(stream, "accept")
    sync(stream)

    change = SchemaChange.objects.get()
    assert (change.decision, change.loaded_at is None) == ("taken", False)
    assert not Incident.objects.open().exists()


def test_a_warning_stays_open_until_somebody_has_seen_it(stream, engine, sent):
    follow(stream, "warn")
    engine.changes = [CHANGES["added"]]
    sync(stream)
    engine.changes = []
    sync(stream)
    assert Incident.objects.open().get().title == "Orders of Shop has other columns than before (warning)"

    schema_changes.agree(stream, StaffFactory())
    watch_columns()

    assert SchemaChange.objects.get().decision == "seen"
    assert not Incident.objects.open().exists()


def test_a_new_field_beyond_the_columns_is_noted_and_nobody_is_called(stream, engine, sent):
    follow(stream, "warn")
    engine.changes = [ColumnChange("new_field", "loyalty")]
    sync(stream)

    assert SchemaChange.objects.get().decision == "taken"
    assert not Incident.objects.exists()


def test_watching_costs_two_queries_when_there_is_nothing_to_say(stream, django_assert_num_queries):
    SchemaChange.objects.create(stream=stream, kind="added", column="tax", decision="taken", loaded_at=timezone.now())

    with django_assert_num_queries(2):
        assert watch_columns() == 0
