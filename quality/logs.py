"""What can go wrong with a log that is followed, as incidents: it fills a disk, changes were missed, a slot stays behind."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.template.defaultfilters import filesizeformat

from portal.failures import PortalError
from portal.runs import RunStatus
from portal.text import duration
from quality import incidents
from quality.models import Incident
from sources.models import LogTask, LogWatch, Source

# A database that cannot be reached for a moment is no reason to wake somebody.
QUIET_TRIES = 3


def watch(now: datetime) -> tuple[int, int]:
    """Open an incident for each log that its database must keep for too long, resolve those that are read again.

    Returns (opened, resolved).
    """
    wrong: dict[str, tuple[LogWatch, str]] = {}
    for row in LogWatch.objects.select_related("source").defer("source__secrets"):
        if sentence := _trouble(row, now):
            wrong[_fingerprint(row.source.slug)] = (row, sentence)
    open_ones = dict(
        Incident.objects.open().filter(fingerprint__startswith=_fingerprint("")).values_list("fingerprint", "sentence")
    )
    opened = 0
    for fingerprint, (row, sentence) in wrong.items():
        affected = [f"The disk of the database behind {row.source.name}."]
        if fingerprint not in open_ones:
            incidents.report(
                kind=Incident.Kind.SYNC,
                fingerprint=fingerprint,
                title=f"The log of {row.source.name} is not being read",
                sentence=sentence,
                detail=f"slot {row.slot}, confirmed {row.confirmed or 'nothing'}, measured {row.measured_at:%Y-%m-%d %H:%M} UTC",
                affected=affected,
                path=row.source.get_absolute_url(),
                source=row.source,
            )
            opened += 1
        elif open_ones[fingerprint] != sentence:
            incidents.refresh(fingerprint, sentence=sentence, affected=affected)
    resolved = 0
    for fingerprint in open_ones.keys() - wrong.keys():
        resolved += incidents.resolve(fingerprint, "The database's log is read again, or nothing is kept any more.")
    return opened, resolved


def _fingerprint(slug: str) -> str:
    return f"log:{slug}"


def _trouble(row: LogWatch, now: datetime) -> str:
    name = row.source.name
    if row.is_lost:
        return (
            f"The replication slot “{row.slot}” of {name} is gone or was invalidated: the database no longer keeps the "
            "changes that were not read yet. The next sync makes a new one and reads the tables whole."
        )
    kept = max(row.kept_bytes or 0, row.lag_bytes or 0)
    ways = (
        "Sync it, or, if it is not wanted any more, delete the source or choose “by a column” under Changes: both drop "
        "the slot."
    )
    if kept > settings.LOG_KEPT_BYTES:
        return (
            f"The database behind {name} has to keep {filesizeformat(kept)} of its log until it is read here, which fills "
            f"its disk. {ways}"
        )
    behind = now - (row.read_up_to or row.measured_at)
    if kept > settings.LOG_STUCK_BYTES and behind > settings.LOG_STUCK_AFTER:
        return (
            f"The log of {name} was not read for {duration(behind)}, and its database keeps {filesizeformat(kept)} of it "
            f"meanwhile, which fills its disk. {ways}"
        )
    return ""


# --- after a sync -------------------------------------------------------------------------------------------------------
def after_sync(source: Source) -> bool:
    """Tell that changes were missed, once; or that it is mended. Whether there is mail to send."""
    row = LogWatch.objects.filter(source=source).first()
    if row is None:
        return False
    fingerprint = f"log-lost:{source.slug}"
    if row.has_lost_changes:
        incidents.report(
            kind=Incident.Kind.SYNC,
            fingerprint=fingerprint,
            title=f"Changes of {source.name} were missed",
            sentence=row.told[0] if row.told else "The replication slot was lost, and the tables were read whole.",
            affected=[
                f"{source.name}: the rows are right again; what was changed twice in between was seen only as it ended."
            ],
            path=source.get_absolute_url(),
            source=source,
        )
        return True
    return incidents.resolve(
        fingerprint, f"The tables of {source.name} were read whole, and its log is followed again."
    )


# --- letting go ---------------------------------------------------------------------------------------------------------
def after_task(task: LogTask, error: PortalError | None) -> bool:
    """Tell that a slot could not be dropped, or that it is gone at last. Whether there is mail to send."""
    if task.kind != LogTask.Kind.LET_GO:
        return False
    if error is None:
        return incidents.resolve(_task_fingerprint(task), task.sentence)
    if task.status == RunStatus.QUEUED and task.claims < QUIET_TRIES:
        return False
    report_task(task, error)
    return True


def report_task(task: LogTask, error: PortalError) -> None:
    if task.kind != LogTask.Kind.LET_GO:
        return
    slot = task.slot or f"data_portal_{task.slug}"
    incidents.report(
        kind=Incident.Kind.SYNC,
        fingerprint=_task_fingerprint(task),
        title=f"The replication slot of {task.name} could not be dropped",
        sentence=(
            f"{error.sentence} Until it is gone the database keeps its log for us, which fills its disk. Whoever runs it "
            f"can run: SELECT pg_drop_replication_slot('{slot}');"
        ),
        detail=error.detail,
        affected=[f"The disk of the database that was behind {task.name}."],
        source=task.source,
    )


def _task_fingerprint(task: LogTask) -> str:
    return f"log-drop:{task.slug}:{task.slot}"
