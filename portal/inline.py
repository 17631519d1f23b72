"""The pipeline carried out at once, in this process, without a broker. The same rows, functions and rules as with one."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from metrics import builds
from metrics.models import Build
from portal import pipeline
from portal.models import Publication
from portal.pipeline import Step
from portal.runs import RunStatus, Trigger
from quality import notifications
from quality.models import Outcome, Scan
from sources.models import Source, SyncRun
from sources.syncs import request_sync, rows_brought

# Between looks at a run that another process is working on.
_POLL_SECONDS = 0.2

EXIT_PUBLISHED, EXIT_FAILED, EXIT_HELD = 0, 1, 3


@dataclass
class Report:
    """What one pipeline did, in the shape that `manage.py pipeline --json` prints."""

    syncs: list[dict[str, Any]] = field(default_factory=list)
    build: dict[str, Any] = field(
        default_factory=lambda: {"status": "skipped", "models": 0, "tests": 0, "seconds": 0.0}
    )
    scan: dict[str, Any] = field(
        default_factory=lambda: {"checks": 0, "passed": 0, "warned": 0, "failed": 0, "errored": 0, "seconds": 0.0}
    )
    publication: dict[str, Any] = field(default_factory=lambda: {"status": "held", "reasons": []})
    exit_code: int = EXIT_PUBLISHED

    def as_dict(self) -> dict[str, Any]:
        return {"syncs": self.syncs, "build": self.build, "scan": self.scan, "publication": self.publication}


def run(sources: Iterable[Source], *, full_build: bool = False) -> Report:
    """Sync these sources, then build, scan and publish what came of it.

    Nothing new means nothing to build: the last publication stands. A publication that is held is looked at again.
    """
    report = Report()
    for source in sources:
        report.syncs.append(_sync(source))
    _carry_out(_first_step(full_build), report)
    notifications.deliver_due(timezone.now())
    _conclude(report)
    return report


def _sync(source: Source) -> dict[str, Any]:
    began = time.monotonic()
    run = request_sync(source, Trigger.MANUAL, send=False) or source.runs.active().first()
    while run is not None and run.is_active:
        pipeline.sync(run.pk)
        run.refresh_from_db()
        if run.is_active:  # waits for its next attempt, or another process is at it
            time.sleep(_POLL_SECONDS)
            run.refresh_from_db()
    if run is None:  # it ended between the two looks: then that one brought the news
        run = source.runs.latest("pk")
    attempts = list(run.attempts.order_by("number"))
    entry = {
        "source": source.slug,
        "status": run.status,
        "attempts": len(attempts),
        "rows": rows_brought(attempts),
        "seconds": round(time.monotonic() - began, 3),
    }
    if run.failure_sentence and run.status == RunStatus.FAILED:
        entry["sentence"] = run.failure_sentence
    return entry


def _first_step(full_build: bool) -> Step | None:
    if full_build:
        waiting = builds.request_build(Trigger.MANUAL)
        Build.objects.filter(pk=waiting.pk).update(trigger=Trigger.MANUAL)
        return Step("run_build", waiting.pk)
    if SyncRun.objects.filter(awaits_build=True).exists() or not Publication.objects.exclude(outcome="").exists():
        return Step("run_build", builds.request_build().pk)
    return next(iter(pipeline.reconsider()), None)


def _carry_out(step: Step | None, report: Report) -> None:
    """Follow the chain from `step` until its publication is decided."""
    while step is not None:
        following: list[Step] = []
        if step.task == "run_build":
            following = _build(step.pk, report)
        elif step.task == "run_scan":
            following = pipeline.scan(step.pk)
            _describe_scan(step.pk, report)
        elif step.task == "run_publication":
            pipeline.publish(step.pk)
        step = next((item for item in following if item.task in {"run_scan", "run_publication"}), None)


def _build(pk: int, report: Report) -> list[Step]:
    following = pipeline.build(pk)
    while not following:
        # A chain that was on its way goes first, or another process has taken this build: wait for it.
        row = Build.objects.get(pk=pk)
        if not row.is_active:
            break
        time.sleep(_POLL_SECONDS)
        following = pipeline.build(pk)
    row = Build.objects.get(pk=pk)
    report.build = {
        "status": row.status,
        "models": row.models_built,
        "tests": row.tests_run,
        "seconds": round(row.seconds, 3),
    }
    if row.failure_sentence:
        report.build["sentence"] = row.failure_sentence
    return following


def _describe_scan(pk: int, report: Report) -> None:
    row = Scan.objects.get(pk=pk)
    counts = row.results.aggregate(
        checks=Count("pk"),
        **{
            name: Count("pk", filter=Q(outcome=outcome))
            for name, outcome in {
                "passed": Outcome.PASS,
                "warned": Outcome.WARN,
                "failed": Outcome.FAIL,
                "errored": Outcome.ERROR,
                "learning": Outcome.LEARNING,
            }.items()
        },
    )
    report.scan = {**counts, "seconds": round(row.seconds, 3)}


def _conclude(report: Report) -> None:
    latest = Publication.objects.exclude(outcome="").order_by("-pk").first()
    if latest is not None:
        report.publication = {"status": latest.outcome, "reasons": latest.reasons}
        if latest.kept:
            report.publication["kept"] = sorted(latest.kept)
    unpublished = Publication.objects.order_by("-pk").first()
    failed = (
        any(entry["status"] != RunStatus.SUCCEEDED for entry in report.syncs)
        or report.build["status"] == RunStatus.FAILED
        or (unpublished is not None and unpublished.status == RunStatus.FAILED)
    )
    if failed:
        report.exit_code = EXIT_FAILED
    elif latest is None or latest.outcome != Publication.Outcome.PUBLISHED:
        report.exit_code = EXIT_HELD
