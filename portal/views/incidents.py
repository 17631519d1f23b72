"""What is wrong, what was, and who was told."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from metrics.models import Dataset
from portal.text import plural
from portal.views.access import may, require
from portal.views.stages import Event
from quality.models import Incident, Notification

A_PAGE = 25
BEFORE_SHOWN = 5
FILTERS = {"all": "All", "open": "Open", "acknowledged": "Acknowledged", "resolved": "Resolved"}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Open ones first, then the newest."""
    chosen = request.GET.get("state", "all")
    incidents = Incident.objects.defer("detail").order_by(F("resolved_at").desc(nulls_first=True), "-opened_at")
    if chosen == "open":
        incidents = incidents.open().filter(acknowledged_at__isnull=True)
    elif chosen == "acknowledged":
        incidents = incidents.open().filter(acknowledged_at__isnull=False)
    elif chosen == "resolved":
        incidents = incidents.filter(resolved_at__isnull=False)
    context = {
        "now": timezone.now(),
        "page": Paginator(incidents, A_PAGE).get_page(request.GET.get("page")),
        "filters": FILTERS,
        "chosen": chosen if chosen in FILTERS else "all",
    }
    return render(request, "incidents.html", context)


@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    incident = get_object_or_404(Incident.objects.select_related("source", "check_row", "acknowledged_by"), pk=pk)
    mails = list(incident.notifications.order_by("pk"))
    before = Incident.objects.filter(fingerprint=incident.fingerprint).exclude(pk=pk).order_by("-opened_at")
    context = {
        "now": timezone.now(),
        "incident": incident,
        "mails": mails,
        "dataset": Dataset.objects.filter(name=incident.check_row.dataset).first() if incident.check_row else None,
        "before": before[:BEFORE_SHOWN],
        "events": history(incident, mails),
        "may_acknowledge": incident.state == "open" and may(request, "quality.change_incident"),
    }
    return render(request, "incident.html", context)


def history(incident: Incident, mails: list[Notification]) -> list[Event]:
    """What happened to it, oldest first."""
    events = [Event(incident.opened_at, "bad", f"Opened: {incident.sentence}")]
    if incident.occurrences > 1:
        seen = plural(incident.occurrences, "time")
        events.append(Event(incident.last_seen_at, "bad", f"Seen again; {seen} by then."))
    if incident.acknowledged_at:
        who = incident.acknowledged_by.get_username() if incident.acknowledged_by else "somebody"
        events.append(Event(incident.acknowledged_at, "warn", f"Acknowledged by {who}."))
    if incident.resolved_at:
        events.append(Event(incident.resolved_at, "good", f"Resolved. {incident.resolution}".strip()))
    for mail in mails:
        if mail.sent_at:
            events.append(Event(mail.sent_at, "quiet", f"Mail to {mail.recipient}: {mail.subject}"))
        elif mail.error:
            tries = plural(mail.attempts, "try", "tries")
            events.append(
                Event(mail.created_at, "warn", f"Mail to {mail.recipient} could not be sent after {tries}.", mail.error)
            )
    return sorted(events, key=lambda event: event.at)


@require_POST
@require("quality.change_incident")
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody looks at it. It stays open until it is right again; pressing twice keeps the first name."""
    incident = get_object_or_404(Incident, pk=pk)
    moved = (
        Incident.objects.open()
        .filter(pk=pk, acknowledged_at__isnull=True)
        .update(acknowledged_at=timezone.now(), acknowledged_by=request.user)
    )
    if moved:
        messages.success(request, "Acknowledged: others see that you are looking at it.")
    else:
        messages.info(request, "Nothing to acknowledge: it is resolved, or somebody was faster.")
    return redirect(incident)
