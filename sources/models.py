"""Sources, their streams, and what happened when they were synced.

A source stores no status of its own: "last run" and "fresh" are annotations over runs (`SourceQuerySet`).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django_celery_beat.models import PeriodicTask
from simple_history.models import HistoricalRecords

from portal.crypto import EncryptedField
from portal.runs import ACTIVE, Run
from sources import schedules
from sources.connectors import fields_of, label_of
from sources.connectors.addresses import ALLOWED_HOSTS
from sources.connectors.base import Again, StreamRequest, SyncMode
from sources.engines.base import SyncRequest
from sources.hosts import allowed_hosts
from sources.models_streams import Reread, SchemaChange, SchemaPolicy
from sources.secrets import resolved

__all__ = [
    "Attempt",
    "Probe",
    "Reread",
    "SchemaChange",
    "SchemaPolicy",
    "Source",
    "Stream",
    "StreamSync",
    "SyncRun",
]


class SourceQuerySet(models.QuerySet["Source"]):
    def enabled(self) -> Self:
        return self.filter(is_enabled=True)

    def scheduled(self) -> Self:
        return self.enabled().exclude(schedule="")

    def with_last_run(self) -> Self:
        """Annotates `last_run_id`, `last_run_status`, `last_run_at` and `last_run_sentence`; None before the first."""
        newest = SyncRun.objects.filter(source=OuterRef("pk")).order_by("-pk")
        return self.annotate(
            last_run_id=Subquery(newest.values("pk")[:1]),
            last_run_status=Subquery(newest.values("status")[:1]),
            last_run_at=Subquery(newest.values(at=Coalesce("finished_at", "started_at", "queued_at"))[:1]),
            last_run_sentence=Subquery(newest.values("failure_sentence")[:1]),
        )

    def with_stream_counts(self) -> Self:
        """Annotates `streams_read` (switched on) and `streams_known`."""
        streams = Stream.objects.filter(source=OuterRef("pk")).order_by().values("source")
        count = streams.annotate(count=Count("pk")).values("count")
        return self.annotate(
            streams_known=Coalesce(Subquery(count), 0),
            streams_read=Coalesce(Subquery(count.filter(is_enabled=True)), 0),
        )

    def delete(self) -> tuple[int, dict[str, int]]:
        """Like `Source.delete`: the schedules they own go with them."""
        from sources import logs

        with transaction.atomic():
            for source in self:
                logs.let_go(source)
            tasks = list(self.exclude(periodic_task=None).values_list("periodic_task", flat=True))
            result = super().delete()
            PeriodicTask.objects.filter(pk__in=tasks).delete()
        return result


class Source(models.Model):
    """One account of one system: where it is, how to get in, when to read it, who answers for it."""

    slug = models.SlugField(
        unique=True,
        max_length=40,
        help_text="Short name used in the warehouse: rows land in raw_<short name>. Cannot be changed later.",
    )
    name = models.CharField(max_length=80, help_text="What people call it, for example “Stripe (billing)”.")
    connector = models.CharField(max_length=40, editable=False)
    engine = models.CharField(max_length=20, default="dlt", editable=False)
    config = models.JSONField(default=dict, blank=True, editable=False)
    secrets = EncryptedField(default=dict, blank=True, editable=False)
    is_enabled = models.BooleanField(
        "syncs on schedule", default=True, help_text="Off: nothing is read until you switch it on again."
    )
    schedule = models.CharField(
        max_length=80, blank=True, help_text="Cron expression; empty: only by hand. The form writes it in words."
    )
    timezone = models.CharField(max_length=64, default="UTC", help_text="The time zone the schedule is meant in.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="sources",
        help_text="Who gets a mail when something is wrong with this source.",
    )
    periodic_task = models.OneToOneField(
        PeriodicTask, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="source"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    schedule_changed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SourceQuerySet.as_manager()
    history = HistoricalRecords(
        excluded_fields=["secrets", "periodic_task", "schedule_changed_at"],
        history_change_reason_field=models.TextField(null=True),
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            schedules.note_change(self)
            super().save(*args, **kwargs)
            schedules.own_periodic_task(self)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        from sources import logs

        task = self.periodic_task
        with transaction.atomic():
            logs.let_go(self)
            result = super().delete(*args, **kwargs)
            if task is not None:
                task.delete()
        return result

    def get_absolute_url(self) -> str:
        return reverse("source", args=[self.slug])

    @property
    def system(self) -> str:
        """What people call the system it reads."""
        return label_of(self.connector)

    @property
    def dataset(self) -> str:
        """The schema its rows land in."""
        return f"raw_{self.slug.replace('-', '_')}"

    @property
    def work_dir(self) -> Path:
        return Path(settings.DATA_DIR) / "dlt" / self.slug

    def sync_request(self, stream_names: list[str], *, accept_fewer: bool = False) -> SyncRequest:
        """What an engine needs for a sync of these streams ([] for all that are on); resolves secrets."""
        streams = self.streams.enabled().with_wishes()
        if stream_names:
            streams = streams.filter(name__in=stream_names)
        return SyncRequest(
            source=self.slug,
            connector=self.connector,
            settings={
                **resolved(self.config, self.secrets, fields_of(self.connector)),
                ALLOWED_HOSTS: allowed_hosts(),
            },
            streams=tuple(stream.as_request(accept_fewer=accept_fewer) for stream in streams),
            dataset=self.dataset,
            work_dir=self.work_dir,
            is_whole=not stream_names or not self.streams.enabled().exclude(name__in=stream_names).exists(),
        )


class StreamQuerySet(models.QuerySet["Stream"]):
    def enabled(self) -> Self:
        return self.filter(is_enabled=True)

    def with_wishes(self) -> Self:
        """With `open_rereads` (none or one) and `agreed_changes` (agreed to, not in the warehouse yet) at hand."""
        agreed = SchemaChange.objects.unloaded().filter(decision=SchemaChange.Decision.AGREED)
        return self.prefetch_related(
            models.Prefetch("rereads", Reread.objects.open(), to_attr="open_rereads"),
            models.Prefetch("schema_changes", agreed, to_attr="agreed_changes"),
        )


class Stream(models.Model):
    """One table's worth of a source: what to read of it, how, and how fresh it is promised to be."""

    class SyncMode(models.TextChoices):
        INCREMENTAL = "incremental", "Only what is new or changed"
        FULL_REFRESH = "full_refresh", "Everything, every time"

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="streams")
    name = models.CharField(max_length=120)
    label = models.CharField(max_length=120, blank=True)
    is_enabled = models.BooleanField("read it", default=True)
    sync_mode = models.CharField(max_length=20, choices=SyncMode.choices, default=SyncMode.INCREMENTAL)
    cursor_field = models.CharField(max_length=120, blank=True)
    primary_key = models.JSONField(default=list, blank=True)
    freshness_minutes = models.PositiveIntegerField(
        "promised freshness (minutes)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(60 * 24 * 366)],
        help_text="How old the data may get before it counts as late. Empty: nothing is promised.",
    )
    # What the source offers for this stream (`sources.offers.Offer` as plain data); {} until somebody looked.
    offered = models.JSONField(default=dict, blank=True, editable=False)
    is_offered = models.BooleanField(
        default=True, editable=False, help_text="Off: the source had no such stream when it was last asked."
    )
    schema_policy = models.CharField(
        "when its columns change", max_length=10, choices=SchemaPolicy.choices, default=SchemaPolicy.ACCEPT
    )
    # Column name → type, as of the last sync.
    columns = models.JSONField(default=dict, blank=True, editable=False)
    cursor_value = models.JSONField(null=True, blank=True, editable=False)
    cursor_moved_at = models.DateTimeField(null=True, blank=True, editable=False)
    # In its table, as of the last sync; None when nobody counted.
    table_rows = models.PositiveBigIntegerField(null=True, blank=True, editable=False)

    objects = StreamQuerySet.as_manager()

    class Meta:
        ordering = ["source", "name"]
        constraints = [models.UniqueConstraint(fields=["source", "name"], name="one_stream_a_name")]

    def __str__(self) -> str:
        return self.label or self.name

    @property
    def is_followed(self) -> bool:
        """Whether its changes come from the source's log."""
        return self.sync_mode == self.SyncMode.INCREMENTAL and bool(self.offered.get("is_followed"))

    @property
    def freshness(self) -> timedelta | None:
        return None if self.freshness_minutes is None else timedelta(minutes=self.freshness_minutes)

    @property
    def notes(self) -> list[str]:
        """What the connector found odd in rows that were good, in sentences (see `connectors.base.Page`)."""
        found = self.cursor_value.get("notes") if isinstance(self.cursor_value, dict) else None
        return [str(note) for note in found] if isinstance(found, list) else []

    def as_request(self, *, accept_fewer: bool = False) -> StreamRequest:
        """What an engine is told; ask for streams `with_wishes()` to have them in it."""
        from sources import offers

        again = next(iter(getattr(self, "open_rereads", ())), None)
        return StreamRequest(
            name=self.name,
            sync_mode=SyncMode(self.sync_mode),
            cursor_field=self.cursor_field,
            primary_key=tuple(self.primary_key),
            accept_fewer=accept_fewer,
            again=Again(str(again.pk), again.moment) if again else None,
            holds_changes=self.schema_policy == SchemaPolicy.HOLD,
            agreed_changes=frozenset(change.key for change in getattr(self, "agreed_changes", ())),
            columns=offers.learned_columns(self.offered),
        )


class SyncRun(Run):
    """One sync of one source: from the first attempt to success, or until nobody tries any more."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="runs")
    # Which streams; [] means all that are on.
    streams = models.JSONField(default=list, blank=True)
    scheduled_for = models.DateTimeField(null=True, blank=True, editable=False)
    has_new_data = models.BooleanField(default=False, editable=False)
    # A person has said that far fewer rows than last time are right; counts for this run only.
    accept_fewer = models.BooleanField(default=False, editable=False)
    # Its rows are in the warehouse, but no build has taken them further yet.
    awaits_build = models.BooleanField(default=False, editable=False)

    class Meta(Run.Meta):
        constraints = [
            models.UniqueConstraint(fields=["source"], condition=Q(status__in=ACTIVE), name="one_active_run_a_source"),
            models.UniqueConstraint(fields=["source", "scheduled_for"], name="one_run_a_tick"),
        ]
        indexes = [
            models.Index(fields=["source", "-id"], name="run_of_source"),
            models.Index(fields=["status", "heartbeat_at"], name="run_by_status"),
            models.Index(fields=["awaits_build"], condition=Q(awaits_build=True), name="run_awaits_build"),
        ]

    def __str__(self) -> str:
        return f"{self.source} · run {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.pk])


class Attempt(models.Model):
    """One try of a sync run. Every attempt is kept: also the ones that a retry healed."""

    class Status(models.TextChoices):
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        LOST = "lost", "Lost"  # its worker vanished

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.RUNNING)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    # What it asks for: all that was wanted of the run, less what earlier attempts brought.
    streams = models.JSONField(default=list)
    # Stream name → rows, also while it runs.
    rows = models.JSONField(default=dict)
    is_transient = models.BooleanField(default=False)
    failure_kind = models.CharField(max_length=40, blank=True)
    failure_sentence = models.TextField(blank=True)
    failure_detail = models.TextField(blank=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="one_attempt_a_number")]

    def __str__(self) -> str:
        return f"{self.run} · attempt {self.number}"


class StreamSync(models.Model):
    """How one stream fared in one attempt. The newest per stream is what pages call its last sync."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="stream_syncs")
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="syncs")
    is_ok = models.BooleanField()
    rows = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0)
    finished_at = models.DateTimeField()
    failure_sentence = models.TextField(blank=True)

    class Meta:
        ordering = ["-finished_at"]
        indexes = [models.Index(fields=["stream", "is_ok", "-finished_at"], name="sync_of_stream")]

    def __str__(self) -> str:
        return f"{self.stream}: {self.rows} rows"


class Probe(Run):
    """A question to another system on a person's behalf: does this log-in work, and what does it offer?

    A run like every other, because pages never call another company's API inside a request.
    """

    source = models.ForeignKey(Source, null=True, blank=True, on_delete=models.CASCADE, related_name="probes")
    connector = models.CharField(max_length=40)
    config = models.JSONField(default=dict)
    secrets = EncryptedField(default=dict)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    sentence = models.TextField(blank=True)
    # The offered streams as plain data (`sources.offers`).
    streams = models.JSONField(default=list)
    # Stream name → what was seen of it (`sources.previews`), for streams that are set up in a form.
    previews = models.JSONField(default=dict)

    class Meta(Run.Meta):
        verbose_name = "connection test"

    def __str__(self) -> str:
        return f"Test {self.pk} of {self.connector}"


class LogWatch(models.Model):
    """How far a source's database keeps its log for us, as a worker last saw it. One row a source that is followed."""

    source = models.OneToOneField(Source, on_delete=models.CASCADE, related_name="log_watch")
    slot = models.CharField(max_length=63)
    publication = models.CharField(max_length=63)
    confirmed = models.CharField(max_length=20, blank=True)
    # Not read yet; and kept on the database's disk for us. None: unknown.
    lag_bytes = models.BigIntegerField(null=True)
    kept_bytes = models.BigIntegerField(null=True)
    is_lost = models.BooleanField(default=False)
    # Everything committed at the source before this moment is in the warehouse.
    read_up_to = models.DateTimeField(null=True)
    measured_at = models.DateTimeField()
    # Why the last look failed; the numbers are then those of the look before.
    problem = models.TextField(blank=True)
    # What people should know of the last sync, in sentences.
    told = models.JSONField(default=list)
    has_lost_changes = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"Log of {self.source}"

    @property
    def behind(self) -> timedelta | None:
        """How long ago everything was read, as of the last look; None: unknown."""
        return None if self.read_up_to is None else max(self.measured_at - self.read_up_to, timedelta())


class LogTask(Run):
    """Work at a source's log outside a sync: look how it stands, or have the database keep nothing for us any more.

    It outlives its source: the settings are its own until it is done.
    """

    class Kind(models.TextChoices):
        MEASURE = "measure", "See how far the log is read"
        LET_GO = "let_go", "Drop the replication slot"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    source = models.ForeignKey(Source, null=True, blank=True, on_delete=models.SET_NULL, related_name="log_tasks")
    slug = models.CharField(max_length=40)
    name = models.CharField(max_length=80)
    connector = models.CharField(max_length=40)
    config = models.JSONField(default=dict)
    secrets = EncryptedField(default=dict)
    slot = models.CharField(max_length=63, blank=True)
    sentence = models.TextField(blank=True)

    class Meta(Run.Meta):
        verbose_name = "task at a source's log"

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.name}"
