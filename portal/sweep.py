"""Once a minute: notice what nobody else would. Silence is the failure this module exists for.

lost runs           a worker vanished: queue its run again, or ask a person after too many tries
waiting runs        their message was lost: send it again (a claim makes a double harmless)
missed schedules    the scheduler did not fire: start the sync, once
waiting wishes      a stream shall be read again, and its source was busy then: start the sync
changed columns     an incident is open as long as a person has to decide
broken promises     data that got too old opens an incident
followed logs       one that a database has to keep for too long opens an incident
held publications   look again when a check was edited since
mail                what is due is sent
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from metrics import switches
from metrics.models import Build, SwitchPreview
from portal import pipeline
from portal.failures import TransientError
from portal.models import Beacon, Publication
from portal.pipeline import MAIL, Step
from quality import column_watch, freshness, incidents, logs
from quality.models import Incident, Scan
from sources import logs as source_logs
from sources import probes, rereads, syncs
from sources.models import LogTask, Probe, Source, SyncRun

# A message that was sent this long ago and not acted upon may have been lost with the broker.
RESEND_AFTER = timedelta(seconds=30)

STAGES: dict[Any, str] = {
    SyncRun: "run_sync",
    Build: "run_build",
    Scan: "run_scan",
    Publication: "run_publication",
    Probe: "run_probe",
    LogTask: "run_log_task",
    SwitchPreview: "run_switch_preview",
}


def sweep(now: datetime) -> list[Step]:
    """Do the minute's round; returns the messages to send."""
    Beacon.objects.update_or_create(name="beat", defaults={"seen_at": now})
    steps: list[Step] = []
    for model, task in STAGES.items():
        steps += [Step(task, pk) for pk in recover_lost(model, now)]
        waiting = model.objects.due(now).filter(queued_at__lte=now - RESEND_AFTER).values_list("pk", flat=True)
        steps += [Step(task, pk) for pk in waiting]
    for source in Source.objects.scheduled():
        # Only after a grace: the scheduler itself is the one that should start it.
        if run := syncs.start_if_due(source, now - settings.SCHEDULE_GRACE, send=False):
            steps.append(Step("run_sync", run.pk))
    steps += [Step("run_sync", run.pk) for run in rereads.start_waiting(send=False)]
    freshness.watch_promises(now)
    column_watch.watch_columns()
    source_logs.look(now)
    logs.watch(now)
    incidents.resolve_retired()
    steps += pipeline.reconsider_edited()
    probes.purge(now)
    switches.purge(now)
    return [*steps, MAIL]


def recover_lost(model: Any, now: datetime) -> list[int]:
    """Queue lost runs of `model` again; a run that keeps losing its workers fails, and a person is told.

    Returns the primary keys of the runs that are queued again.
    """
    recovered = []
    for run in model.objects.lost(now):
        if run.claims < settings.RUN_MAX_CLAIMS:
            if _put_back(model, run.pk):
                recovered.append(run.pk)
            continue
        error = TransientError(
            f"The workers that took this on vanished {run.claims} times; it is not tried again by itself.",
            "No heartbeat. Look at the workers' log and at the memory of the machine.",
            kind="lost",
        )
        if not model.objects.fail(run.pk, error):
            continue
        run.refresh_from_db()
        if isinstance(run, SyncRun):
            syncs.mark_lost(run)
            pipeline.report_failed_sync(run)
        elif isinstance(run, LogTask):
            logs.report_task(run, error)
        elif not isinstance(run, Probe | SwitchPreview):
            incidents.report(
                kind=Incident.Kind.PUBLICATION,
                fingerprint=f"lost:{model._meta.model_name}",
                title=f"{run} was given up",
                sentence=error.sentence,
                detail=error.detail,
                affected=["Nothing new is published; pages keep the last good data."],
            )

    return recovered


def _put_back(model: Any, pk: int) -> bool:
    try:
        with transaction.atomic():
            return bool(model.objects.put_back(pk))
    except IntegrityError:  # another build waits already; it covers what this one would have done
        model.objects.abandon(pk)
        return False
