"""A sync run while it goes on and after: stages, rows a stream, attempts, and what happened when."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from portal.runs import RunStatus, Trigger
from portal.text import listed
from portal.views.access import may, require
from portal.views.live import Region, region
from portal.views.sources import RunLine
from portal.views.stages import chain_of_sync, stage_events, sync_events
from sources.models import Attempt, StreamSync, SyncRun
from sources.syncs import outstanding, request_sync, rows_brought

REFRESH_SECONDS = 2


@dataclass(frozen=True)
class StreamLine:
    """How one stream fares in the latest attempt. `rows` is None as long as nothing was heard of it."""

    name: str
    label: str
    state: str
    rows: int | None
    seconds: float | None
    sentence: str


def stream_lines(run: SyncRun, attempts: list[Attempt]) -> list[StreamLine]:
    """Every stream that was asked for, and any other that brought rows, in a stable order: as its last attempt left it."""
    streams = run.source.streams.enabled()
    if run.streams:
        streams = streams.filter(name__in=run.streams)
    labels = {stream.name: str(stream) for stream in streams.only("name", "label")}
    rows = rows_brought(attempts)
    told = StreamSync.objects.filter(attempt__in=attempts).select_related("stream").order_by("attempt__number")
    done = {each.stream.name: each for each in told}
    last = attempts[-1] if attempts else None
    under_way = set(last.rows) if last is not None and last.status == Attempt.Status.RUNNING else set()
    lines = []
    sync: StreamSync | None
    for name in sorted({*labels, *rows, *done}):
        sync = None if name in under_way else done.get(name)
        if sync is not None:
            state = "succeeded" if sync.is_ok else "failed"
        else:
            state = "running" if name in under_way else "waiting"
        lines.append(
            StreamLine(
                name=name,
                label=labels.get(name, name),
                state=state,
                rows=sync.rows if sync is not None and sync.is_ok else rows.get(name),
                seconds=sync.seconds if sync is not None else None,
                sentence=sync.failure_sentence if sync is not None else "",
            )
        )
    return lines


@dataclass(frozen=True)
class AttemptLine:
    """One attempt and, by their labels, what it asked for and what it did not get."""

    attempt: Attempt
    asked: str
    failed: str


def attempt_lines(run: SyncRun, attempts: list[Attempt]) -> list[AttemptLine]:
    labels = {stream.name: str(stream) for stream in run.source.streams.only("name", "label")}
    failed: dict[int, list[str]] = {}
    for number, name in StreamSync.objects.filter(attempt__in=attempts, is_ok=False).values_list(
        "attempt__number", "stream__name"
    ):
        failed.setdefault(number, []).append(labels[name])
    return [
        AttemptLine(
            attempt,
            listed([labels.get(name, name) for name in attempt.streams]),
            listed(sorted(failed.get(attempt.number, []))),
        )
        for attempt in attempts
    ]


def _region(request: HttpRequest, run: SyncRun) -> tuple[Region, dict[str, object]]:
    now = timezone.now()
    attempts = list(run.attempts.order_by("number"))
    chain = chain_of_sync(run, attempts, now)
    events = sync_events(run, attempts) + stage_events(chain.stages)
    context = {
        "now": now,
        "run": run,
        "line": RunLine(run, attempts),
        "attempts": attempts,
        "chain": chain,
        "attempt_lines": attempt_lines(run, attempts),
        "streams": stream_lines(run, attempts),
        "events": sorted(events, key=lambda event: event.at),
    }
    shown = region(
        request,
        "run",
        "partials/_run.html",
        context,
        address=reverse("run_live", args=[run.pk]),
        every=None if chain.is_over else REFRESH_SECONDS,
    )
    return shown, context


def _get(pk: int) -> SyncRun:
    return get_object_or_404(SyncRun.objects.select_related("source"), pk=pk)


@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    run = _get(pk)
    shown, context = _region(request, run)
    may_retry = run.status == RunStatus.FAILED and may(request, "sources.change_source")
    missing = outstanding(run) if may_retry else []
    return render(request, "run.html", {**context, "region": shown.html, "missing": missing})


@require_POST
@require("sources.change_source")
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Sync what a failed run did not bring, and nothing else."""
    run = _get(pk)
    missing = outstanding(run) if run.status == RunStatus.FAILED else []
    if not missing:
        messages.info(request, "Nothing of this run is missing.")
        return redirect(run)
    started = request_sync(run.source, Trigger.RETRY, streams=missing)
    if started is not None:
        messages.success(request, f"A sync of {listed(missing)} is queued.")
        return redirect(started)
    messages.info(request, f"{run.source.name} is being synced already; this is that run.")
    return redirect(run.source.runs.active().first() or run)


@require_safe
def live(request: HttpRequest, pk: int) -> HttpResponse:
    return _region(request, _get(pk))[0].answer(request)
