"""Incidents: one row from the first sign of trouble until it is gone, whoever reports it how often.

The database decides who is first (`one_open_incident_a_fingerprint`): two workers that report the same trouble make
one incident and one mail.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from portal.redact import redact
from quality import notifications
from quality.models import Check, Incident
from sources.models import Source


def report(
    *,
    kind: str,
    fingerprint: str,
    title: str,
    sentence: str,
    detail: str = "",
    affected: Sequence[str] = (),
    path: str = "",
    source: Source | None = None,
    check_row: Check | None = None,
    owner_email: str = "",
) -> Incident:
    """Open an incident, or count a re-occurrence of the open one with this fingerprint; returns it.

    Only the opening is mailed: to `owner_email`, else the source's owner, else the check's, else whoever
    `quality.notifications` finds. `affected`: in words, what cannot be trusted meanwhile.
    """
    now = timezone.now()
    told = {
        "sentence": redact(sentence),
        "detail": redact(detail),
        "affected": [redact(line) for line in affected],
        "path": path[:255],
        "last_seen_at": now,
    }
    still_open = Incident.objects.open().filter(fingerprint=fingerprint)
    for _ in range(3):
        with transaction.atomic():
            if still_open.update(occurrences=F("occurrences") + 1, **told):
                incident = still_open.first()
                if incident is not None:
                    return incident
            try:
                with transaction.atomic():
                    incident = Incident.objects.create(
                        kind=kind,
                        fingerprint=fingerprint,
                        title=redact(title)[:255],
                        source=source,
                        check_row=check_row,
                        owner_email=owner_email,
                        opened_at=now,
                        **told,
                    )
            except IntegrityError:
                continue  # another worker was first: count it there
            notifications.incident_opened(incident)
            return incident
    raise RuntimeError(f"The incident {fingerprint} opens and closes faster than it can be counted.")


def refresh(fingerprint: str, *, sentence: str, affected: Sequence[str]) -> bool:
    """Say anew what an open incident is about, without counting a re-occurrence; False when none is open."""
    return bool(
        Incident.objects.open()
        .filter(fingerprint=fingerprint)
        .update(sentence=redact(sentence), affected=list(affected), last_seen_at=timezone.now())
    )


def resolve(fingerprint: str, resolution: str) -> bool:
    """Close the open incident with this fingerprint and send the all-clear; False when there is none."""
    with transaction.atomic():
        incident = Incident.objects.open().filter(fingerprint=fingerprint).first()
        return incident is not None and _close(incident, resolution)


def _close(incident: Incident, resolution: str) -> bool:
    now = timezone.now()
    # Filtered on being open: of two workers that see it mended, one sends the all-clear.
    if not Incident.objects.open().filter(pk=incident.pk).update(resolved_at=now, resolution=redact(resolution)):
        return False
    incident.resolved_at, incident.resolution = now, redact(resolution)
    notifications.incident_resolved(incident)
    return True


def resolve_retired() -> int:
    """Close the incidents of checks that are switched off or gone: nobody will ever say that they pass."""
    retired = (
        Incident.objects.open()
        .filter(Q(check_row__isnull=True) | Q(check_row__is_enabled=False), kind=Incident.Kind.CHECK)
        .select_related("check_row")
    )
    closed = 0
    for incident in retired:
        with transaction.atomic():
            closed += _close(incident, f"{_how_it_went(incident.check_row)} Nobody confirmed that the data is right.")
    return closed


def _how_it_went(check: Check | None) -> str:
    if check is None:
        return "The check was deleted."
    if check.is_gone:
        return f"The check was {check.origin} and is switched off."
    return "The check was switched off."


def acknowledge(incidents: Sequence[int], user_id: int) -> int:
    """Note that somebody is on it; returns how many of these open incidents were not acknowledged before."""
    return (
        Incident.objects.open()
        .filter(pk__in=incidents, acknowledged_at__isnull=True)
        .update(acknowledged_at=timezone.now(), acknowledged_by_id=user_id)
    )
