"""Checks and their outcomes, incidents and the mails about them."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.urls import reverse
from simple_history.models import HistoricalRecords

from metrics.models import Build
from portal.runs import Run
from sources.models import Source

# How the origin of a check begins that is no longer there.
REMOVED_FROM = "removed from "


class Severity(models.TextChoices):
    WARN = "warn", "Warn: tell, but publish"
    CRITICAL = "critical", "Critical: hold the publication"


class Outcome(models.TextChoices):
    PASS = "pass", "Passed"
    WARN = "warn", "Warned"
    FAIL = "fail", "Failed"
    ERROR = "error", "Could not be checked"
    LEARNING = "learning", "Still learning"  # a check on history that is too short yet; never shown as green
    SKIPPED = "skipped", "Not looked at"  # what it looks at could not be built; never shown as green


def latest_result(field: str, *, but: str = "") -> Subquery:
    """`field` of a check's newest result (but those with this outcome), to annotate checks with; None: never ran."""
    newest = CheckResult.objects.filter(check_row=OuterRef("pk")).order_by("-measured_at", "-pk")
    return Subquery((newest.exclude(outcome=but) if but else newest).values(field)[:1])


class CheckQuerySet(models.QuerySet["Check"]):
    def enabled(self) -> Self:
        return self.filter(is_enabled=True)

    def of_soda(self) -> Self:
        return self.filter(dbt_test="")

    def of_dbt(self) -> Self:
        return self.exclude(dbt_test="")

    def on(self, datasets: list[str]) -> Self:
        return self.filter(dataset__in=datasets)

    def with_latest(self) -> Self:
        """Annotated with what the newest result said: latest_outcome, latest_sentence, latest_at (None: never run)."""
        return self.annotate(
            latest_outcome=latest_result("outcome"),
            latest_sentence=latest_result("sentence"),
            latest_at=latest_result("measured_at"),
        )


class Check(models.Model):
    """One statement about one dataset that must hold: SodaCL that people write here, or a data test of the dbt project.

    A check of dbt's is carried out by builds and follows the project (`quality.dbt_checks`): here people only choose who
    answers for it, and may switch it off.
    """

    dataset = models.CharField(max_length=120, help_text="schema.table, for example mart_finance.mrr_monthly")
    name = models.CharField(max_length=200, help_text="What it promises, as a sentence.")
    # One SodaCL list item as YAML, in the canonical form we render.
    # One of dbt's: how the project writes it.
    definition = models.TextField(help_text="SodaCL")
    dbt_test = models.CharField(max_length=255, blank=True, editable=False, help_text="dbt's unique id; empty: SodaCL.")
    # As it was written, when it came from a file.
    written_as = models.TextField(blank=True, editable=False)
    origin = models.CharField(max_length=255, blank=True, editable=False, help_text="File and line it came from.")
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.CRITICAL)
    is_enabled = models.BooleanField("is checked", default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="checks"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CheckQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["dataset", "name"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name"], condition=Q(dbt_test=""), name="one_check_a_name"),
            models.UniqueConstraint(fields=["dbt_test"], condition=~Q(dbt_test=""), name="one_check_a_dbt_test"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_of_dbt(self) -> bool:
        return bool(self.dbt_test)

    @property
    def is_gone(self) -> bool:
        """Whether it is no longer where it came from (a file, the dbt project)."""
        return self.origin.startswith(REMOVED_FROM)


class Scan(Run):
    """One look at the datasets that a build touched."""

    build = models.ForeignKey(Build, null=True, blank=True, on_delete=models.CASCADE, related_name="scans")
    # "schema.table"; [] means every dataset that has a check.
    datasets = models.JSONField(default=list)
    seconds = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"Scan {self.pk}"


class CheckResult(models.Model):
    """What one check found in one scan, or (a check of dbt's) in one build."""

    scan = models.ForeignKey(Scan, null=True, blank=True, on_delete=models.CASCADE, related_name="results")
    build = models.ForeignKey(Build, null=True, blank=True, on_delete=models.CASCADE, related_name="results")
    check_row = models.ForeignKey(Check, on_delete=models.CASCADE, related_name="results")
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    value = models.FloatField(null=True, blank=True)
    sentence = models.TextField(blank=True)
    detail = models.TextField(blank=True)
    measured_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["check_row", "-measured_at"], name="result_of_check")]
        constraints = [
            models.CheckConstraint(
                condition=Q(scan__isnull=False, build__isnull=True) | Q(scan__isnull=True, build__isnull=False),
                name="result_of_a_scan_or_a_build",
            )
        ]

    def __str__(self) -> str:
        return f"{self.check_row}: {self.outcome}"


class Measurement(models.Model):
    """The history that anomaly and change checks compare with: one number of one metric at one time."""

    check_row = models.ForeignKey(Check, on_delete=models.CASCADE, related_name="measurements")
    metric = models.CharField(max_length=255)
    value = models.FloatField()
    measured_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, blank=True)
    # What the library wants back beside the number (diagnostics of an anomaly check), as it gave it.
    extra = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-measured_at"]
        indexes = [models.Index(fields=["metric", "-measured_at"], name="measurement_of_metric")]

    def __str__(self) -> str:
        return f"{self.metric} = {self.value}"


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> Self:
        """Not resolved; acknowledged ones are still open."""
        return self.filter(resolved_at__isnull=True)


class Incident(models.Model):
    """Something is wrong, from the first time until it is right again."""

    class Kind(models.TextChoices):
        SYNC = "sync", "Sync"
        FRESHNESS = "freshness", "Freshness"
        COLUMNS = "columns", "Changed columns"
        BUILD = "build", "Build"
        CHECK = "check", "Check"
        PUBLICATION = "publication", "Publication"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    # Same trouble, same fingerprint: "sync:stripe", "check:17", "build:model.portal.mrr_events".
    fingerprint = models.CharField(max_length=255)
    title = models.CharField(max_length=255)
    sentence = models.TextField()
    detail = models.TextField(blank=True)
    # In words, one a line: what cannot be trusted meanwhile.
    affected = models.JSONField(default=list)
    path = models.CharField(max_length=255, blank=True, help_text="Page of the portal that shows more.")
    source = models.ForeignKey(Source, null=True, blank=True, on_delete=models.SET_NULL, related_name="incidents")
    check_row = models.ForeignKey(Check, null=True, blank=True, on_delete=models.SET_NULL, related_name="incidents")
    owner_email = models.EmailField(blank=True)
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    occurrences = models.PositiveIntegerField(default=1)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.TextField(blank=True)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(resolved_at__isnull=True), name="one_open_incident_a_fingerprint"
            )
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("incident", args=[self.pk])

    @property
    def state(self) -> str:
        """open, acknowledged or resolved."""
        if self.resolved_at:
            return "resolved"
        return "acknowledged" if self.acknowledged_at else "open"


class NotificationQuerySet(models.QuerySet["Notification"]):
    def undelivered(self) -> Self:
        return self.filter(sent_at__isnull=True)

    def due(self, now: datetime) -> Self:
        return self.undelivered().filter(next_attempt_at__lte=now)

    def in_trouble(self) -> Self:
        """Tried and not through, given up, or without anybody to send it to: what somebody should look at."""
        return self.undelivered().exclude(error="")


class Notification(models.Model):
    """A mail that somebody must get. The row exists before it is sent and keeps `sent_at` or the error."""

    incident = models.ForeignKey(
        Incident, null=True, blank=True, on_delete=models.CASCADE, related_name="notifications"
    )
    kind = models.CharField(max_length=40)  # incident_opened, incident_resolved, …
    # Empty: nobody was found to send it to; `error` says so and the sweep looks again.
    recipient = models.EmailField(blank=True)
    subject = models.CharField(max_length=255)
    text = models.TextField()
    html = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    # The server refused it for good, or it was tried for too long.
    gave_up_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.subject} → {self.recipient or 'nobody'}"

    @property
    def state(self) -> str:
        """sent, gave_up, nobody (no recipient), retrying or waiting."""
        if self.sent_at:
            return "sent"
        if self.gave_up_at:
            return "gave_up"
        if not self.recipient:
            return "nobody"
        return "retrying" if self.error else "waiting"
