"""How the company reads its numbers: one row of switches, and previews of what another choice would do."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse
from simple_history.models import HistoricalRecords

from portal.runs import Run


def known_timezone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"“{name}” is no time zone; write it like Europe/Berlin.")


class MetricSwitches(models.Model):
    """The dbt variables that people may set. There is one row, or none: then what dbt_project.yml says counts."""

    class Discounts(models.TextChoices):
        RECURRING = "recurring", "Every discount that recurs, for some months or for ever"
        FOREVER = "forever", "Only discounts that last for ever"

    class ChurnOf(models.TextChoices):
        START = "start", "The customers there were when the month began"
        START_AND_NEW = "start_and_new", "Those and the month's new customers, as Stripe reads it"

    reporting_currency = models.CharField(
        max_length=3, default="usd", help_text="All money is shown in this currency, by the exchange rates on file."
    )
    company_timezone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[known_timezone],
        help_text="Days and months begin at midnight here, for example Europe/Berlin.",
    )
    past_due_days = models.PositiveSmallIntegerField(
        "days until a late payment is churn",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
        help_text="A subscription that is not paid for so many days no longer counts.",
    )
    mrr_discounts = models.CharField(
        "discounts that reduce MRR",
        max_length=20,
        choices=Discounts.choices,
        default=Discounts.RECURRING,
        help_text="$100 with half off for three months: $50 and then an expansion of $50, or $100 throughout.",
    )
    paused_is_churn = models.BooleanField(
        "pausing is churn",
        default=False,
        help_text="Otherwise a paused customer is worth nothing for a while and is still a customer.",
    )
    customer_churn_of = models.CharField(
        "customer churn is a share of",
        max_length=20,
        choices=ChurnOf.choices,
        default=ChurnOf.START,
        help_text="100 at the start, 20 new, 6 lost: 6.0 %, or 5.0 %.",
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name = "definitions of the metrics"
        verbose_name_plural = "definitions of the metrics"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_row_of_switches")]

    def __str__(self) -> str:
        return "How the numbers are read"

    def as_vars(self) -> dict[str, Any]:
        """Values by name of the dbt variable."""
        return {name: getattr(self, name) for name in SWITCHES}


SWITCHES = tuple(field.name for field in MetricSwitches._meta.fields if not field.primary_key)


class SwitchPreview(Run):
    """A question on a person's behalf: what would these switches make of the headline numbers?"""

    proposed = models.JSONField(default=dict)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    # [{"label", "unit", "before", "after", "currencies"}]: decimals as text, shares as fractions, null for unknown.
    numbers = models.JSONField(default=list)

    class Meta(Run.Meta):
        verbose_name = "preview of definitions"

    def __str__(self) -> str:
        return f"Preview {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("admin:metrics_metricswitches_preview_answer", args=[self.pk])
