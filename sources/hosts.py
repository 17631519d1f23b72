"""Hosts inside the company's own network that a source may be connected to, because an administrator said so.

Without a row here (or `ALLOWED_INTERNAL_HOSTS`, which the demo sets for itself) only public addresses are reached:
`sources.connectors.addresses` holds that. The list is for superusers; every change of it is kept.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from sources.connectors.addresses import canonical_host

TWICE = "This host is on the list already."


class AllowedHost(models.Model):
    """One host, on one port or on all, and why."""

    host = models.CharField(
        max_length=253,
        help_text="A name or an address as the source's own settings spell it, without https:// and without a path: "
        "for example crm.internal or 10.0.0.5. Exactly this host; names below it are not meant.",
    )
    port = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
        help_text="Only this port, for example 8443. Empty: every port of that host.",
    )
    reason = models.CharField(
        max_length=300, help_text="Which system it is and who asked for it, for whoever reads this list in a year."
    )
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    added_at = models.DateTimeField(auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["host", "port"]
        verbose_name = "allowed internal host"
        constraints = [
            models.UniqueConstraint(
                fields=["host", "port"], name="one_row_a_host_and_port", violation_error_message=TWICE
            ),
            models.UniqueConstraint(
                fields=["host"], condition=Q(port=None), name="one_row_a_host", violation_error_message=TWICE
            ),
        ]

    def __str__(self) -> str:
        return self.entry

    def clean(self) -> None:
        try:
            self.host = canonical_host(self.host)
        except ValueError:
            raise ValidationError(
                {"host": "This is not the name or address of a host. Leave out https://, the port and the path."}
            ) from None

    @property
    def entry(self) -> str:
        """As the guard reads it."""
        host = f"[{self.host}]" if ":" in self.host and self.port else self.host
        return f"{host}:{self.port}" if self.port else host


def allowed_hosts() -> list[str]:
    """What connectors may reach beside the internet."""
    rows: Any = AllowedHost.objects.all()
    return sorted({*settings.ALLOWED_INTERNAL_HOSTS, *(row.entry for row in rows)})
