"""Builds: what dbt did, one row an invocation and one row a node."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from metrics.models_switches import MetricSwitches, SwitchPreview
from portal.runs import Run, RunStatus
from sources.models import SyncRun

__all__ = ["Build", "BuildNode", "MetricSwitches", "SwitchPreview"]


class Build(Run):
    """One dbt build of what is downstream of some syncs. Syncs that end while one runs share the next."""

    syncs = models.ManyToManyField(SyncRun, related_name="builds", blank=True)
    # "schema.table" of raw tables that changed; [] builds everything.
    changed = models.JSONField(default=list)
    # "schema.table" of what was built, with the raw tables that fed it: what the scan looks at.
    touched = models.JSONField(default=list)
    # Raw dataset → the marts that are computed from it, by the dbt project as it was: {"raw_stripe": ["mart_…"]}.
    feeds = models.JSONField(default=dict)
    # In words: what was left out and why ("pull_requests: no GitHub source").
    left_out = models.JSONField(default=list)
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
