"""The only module that knows the order: sync → build → scan → publish.

Each stage is a row and a function here that takes its primary key, does nothing if somebody else has claimed the row,
and returns the steps that follow. Whoever calls sends those on: `portal.tasks` as messages, `portal.inline` by
calling.

    sync         rows into raw_<source>; new data asks for a build
    build        dbt, downstream of what changed since the last good build; one at a time, syncs share it
    scan         checks on what the build touched
    publication  the gate: published for everybody, or held with reasons; when dbt models broke, what stands below them
                 stays as it was published (`portal.parts`)

A build does not start while a scan or a publication is on its way: what is published is what was scanned.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from metrics import builds, lineage, switches
from metrics.models import Build, SwitchPreview
from portal import restatements
from portal.failures import PortalError, as_portal_error
from portal.models import Publication, Restatement
from portal.parts import Parts, origins, parts_of
from portal.runs import RunStatus, Trigger, heartbeat
from portal.warehouse import get_warehouse
from quality import column_watch, dbt_checks, incidents, logs, results, scans
from quality.models import Incident, Scan
from sources import logs as source_logs
from sources import probes, rereads, syncs
from sources.engines.base import HELD
from sources.models import LogTask, Probe, SyncRun


@dataclass(frozen=True)
class Step:
    """The next message: a task of `portal.tasks` and the primary key of its row (0 for none)."""

    task: str
    pk: int
    delay: timedelta | None = None


MAIL = Step("deliver_mail", 0)


# --- sync -----------------------------------------------------------------------------------------------------------
def sync(pk: int) -> list[Step]:
    if not SyncRun.objects.claim(pk):
        return []
    run = SyncRun.objects.select_related("source", "source__owner").get(pk=pk)
    outcome = syncs.perform(run)
    run.refresh_from_db()
    steps = _after_failed_sync(run) if outcome is None else _after_good_sync(run)
    if column_watch.watch_columns(run.source):
        steps.append(MAIL)
    if run.awaits_build:
        steps.append(Step("run_build", builds.request_build().pk))
    if not run.is_active:  # what was asked for while it was busy
        steps += [Step("run_sync", next_run.pk) for next_run in rereads.start_waiting([run.source], send=False)]
    return steps


def _after_good_sync(run: SyncRun) -> list[Step]:
    sentence = f"{run.source.name} was synced again without trouble."
    is_told = logs.after_sync(run.source)
    return [MAIL] if incidents.resolve(_sync_fingerprint(run), sentence) or is_told else []


def _after_failed_sync(run: SyncRun) -> list[Step]:
    if run.status == RunStatus.QUEUED and run.not_before is not None:
        return [Step("run_sync", run.pk, run.not_before - timezone.now())]
    if run.status != RunStatus.FAILED:
        return []
    if run.failure_kind == HELD:
        # Nothing is broken: it waits for a person, of which an incident of its own tells.
        incidents.resolve(_sync_fingerprint(run), f"{run.source.name} can be read again; some of it is held.")
        return [MAIL]
    report_failed_sync(run)
    logs.after_sync(run.source)
    return [MAIL]


def report_failed_sync(run: SyncRun) -> None:
    """Open (or count) the incident of a sync that nobody tries any more."""
    source = run.source
    attempts = run.attempts.count()
    incidents.report(
        kind=Incident.Kind.SYNC,
        fingerprint=_sync_fingerprint(run),
        title=f"{source.name} could not be synced",
        sentence=run.failure_sentence,
        detail=run.failure_detail,
        affected=[
            f"{source.name}: no new rows since its last good sync ({attempts} "
            f"{'attempt' if attempts == 1 else 'attempts'} failed).",
            *_downstream_of(source.dataset),
        ],
        path=run.get_absolute_url(),
        source=source,
    )


def _sync_fingerprint(run: SyncRun) -> str:
    return f"sync:{run.source.slug}"


def _downstream_of(dataset: str) -> list[str]:
    """In words, what is computed from the tables of a source."""
    found = lineage.graph()
    return lineage.affected_by(lineage.raw_tables(dataset, found), found)


def log_task(pk: int) -> list[Step]:
    if not LogTask.objects.claim(pk):
        return []
    task = LogTask.objects.get(pk=pk)
    error = source_logs.perform(task)
    task.refresh_from_db()
    if logs.after_task(task, error):
        return [MAIL]
    if task.status == RunStatus.QUEUED and task.not_before is not None:
        return [Step("run_log_task", task.pk, task.not_before - timezone.now())]
    return []


def probe(pk: int) -> list[Step]:
    if Probe.objects.claim(pk):
        probes.perform(Probe.objects.get(pk=pk))
    return []


def switch_preview(pk: int) -> list[Step]:
    if SwitchPreview.objects.claim(pk):
        switches.perform(SwitchPreview.objects.get(pk=pk))
    return []


# --- build ----------------------------------------------------------------------------------------------------------
def build(pk: int) -> list[Step]:
    with transaction.atomic():
        # The chain before it must be through: its scan would look at half of this build's work.
        if Scan.objects.active().exists() or Publication.objects.active().exists():
            return []
        if not Build.objects.claim(pk):
            return []
    row = Build.objects.get(pk=pk)
    outcome = builds.perform(row, without_tests=dbt_checks.switched_off())
    row.refresh_from_db()
    if outcome is not None:
        dbt_checks.record(row, builds.documentation())
    _report_build(row)
    if row.status != RunStatus.SUCCEEDED and not row.broke_in_part:
        publication = Publication.objects.create(build=row, trigger=Trigger.UPSTREAM)
        return [MAIL, Step("run_publication", publication.pk)]
    scan_row = Scan.objects.create(build=row, datasets=_unscanned(row), trigger=Trigger.UPSTREAM)
    return [MAIL, Step("run_scan", scan_row.pk)]


def _unscanned(build_row: Build) -> list[str]:
    """What this build touched, what earlier builds touched whose publication was never decided, and new checks."""
    decided = (
        Publication.objects.exclude(outcome="").filter(build__pk__lt=build_row.pk).values_list("build_id", flat=True)
    )
    last_decided = decided.order_by("-build_id").first() or 0
    touched = set(scans.waiting_datasets())
    for names in Build.objects.filter(pk__gt=last_decided, pk__lte=build_row.pk).values_list("touched", flat=True):
        touched |= set(names)
    return sorted(touched)


def _report_build(row: Build) -> None:
    """One incident for a build that broke off, resolved by the next good one."""
    if row.status != RunStatus.FAILED:
        incidents.resolve("build", "The metrics were built again without trouble.")
        return
    incidents.report(
        kind=Incident.Kind.BUILD,
        fingerprint="build",
        title="The metrics could not be built",
        sentence=row.failure_sentence,
        detail=row.failure_detail,
        affected=[
            f"Not rebuilt: {node.name}."
            for node in row.nodes.exclude(resource_type="test").filter(status__in=["error", "skipped"])[:20]
        ],
        path=row.get_absolute_url(),
    )


# --- scan -----------------------------------------------------------------------------------------------------------
def scan(pk: int) -> list[Step]:
    if not Scan.objects.claim(pk):
        return []
    row = Scan.objects.select_related("build").get(pk=pk)
    try:
        with heartbeat(Scan.objects.all(), pk):
            summary = scans.perform(row)
    except Exception as error:  # whatever it was, it must reach the row, and the gate stays shut
        failure = as_portal_error(error)
        Scan.objects.fail(pk, failure)
        _report_broken("scan", "The checks could not be run", failure, row.build)
    else:
        Scan.objects.succeed(pk, seconds=summary.seconds)
        incidents.resolve("scan", "The checks ran again.")
    if row.build is None:  # a look at the data on its own: nothing to decide
        return [MAIL]
    publication = Publication.objects.create(build=row.build, scan=row, trigger=Trigger.UPSTREAM)
    return [MAIL, Step("run_publication", publication.pk)]


def _report_broken(stage: str, title: str, failure: PortalError, build_row: Build | None) -> None:
    incidents.report(
        kind=Incident.Kind.PUBLICATION,
        fingerprint=stage,
        title=title,
        sentence=failure.sentence,
        detail=failure.detail,
        affected=["Nothing new is published; pages keep the last good data."],
        path=build_row.get_absolute_url() if build_row else "/",
    )


# --- publication ----------------------------------------------------------------------------------------------------
def publish(pk: int) -> list[Step]:
    if not Publication.objects.claim(pk):
        return []
    row = Publication.objects.select_related("build", "scan").get(pk=pk)
    warehouse = get_warehouse()
    steps = [MAIL]
    try:
        with heartbeat(Publication.objects.all(), pk), warehouse.writer():
            current = Publication.objects.current()
            parts = parts_of(row.build, current)
            reasons = reasons_to_hold(row, parts)
            if reasons:
                Publication.objects.succeed(pk, outcome=Publication.Outcome.HELD, reasons=reasons)
            else:
                before = current.location if current else ""
                there = set(warehouse.columns(before)) if before and parts.kept else set()
                kept = origins(parts.kept, current, there)
                # The new version is complete before its location is written; a reader sees the old or the new.
                location = warehouse.publish(f"{pk:08d}", kept=kept, kept_from=before if there else "")
                history = restatements.observe(warehouse, row, location)
                with transaction.atomic():
                    Publication.objects.succeed(
                        pk,
                        outcome=Publication.Outcome.PUBLISHED,
                        location=location,
                        kept=kept,
                        history_note=history.note,
                    )
                    Restatement.objects.bulk_create(history.rows)
                for trouble in ("publication", "lost:build", "lost:scan", "lost:publication"):
                    incidents.resolve(trouble, "A newer version was published.")
                _discard_old()
    except Exception as error:  # whatever it was, it must reach the row
        failure = as_portal_error(error)
        Publication.objects.fail(pk, failure)
        _report_broken("publication", "The new numbers could not be published", failure, row.build)
    if waiting := Build.objects.filter(status=RunStatus.QUEUED).first():
        steps.append(Step("run_build", waiting.pk))
    return steps


def reasons_to_hold(row: Publication, parts: Parts) -> list[str]:
    """Every reason to publish nothing, as sentences; [] opens the gate for all but what `parts` keeps."""
    if row.scan is None and parts.refusal:
        return [parts.refusal]
    reasons = [parts.refusal] if parts.refusal else []
    if row.scan is None or row.scan.status != RunStatus.SUCCEEDED:
        reasons.append("The checks could not be run, so nobody knows whether the data is right.")
    newer = Build.objects.filter(pk__gt=row.build_id, started_at__isnull=False).order_by("-pk").first()
    if newer is not None:
        reasons.append(f"A newer build ({newer.pk}) has changed the data since the checks ran; its own scan decides.")
    return reasons + results.standing_holds()


def _discard_old() -> None:
    """Keep the last `PUBLICATIONS_KEPT` versions readable."""
    versions = Publication.objects.published().exclude(location="").order_by("-pk")
    kept = list(versions.values_list("location", flat=True)[: settings.PUBLICATIONS_KEPT])
    get_warehouse().discard_unpublished(kept)
    Publication.objects.exclude(location="").exclude(location__in=kept).update(location="")


def reconsider() -> list[Step]:
    """Look again without new data: at a publication that was held (the checks may have been mended, or the data may
    pass by now), and at checks that were written or edited since they were last carried out.

    Returns the step that starts the new scan (or build), [] when there is nothing to reconsider.
    """
    latest = Publication.objects.exclude(outcome="").order_by("-pk").select_related("build").first()
    if latest is None or _chain_is_active():
        return []
    is_held = latest.outcome == Publication.Outcome.HELD
    # What dbt has to look at again, and what it left as it was, takes a build.
    is_unbuilt = latest.build.status != RunStatus.SUCCEEDED or latest.build.tests_failed > 0
    if is_held and (is_unbuilt or SyncRun.objects.filter(awaits_build=True).exists()):
        return [Step("run_build", builds.request_build(Trigger.RETRY).pk)]
    waiting = scans.waiting_datasets()
    if not is_held and not waiting:
        return []
    row = Scan.objects.create(build=latest.build, datasets=[] if is_held else waiting, trigger=Trigger.RETRY)
    return [Step("run_scan", row.pk)]


def reconsider_edited() -> list[Step]:
    """The same once a minute: only when somebody wrote or edited a check, so that a hold is not scanned for ever."""
    return reconsider() if scans.waiting_datasets() else []


def _chain_is_active() -> bool:
    return any(model.objects.active().exists() for model in (Build, Scan, Publication))
