"""One factory a model. The defaults describe something healthy; a test says what is different.

SourceFactory(streams=3)                     a source with three enabled streams
SyncRunFactory(failed=True)                  a run that ended badly, with its failure
synced(stream, ago=timedelta(hours=1))       run, attempt and stream sync that say the stream was read an hour ago
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone
from factory.django import DjangoModelFactory

from metrics.models import Build, BuildNode, Dataset, Exposure
from portal.models import Beacon, Publication
from portal.runs import RunStatus, Trigger
from quality.models import Check, CheckResult, Incident, Measurement, Notification, Outcome, Scan, Severity
from sources.models import Attempt, Probe, Source, Stream, StreamSync, SyncRun


def _ago(**delta: float) -> Any:
    return factory.LazyFunction(lambda: timezone.now() - timedelta(**delta))


# --- people ---------------------------------------------------------------------------------------------------------
class UserFactory(DjangoModelFactory):
    """A colleague who may look; `StaffFactory` may also press buttons."""

    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"colleague{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    password = factory.django.Password("correct horse battery")

    @factory.post_generation
    def permissions(self, create: bool, extracted: list[str] | None, **_: Any) -> None:
        """permissions=["sources.change_source"]"""
        for name in extracted or []:
            app_label, codename = name.split(".")
            self.user_permissions.add(Permission.objects.get(content_type__app_label=app_label, codename=codename))


class StaffFactory(UserFactory):
    """The data person: staff, and may do everything."""

    username = factory.Sequence(lambda n: f"staff{n}")
    is_staff = True
    is_superuser = True


# --- sources --------------------------------------------------------------------------------------------------------
class SourceFactory(DjangoModelFactory):
    class Meta:
        model = Source
        skip_postgeneration_save = True

    slug = factory.Sequence(lambda n: f"stripe-{n}")
    name = factory.Sequence(lambda n: f"Stripe {n} (billing)")
    connector = "stripe"
    schedule = "0 * * * *"
    timezone = "UTC"

    @factory.post_generation
    def streams(self, create: bool, extracted: int | None, **kwargs: Any) -> None:
        """streams=3 makes three, streams__freshness_minutes=60 describes them."""
        if create and extracted:
            StreamFactory.create_batch(extracted, source=self, **kwargs)


class StreamFactory(DjangoModelFactory):
    class Meta:
        model = Stream

    source = factory.SubFactory(SourceFactory)
    name = factory.Sequence(lambda n: f"stream_{n}")
    cursor_field = "created"
    primary_key = factory.LazyFunction(lambda: ["id"])
    freshness_minutes = 120
    columns = factory.LazyFunction(lambda: {"id": "text", "created": "timestamp"})


class _RunFactory(DjangoModelFactory):
    """Every kind of run: succeeded a minute ago unless a trait says otherwise."""

    class Meta:
        abstract = True

    status = RunStatus.SUCCEEDED
    trigger = Trigger.SCHEDULED
    queued_at = _ago(seconds=75)
    started_at = _ago(seconds=70)
    finished_at = _ago(seconds=60)

    class Params:
        queued = factory.Trait(status=RunStatus.QUEUED, started_at=None, finished_at=None)
        running = factory.Trait(
            status=RunStatus.RUNNING, finished_at=None, heartbeat_at=_ago(seconds=1), worker="host:1", claims=1
        )
        failed = factory.Trait(
            status=RunStatus.FAILED,
            failure_kind="terminal",
            failure_sentence="The key was refused.",
            failure_detail="HTTP 401 from /v1/customers",
        )


class SyncRunFactory(_RunFactory):
    class Meta:
        model = SyncRun

    source = factory.SubFactory(SourceFactory)
    has_new_data = True


class AttemptFactory(DjangoModelFactory):
    class Meta:
        model = Attempt

    run = factory.SubFactory(SyncRunFactory)
    number = factory.LazyAttribute(lambda attempt: attempt.run.attempts.count() + 1)
    status = Attempt.Status.SUCCEEDED
    started_at = factory.LazyAttribute(lambda attempt: attempt.run.started_at or timezone.now())
    finished_at = factory.LazyAttribute(lambda attempt: attempt.run.finished_at)
    rows = factory.LazyFunction(dict)

    class Params:
        running = factory.Trait(status=Attempt.Status.RUNNING, finished_at=None)
        failed = factory.Trait(
            status=Attempt.Status.FAILED,
            is_transient=True,
            failure_kind="transient",
            failure_sentence="Stripe did not answer in time.",
            failure_detail="ReadTimeout after 30 s",
        )


class StreamSyncFactory(DjangoModelFactory):
    class Meta:
        model = StreamSync

    stream = factory.SubFactory(StreamFactory)
    attempt = factory.LazyAttribute(
        lambda sync: AttemptFactory(
            run=SyncRunFactory(
                source=sync.stream.source,
                queued_at=sync.finished_at - timedelta(seconds=12),
                started_at=sync.finished_at - timedelta(seconds=10),
                finished_at=sync.finished_at,
            ),
            rows={sync.stream.name: sync.rows},
        )
    )
    is_ok = True
    rows = 100
    seconds = 1.5
    finished_at = _ago(minutes=5)


def synced(
    stream: Stream,
    ago: timedelta = timedelta(minutes=5),
    *,
    is_ok: bool = True,
    rows: int = 100,
    now: datetime | None = None,
) -> StreamSync:
    """The stream was read (or failed to be) `ago`, with the run and attempt that belong to it."""
    finished_at = (now or timezone.now()) - ago
    sentence = "" if is_ok else "The key was refused."
    run = SyncRunFactory(
        source=stream.source,
        status=RunStatus.SUCCEEDED if is_ok else RunStatus.FAILED,
        failure_sentence=sentence,
        queued_at=finished_at - timedelta(seconds=12),
        started_at=finished_at - timedelta(seconds=10),
        finished_at=finished_at,
        has_new_data=is_ok,
    )
    attempt = AttemptFactory(
        run=run,
        status=Attempt.Status.SUCCEEDED if is_ok else Attempt.Status.FAILED,
        rows={stream.name: rows} if is_ok else {},
        failure_sentence=sentence,
    )
    return StreamSyncFactory(
        stream=stream,
        attempt=attempt,
        is_ok=is_ok,
        rows=rows if is_ok else 0,
        finished_at=finished_at,
        failure_sentence=sentence,
    )


class ProbeFactory(_RunFactory):
    class Meta:
        model = Probe

    connector = "stripe"
    config = factory.LazyFunction(dict)
    secrets = factory.LazyFunction(dict)
    sentence = "Connected."


# --- metrics --------------------------------------------------------------------------------------------------------
class BuildFactory(_RunFactory):
    class Meta:
        model = Build
        skip_postgeneration_save = True

    trigger = Trigger.UPSTREAM
    models_built = 3
    tests_run = 5
    seconds = 2.4

    @factory.post_generation
    def syncs(self, create: bool, extracted: list[SyncRun] | None, **_: Any) -> None:
        """syncs=[run] names the syncs whose news it builds."""
        if create and extracted:
            self.syncs.set(extracted)


class BuildNodeFactory(DjangoModelFactory):
    class Meta:
        model = BuildNode

    build = factory.SubFactory(BuildFactory)
    name = factory.Sequence(lambda n: f"mrr_events_{n}")
    unique_id = factory.LazyAttribute(lambda node: f"{node.resource_type}.portal.{node.name}")
    resource_type = "model"
    relation = factory.LazyAttribute(lambda node: f"mart_finance.{node.name}" if node.resource_type == "model" else "")
    status = "success"
    seconds = 0.2
    rows = 1200


class DatasetFactory(DjangoModelFactory):
    class Meta:
        model = Dataset

    name = factory.Sequence(lambda n: f"mart_finance.mart_{n}")
    unique_id = factory.LazyAttribute(lambda dataset: f"model.portal.{dataset.name.partition('.')[2]}")
    layer = Dataset.Layer.MART
    description = "What customers pay."
    columns = factory.LazyFunction(lambda: [{"name": "month", "description": "The month."}])
    outcome = Dataset.Outcome.BUILT
    built_at = _ago(minutes=12)
    built_by = factory.SubFactory(BuildFactory)
    rows = 24


class ExposureFactory(DjangoModelFactory):
    class Meta:
        model = Exposure

    name = factory.Sequence(lambda n: f"dashboard_{n}")
    label = factory.Sequence(lambda n: f"Dashboard: {n}")
    kind = "dashboard"


# --- quality --------------------------------------------------------------------------------------------------------
class CheckFactory(DjangoModelFactory):
    class Meta:
        model = Check

    dataset = "mart_finance.mrr_monthly"
    name = factory.Sequence(lambda n: f"MRR is plausible {n}")
    definition = "row_count > 0"
    severity = Severity.CRITICAL


class DbtCheckFactory(CheckFactory):
    """A data test of the dbt project."""

    dataset = "mart_finance.mrr_events"
    definition = "select 1 where false"
    dbt_test = factory.Sequence(lambda n: f"test.portal.rule_{n}")
    origin = "the dbt project, tests/rule.sql"


class ScanFactory(_RunFactory):
    class Meta:
        model = Scan

    trigger = Trigger.UPSTREAM
    build = factory.SubFactory(BuildFactory)
    seconds = 0.3


class CheckResultFactory(DjangoModelFactory):
    class Meta:
        model = CheckResult

    scan = factory.SubFactory(ScanFactory)
    check_row = factory.SubFactory(CheckFactory)
    outcome = Outcome.PASS
    value = 170_000
    sentence = "As promised."
    measured_at = _ago(minutes=1)


class DbtResultFactory(CheckResultFactory):
    """What a test of the dbt project found in a build."""

    scan = None
    build = factory.SubFactory(BuildFactory)
    check_row = factory.SubFactory(DbtCheckFactory)
    sentence = "No row breaks it."


class MeasurementFactory(DjangoModelFactory):
    class Meta:
        model = Measurement

    check_row = factory.SubFactory(CheckFactory)
    metric = "row_count"
    value = 24
    measured_at = _ago(minutes=1)


class IncidentFactory(DjangoModelFactory):
    class Meta:
        model = Incident

    kind = Incident.Kind.SYNC
    fingerprint = factory.Sequence(lambda n: f"sync:stripe-{n}")
    title = "Stripe (billing) cannot be read"
    sentence = "The key was refused."
    affected = factory.LazyFunction(lambda: ["MRR by month"])
    owner_email = "owner@example.com"
    opened_at = _ago(minutes=30)
    last_seen_at = _ago(minutes=5)

    class Params:
        acknowledged = factory.Trait(acknowledged_at=_ago(minutes=20))
        resolved = factory.Trait(resolved_at=_ago(minutes=2), resolution="The next sync succeeded.")


class NotificationFactory(DjangoModelFactory):
    class Meta:
        model = Notification

    incident = factory.SubFactory(IncidentFactory)
    kind = "incident_opened"
    recipient = "owner@example.com"
    subject = "Stripe (billing) cannot be read"
    text = "The key was refused."
    html = "<p>The key was refused.</p>"
    attempts = 1
    sent_at = _ago(minutes=29)

    class Params:
        undelivered = factory.Trait(
            sent_at=None, error="Connection refused", next_attempt_at=factory.LazyFunction(timezone.now)
        )


# --- the portal -----------------------------------------------------------------------------------------------------
class PublicationFactory(_RunFactory):
    class Meta:
        model = Publication

    trigger = Trigger.UPSTREAM
    build = factory.SubFactory(BuildFactory)
    scan = factory.LazyAttribute(lambda publication: ScanFactory(build=publication.build))
    outcome = Publication.Outcome.PUBLISHED
    location = factory.Sequence(lambda n: f"v{n}.duckdb")

    class Params:
        held = factory.Trait(
            outcome=Publication.Outcome.HELD,
            location="",
            reasons=factory.LazyFunction(lambda: ["MRR is plausible: 98,000 is not between 150,000 and 250,000."]),
        )


class BeaconFactory(DjangoModelFactory):
    class Meta:
        model = Beacon
        django_get_or_create = ("name",)

    name = "beat"
    seen_at = _ago(seconds=20)
