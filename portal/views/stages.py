"""The chain sync → build → scan → publish as pages show it: four stages and a timeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count

from metrics.models import Build
from portal.models import Publication
from portal.runs import Run, RunStatus
from portal.text import duration, plural
from quality.models import Outcome, Scan
from sources.models import Attempt, SyncRun
from sources.syncs import rows_brought

# How long a page still looks for the next stage after the one before it has ended.
NEXT_STAGE_WITHIN = timedelta(minutes=2)


@dataclass(frozen=True)
class Stage:
    """`state` is a badge's word. `row` is None when the stage has not come, or will not."""

    name: str
    title: str
    state: str
    sentence: str = ""
    row: Run | None = None

    @property
    def is_active(self) -> bool:
        return self.row is not None and self.row.is_active


@dataclass(frozen=True)
class Event:
    at: datetime
    tone: str
    sentence: str
    detail: str = ""


@dataclass(frozen=True)
class Chain:
    stages: list[Stage]
    builds: list[Build]
    is_over: bool

    @property
    def build(self) -> Build | None:
        return self.builds[-1] if self.builds else None


def chain_of_sync(run: SyncRun, attempts: list[Attempt], now: datetime) -> Chain:
    """What became of one sync. Three or four queries."""
    builds = list(run.builds.order_by("pk"))
    queued = Build.objects.active().order_by("-pk").first() if run.awaits_build and not builds else None
    build = builds[-1] if builds else queued
    sync = Stage("sync", "Sync", sync_state(run, attempts), _sync_sentence(run, attempts), run)
    if run.status in (RunStatus.FAILED, RunStatus.CANCELLED):
        rest = [Stage(name, title, "skipped") for name, title in _AFTER_SYNC]
    elif run.status == RunStatus.SUCCEEDED and not run.has_new_data:
        rest = [Stage(name, title, "nothing_new") for name, title in _AFTER_SYNC]
    else:
        rest = after_sync(build)
    return Chain([sync, *rest], builds, is_over([sync, *rest], now))


_AFTER_SYNC = (("build", "Build"), ("scan", "Scan"), ("publish", "Publish"))


def after_sync(build: Build | None) -> list[Stage]:
    """Build, scan and publication of one build; two queries."""
    if build is None:
        return [Stage(name, title, "waiting") for name, title in _AFTER_SYNC]
    scan = build.scans.order_by("-pk").first()
    publication = build.publications.order_by("-pk").first()
    return [
        Stage("build", "Build", _build_state(build), _build_sentence(build), build),
        _scan_stage(scan, build),
        _publish_stage(publication),
    ]


def sync_state(run: SyncRun, attempts: list[Attempt]) -> str:
    return "retrying" if run.status == RunStatus.QUEUED and attempts else run.status


def _sync_sentence(run: SyncRun, attempts: list[Attempt]) -> str:
    if run.status == RunStatus.FAILED:
        return run.failure_sentence
    if not attempts:
        return ""
    rows = sum(rows_brought(attempts).values())
    if run.status == RunStatus.SUCCEEDED and not run.has_new_data:
        return "Nothing new."
    return f"{plural(rows, 'row')}{' so far' if run.is_active else ''}"


def _build_state(build: Build) -> str:
    return "found_failures" if build.status == RunStatus.SUCCEEDED and build.tests_failed else build.status


def _build_sentence(build: Build) -> str:
    if build.status == RunStatus.FAILED:
        return build.failure_sentence
    if build.status != RunStatus.SUCCEEDED:
        return ""
    failed = f", {build.tests_failed} failed" if build.tests_failed else ""
    return f"{plural(build.models_built, 'model')}, {plural(build.tests_run, 'test')}{failed}"


def _scan_stage(scan: Scan | None, build: Build) -> Stage:
    if scan is None:
        return Stage("scan", "Scan", "skipped" if build.status == RunStatus.FAILED else "waiting")
    if scan.status != RunStatus.SUCCEEDED:
        return Stage("scan", "Scan", scan.status, scan.failure_sentence, scan)
    counts = dict(scan.results.order_by().values_list("outcome").annotate(Count("pk")))
    return Stage("scan", "Scan", _scan_state(counts), _scan_sentence(counts), scan)


def _scan_state(counts: dict[str, int]) -> str:
    """A scan that ran to its end is only as good as what it found."""
    if counts.get(Outcome.FAIL) or counts.get(Outcome.ERROR):
        return "found_failures"
    return "found_warnings" if counts.get(Outcome.WARN) else RunStatus.SUCCEEDED.value


def _scan_sentence(counts: dict[str, int]) -> str:
    if not counts:
        return "No check looks at this."
    bad = [
        f"{counts[outcome]} {words}"
        for outcome, words in (
            (Outcome.FAIL, "failed"),
            (Outcome.ERROR, "could not be checked"),
            (Outcome.WARN, "warned"),
            (Outcome.LEARNING, "still learning"),
        )
        if counts.get(outcome)
    ]
    return ", ".join([plural(sum(counts.values()), "check"), *bad])


def _publish_stage(publication: Publication | None) -> Stage:
    if publication is None:
        return Stage("publish", "Publish", "waiting")
    if publication.kept:
        sentence = f"{plural(len(publication.kept), 'mart is', 'marts are')} kept as published before"
        return Stage("publish", "Publish", "published_in_part", sentence, publication)
    sentence = publication.failure_sentence or " ".join(publication.reasons)
    return Stage("publish", "Publish", publication.outcome or publication.status, sentence, publication)


def is_over(stages: list[Stage], now: datetime) -> bool:
    """Whether nothing more will come: all decided, or nothing has moved for a while."""
    if any(stage.is_active for stage in stages):
        return False
    if not any(stage.state == "waiting" for stage in stages):
        return True
    ends = [stage.row.finished_at for stage in stages if stage.row and stage.row.finished_at]
    return not ends or now - max(ends) > NEXT_STAGE_WITHIN


def sync_events(run: SyncRun, attempts: Iterable[Attempt]) -> list[Event]:
    events = [Event(run.queued_at, "quiet", f"Sync asked for: {run.get_trigger_display().lower()}.")]
    for attempt in attempts:
        events.append(Event(attempt.started_at, "busy", f"Attempt {attempt.number} started."))
        if attempt.finished_at and attempt.status == Attempt.Status.SUCCEEDED:
            rows = plural(sum(attempt.rows.values()), "row")
            took = duration(attempt.finished_at - attempt.started_at)
            events.append(Event(attempt.finished_at, "good", f"Attempt {attempt.number} brought {rows} in {took}."))
        elif attempt.finished_at:
            events.append(
                Event(
                    attempt.finished_at,
                    "bad",
                    f"Attempt {attempt.number} failed: {attempt.failure_sentence}",
                    attempt.failure_detail,
                )
            )
    if run.finished_at and run.status == RunStatus.FAILED:
        events.append(Event(run.finished_at, "bad", "The sync was given up."))
    if run.finished_at and run.status == RunStatus.CANCELLED:
        events.append(Event(run.finished_at, "quiet", "The sync was cancelled before it started."))
    return events


def stage_events(stages: Iterable[Stage]) -> list[Event]:
    """Start and end of the stages after the sync."""
    events = []
    for stage in stages:
        row = stage.row
        if row is None or isinstance(row, SyncRun):
            continue
        if row.started_at:
            events.append(Event(row.started_at, "busy", f"{stage.title} started."))
        if row.finished_at:
            took = f" in {duration(row.duration)}"
            events.append(Event(row.finished_at, *_ending(stage, took)))
    return events


def _ending(stage: Stage, took: str) -> tuple[str, str, str]:
    detail = stage.row.failure_detail if stage.row else ""
    if stage.state in ("failed", "held"):
        verb = "Held" if stage.state == "held" else f"{stage.title} failed"
        return "bad", f"{verb}: {stage.sentence}", detail
    if stage.state == "published_in_part":
        return "warn", f"Published in part: {stage.sentence}.", ""
    if stage.state == "published":
        return "good", "Published for everybody.", ""
    tone = {"found_failures": "bad", "found_warnings": "warn"}.get(stage.state, "good")
    return tone, f"{stage.title} done{took}{': ' + stage.sentence if stage.sentence else ''}.", detail
