"""Publications: which version of the marts people see, and why a newer one was refused."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models

from metrics.models import Build
from portal.runs import Run, RunQuerySet
from quality.models import Scan


class PublicationQuerySet(RunQuerySet):
    def published(self) -> Self:
        return self.filter(outcome=Publication.Outcome.PUBLISHED)

    def current(self) -> Publication | None:
        """What pages read: the newest that was published. None before the first."""
        return self.published().order_by("-pk").first()


class Publication(Run):
    """The gate's decision about one build: published for everybody, or held with reasons."""

    class Outcome(models.TextChoices):
        PENDING = "", "Not decided yet"
        PUBLISHED = "published", "Published"
        HELD = "held", "Held"

    build = models.ForeignKey(Build, on_delete=models.CASCADE, related_name="publications")
    # None when the build failed: there was nothing to scan, and the refusal is recorded all the same.
    scan = models.ForeignKey(Scan, null=True, blank=True, on_delete=models.CASCADE, related_name="publications")
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True, default="")
    # Sentences, when held.
    reasons = models.JSONField(default=list)
    # Where the warehouse keeps this version; empty when held, or when the version was discarded.
    location = models.CharField(max_length=255, blank=True)

    objects: ClassVar[Any] = PublicationQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Publication {self.pk}"


class Beacon(models.Model):
    """The last sign of life of a part that works in the background; silence is shown, not assumed to be health."""

    name = models.CharField(max_length=40, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
