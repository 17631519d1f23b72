"""Mails about incidents: written as rows first, sent by whoever sweeps, tried again until they are through.

Nobody is left out in silence: a mail without anybody to send it to is a row too, with the reason, and it looks for
a recipient each hour.
"""

from __future__ import annotations

import logging
import textwrap
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlparse
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone

from portal import mail
from portal.failures import PortalError, as_portal_error
from portal.text import duration
from quality.models import Check, Incident, Notification
from sources.models import Source

logger = logging.getLogger(__name__)

# Before the second, third … attempt; the last one repeats until `GIVE_UP_AFTER`.
RETRY_DELAYS = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240)]
GIVE_UP_AFTER = timedelta(days=7)
# A worker that takes a mail and dies gives it back after this long.
LEASE = timedelta(minutes=5)
LOOK_AGAIN_FOR_RECIPIENT = timedelta(hours=1)

NOBODY = (
    "Nobody to send this to: the owner has no email address, FALLBACK_OWNER_EMAIL is empty and no active "
    "administrator has an address."
)

NEXT_STEPS = {
    Incident.Kind.SYNC: "Open the run, read what the source answered, and mend the connection or its permissions. "
    "Then press “Sync now”; the portal also tries again on schedule.",
    Incident.Kind.FRESHNESS: "Look at the source’s last runs: did they fail, or did they bring nothing new? "
    "Press “Sync now” to try at once.",
    Incident.Kind.COLUMNS: "Open the source’s page, look which columns changed and what is computed from them, and "
    "say there that you agree. If it is a mistake, let whoever runs the source mend it.",
    Incident.Kind.BUILD: "Open the build and read what dbt said about the first model that broke; those after it were "
    "only skipped. The next build follows the next sync.",
    Incident.Kind.CHECK: "Look at the rows the check is about. If the data is wrong, mend it at its source; if the "
    "check is wrong, change it. Either way it is looked at again by itself.",
    Incident.Kind.PUBLICATION: "Open the page below and read why nothing was published. Pages keep showing the last "
    "good data meanwhile.",
}


# --- who ------------------------------------------------------------------------------------------------------------
def recipients_of(incident: Incident) -> list[str]:
    """The first of these that is there: named owner, source's owner, check's owner, fallback, all administrators."""
    # Addresses only: a source whose secrets cannot be opened must not keep its own alarm from being sent.
    of_source = Source.objects.filter(incidents=incident, owner__is_active=True)
    of_check = Check.objects.filter(incidents=incident, owner__is_active=True)
    owners = [
        incident.owner_email,
        of_source.values_list("owner__email", flat=True).first() or "",
        of_check.values_list("owner__email", flat=True).first() or "",
        settings.FALLBACK_OWNER_EMAIL,
    ]
    if first := next((email for email in owners if email), ""):
        return [first]
    people = get_user_model().objects.filter(is_superuser=True, is_active=True).exclude(email="")
    return sorted(set(people.values_list("email", flat=True)))


# --- writing --------------------------------------------------------------------------------------------------------
def incident_opened(incident: Incident) -> list[Notification]:
    """Write the mail that says an incident began."""
    return _write(incident, "incident_opened", recipients_of(incident))


def incident_resolved(incident: Incident) -> list[Notification]:
    """Write the all-clear, to those who were told of the trouble."""
    told = incident.notifications.filter(kind="incident_opened").exclude(recipient="")
    recipients = sorted(set(told.values_list("recipient", flat=True)))
    return _write(incident, "incident_resolved", recipients or recipients_of(incident))


def _write(incident: Incident, kind: str, recipients: list[str]) -> list[Notification]:
    context = _context(incident)
    subject = mail.one_line(render_to_string(f"emails/{kind}.subject.txt", context))
    text = _wrapped(render_to_string(f"emails/{kind}.txt", context))
    html = render_to_string(f"emails/{kind}.html", context)
    return [
        Notification.objects.create(
            incident=incident,
            kind=kind,
            recipient=recipient,
            subject=subject,
            text=text,
            html=html,
            next_attempt_at=timezone.now(),
            error="" if recipient else NOBODY,
        )
        for recipient in recipients or [""]
    ]


def _context(incident: Incident) -> dict[str, Any]:
    end = incident.resolved_at or timezone.now()
    return {
        "incident": incident,
        "title": mail.one_line(incident.title),
        "kind": incident.get_kind_display(),
        "since": in_full(incident.opened_at),
        "until": in_full(incident.resolved_at) if incident.resolved_at else "",
        "lasted": duration(end - incident.opened_at),
        "next_step": NEXT_STEPS.get(Incident.Kind(incident.kind), ""),
        "link": absolute(incident.get_absolute_url()),
        "more_link": absolute(incident.path) if incident.path else "",
        "portal_url": settings.PORTAL_URL,
    }


def in_full(moment: datetime) -> str:
    """ "Monday 23 November 2026, 09:14 (Europe/London, UTC+00:00)": readable without knowing where the server is."""
    local = moment.astimezone(ZoneInfo(settings.TIME_ZONE))
    offset = f"{local:%z}"
    zone = settings.TIME_ZONE if settings.TIME_ZONE == "UTC" else f"{settings.TIME_ZONE}, UTC{offset[:3]}:{offset[3:]}"
    return f"{local:%A} {local.day} {local:%B %Y, %H:%M} ({zone})"


def absolute(path: str) -> str:
    return path if path.startswith(("http://", "https://")) else f"{settings.PORTAL_URL}{path}"


def _wrapped(text: str) -> str:
    """Lines of at most 76 characters; links stay whole, blank lines stay single."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        indent = "  " if line.startswith("- ") else ""
        wrapped = textwrap.wrap(
            line, width=76, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        if wrapped or (lines and lines[-1]):
            lines += wrapped or [""]
    return "\n".join(lines) + "\n"


# --- sending --------------------------------------------------------------------------------------------------------
def deliver_due(now: datetime) -> tuple[int, int]:
    """Send what is due; (sent, failed). A mail is taken by one worker at a time and tried again as RETRY_DELAYS say."""
    sent = failed = 0
    # Oldest first: nobody reads the all-clear before the alarm.
    due = Notification.objects.due(now).order_by("pk")
    for notification in due.select_related("incident"):
        if not _take(notification, now):
            continue
        if not notification.recipient and not _find_recipient(notification, now):
            failed += 1
        elif _deliver(notification, now):
            sent += 1
        else:
            failed += 1
    return sent, failed


def _take(notification: Notification, now: datetime) -> bool:
    """Whether this worker may send it: nobody else took it since it was read."""
    taken = (
        Notification.objects.undelivered()
        .filter(pk=notification.pk, next_attempt_at=notification.next_attempt_at, attempts=notification.attempts)
        .update(next_attempt_at=now + LEASE, attempts=F("attempts") + 1)
    )
    notification.attempts += taken
    return bool(taken)


def _find_recipient(notification: Notification, now: datetime) -> bool:
    """Look again for somebody to tell: an address may have been added since."""
    people = recipients_of(notification.incident) if notification.incident else []
    if not people:
        Notification.objects.filter(pk=notification.pk).update(
            next_attempt_at=now + LOOK_AGAIN_FOR_RECIPIENT, error=NOBODY
        )
        return False
    notification.recipient = people[0]
    Notification.objects.filter(pk=notification.pk).update(recipient=people[0])
    for another in people[1:]:
        Notification.objects.create(
            incident=notification.incident,
            kind=notification.kind,
            recipient=another,
            subject=notification.subject,
            text=notification.text,
            html=notification.html,
            next_attempt_at=now,
        )
    return True


def _deliver(notification: Notification, now: datetime) -> bool:
    row = Notification.objects.filter(pk=notification.pk)
    try:
        mail.send(
            notification.recipient,
            notification.subject,
            notification.text,
            notification.html,
            headers=_thread(notification),
        )
    except Exception as error:  # whatever it was, the row must show it and the next mail must go out
        failure = as_portal_error(error)
        row.update(**_after_failure(notification, failure, now))
        logger.warning("Mail %s to %s: %s", notification.pk, notification.recipient, failure.sentence)
        return False
    row.update(sent_at=timezone.now(), next_attempt_at=None, error="")
    return True


def _after_failure(notification: Notification, failure: PortalError, now: datetime) -> dict[str, Any]:
    if failure.kind == "mail_refused":
        return {"error": f"{failure.sentence} It is not tried again.", "gave_up_at": now, "next_attempt_at": None}
    if now - notification.created_at > GIVE_UP_AFTER:
        sentence = f"{failure.sentence} Given up after {notification.attempts} attempts in {GIVE_UP_AFTER.days} days."
        return {"error": sentence, "gave_up_at": now, "next_attempt_at": None}
    delay = RETRY_DELAYS[min(notification.attempts, len(RETRY_DELAYS)) - 1]
    return {"error": f"{failure.sentence} {failure.detail}".strip(), "next_attempt_at": now + delay}


def _thread(notification: Notification) -> dict[str, str]:
    """Opened and all-clear belong to one conversation in a mail program."""
    if notification.incident_id is None:
        return {}
    host = urlparse(settings.PORTAL_URL).hostname or "localhost"
    return {"References": f"<incident-{notification.incident_id}@{host}>"}
