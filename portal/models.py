"""Publications: which version of the marts people see, why a newer one was refused, and which months it restated."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.core.serializers.json import DjangoJSONEncoder
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
    # A sentence about history that no Restatement can say: it could not be compared, or something of it is lost.
    history_note = models.TextField(blank=True)
    # Marts that are in this version as an earlier one showed them: {"mart_…": {"because": sentence, "publication": pk of
    # the version that took them from a build, None when no version has them}}.
    kept = models.JSONField(default=dict)
    # Where the warehouse keeps this version; empty when held, or when the version was discarded.
    location = models.CharField(max_length=255, blank=True)

    objects: ClassVar[Any] = PublicationQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Publication {self.pk}"


class Restatement(models.Model):
    """A month that was over and published, and of which this publication says something else. Never changed again.

    Money is in `currency`. `largest`: up to 5 customers as {customer_id, before, after}; `invoices`: up to 20 that
    explain it as {invoice_id, invoice_number, customer_id, invoiced_on, status_before, status_after}.
    """

    publication = models.ForeignKey(Publication, on_delete=models.CASCADE, related_name="restatements")
    month = models.DateField()
    currency = models.CharField(max_length=3)
    mrr_before = models.DecimalField(max_digits=18, decimal_places=2)
    mrr_after = models.DecimalField(max_digits=18, decimal_places=2)
    customers_before = models.PositiveIntegerField()
    customers_after = models.PositiveIntegerField()
    # For how many customers something is different.
    customers = models.PositiveIntegerField()
    largest = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    # None: nobody can tell, because one of the versions does not say which invoices it was made from.
    invoice_count = models.PositiveIntegerField(null=True, blank=True)
    invoices = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    # The definition that changed, as a clause; empty when only the data did.
    because = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["publication", "month"], name="one_restatement_a_month_and_publication")
        ]

    @property
    def key(self) -> str:
        return str(self.pk)

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} by {self.publication}"


class Beacon(models.Model):
    """The last sign of life of a part that works in the background; silence is shown, not assumed to be health."""

    name = models.CharField(max_length=40, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
