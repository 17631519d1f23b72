"""Builds: what dbt did, one row an invocation and one row a node. Datasets: what there is, and what reads what."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from metrics.dbt_types import MODEL_FAILED
from metrics.models_switches import MetricSwitches, SwitchPreview
from portal.runs import Run, RunStatus
from sources.models import Source, Stream, SyncRun

__all__ = ["Build", "BuildNode", "Dataset", "Exposure", "MetricSwitches", "SwitchPreview"]


class Build(Run):
    """One dbt build of what is downstream of some syncs. Syncs that end while one runs share the next."""

    syncs = models.ManyToManyField(SyncRun, related_name="builds", blank=True)
    # "schema.table" of raw tables that changed; [] builds everything.
    changed = models.JSONField(default=list)
    # "schema.table" of what was built, with the raw tables that fed it: what the scan looks at.
    touched = models.JSONField(default=list)
    # Raw dataset → the marts that are computed from it, by the dbt project as it was: {"raw_stripe": ["mart_…"]}.
    feeds = models.JSONField(default=dict)
    # The switches of the metrics it was built by: what was built by others is never mixed with it.
    switches = models.JSONField(default=dict)
    # In words: what was left out and why ("pull_requests: no GitHub source").
    left_out = models.JSONField(default=list)
    # What MRR was computed by besides the rows: SQL, switches, exchange rates (`metrics.dbt_definition`).
    definition = models.JSONField(default=dict)
    models_built = models.PositiveIntegerField(default=0)
    tests_run = models.PositiveIntegerField(default=0)
    tests_failed = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0)

    class Meta(Run.Meta):
        constraints = [
            # Coalescing: whoever wants a build while one waits joins that one.
            models.UniqueConstraint(fields=["status"], condition=Q(status=RunStatus.QUEUED), name="one_queued_build"),
        ]

    def __str__(self) -> str:
        return f"Build {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("build", args=[self.pk])

    @property
    def broke_in_part(self) -> bool:
        """Whether some dbt models could not be built while dbt went on with the rest."""
        return self.status == RunStatus.FAILED and self.failure_kind == MODEL_FAILED


class BuildNode(models.Model):
    """One dbt model, test or seed in one build."""

    build = models.ForeignKey(Build, on_delete=models.CASCADE, related_name="nodes")
    unique_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    resource_type = models.CharField(max_length=20)
    relation = models.CharField(max_length=255, blank=True)
    # dbt's own: success, error, skipped, pass, fail, warn
    status = models.CharField(max_length=20)
    seconds = models.FloatField(default=0)
    rows = models.BigIntegerField(null=True, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        ordering = ["build", "pk"]

    def __str__(self) -> str:
        return self.name


class Dataset(models.Model):
    """One relation of the warehouse that the dbt project knows: a raw table it reads, a dbt model, a seed, a snapshot.

    Written by builds (`metrics.datasets`). What the project no longer has goes; an edge is "reads".
    """

    class Layer(models.TextChoices):
        RAW = "raw", "Raw tables"
        SEED = "seed", "Seeds"
        SNAPSHOT = "snapshot", "Snapshots"
        STAGING = "staging", "Staging"
        INTERMEDIATE = "intermediate", "Intermediate"
        MART = "mart", "Marts"

    class Outcome(models.TextChoices):
        """How the last build that had to do with it left it."""

        NEVER = "", "Never built"
        BUILT = "built", "Built"
        FAILED = "failed", "Could not be built"
        SKIPPED = "skipped", "Left as it was"
        LEFT_OUT = "left_out", "Left out"

    name = models.CharField(max_length=255, unique=True, help_text="schema.table")
    unique_id = models.CharField(max_length=255)
    layer = models.CharField(max_length=12, choices=Layer.choices)
    is_view = models.BooleanField(default=False)
    description = models.TextField(blank=True)
    grain = models.CharField(max_length=255, blank=True)
    owner = models.CharField(max_length=255, blank=True)
    # [{"name": …, "description": …}], in the order of the project.
    columns = models.JSONField(default=list)
    # What a raw table belongs to, when it is connected.
    source = models.ForeignKey(Source, null=True, blank=True, on_delete=models.SET_NULL, related_name="datasets")
    stream = models.ForeignKey(Stream, null=True, blank=True, on_delete=models.SET_NULL, related_name="datasets")
    reads = models.ManyToManyField("self", symmetrical=False, related_name="read_by", blank=True)

    # The last time it was built, and by which build.
    built_at = models.DateTimeField(null=True, blank=True)
    built_by = models.ForeignKey(Build, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    seconds = models.FloatField(null=True, blank=True)
    # None for a view, and where nobody counted.
    rows = models.BigIntegerField(null=True, blank=True)
    # The last time a build had to do with it; `reason` says why it was not built.
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True, default=Outcome.NEVER)
    reason = models.TextField(blank=True)
    tried_by = models.ForeignKey(Build, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("dataset", args=[self.name])


class Exposure(models.Model):
    """What people look at that reads datasets: a dashboard of the portal, or something outside that dbt was told of."""

    name = models.CharField(max_length=255, unique=True)
    label = models.CharField(max_length=255)
    # dbt's: dashboard, analysis, application, notebook, ml
    kind = models.CharField(max_length=20, blank=True)
    description = models.TextField(blank=True)
    owner = models.CharField(max_length=255, blank=True)
    reads = models.ManyToManyField(Dataset, related_name="exposures", blank=True)

    class Meta:
        ordering = ["label"]

    def __str__(self) -> str:
        return self.label
