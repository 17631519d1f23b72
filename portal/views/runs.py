"""A sync run while it goes on and after: stages, rows a stream, attempts, and what happened when."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from portal.views.live import Region, region
from portal.views.sources import RunLine
from portal.views.stages import chain_of_sync, stage_events, sync_events
from sources.models import Attempt, StreamSync, SyncRun

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


def stream_lines(run: SyncRun, attempt: Attempt | None) -> list[StreamLine]:
    """Every stream that was asked for, and any other that brought rows, in a stable order."""
    streams = run.source.streams.enabled()
    if run.streams:
        streams = streams.filter(name__in=run.streams)
    labels = {stream.name: str(stream) for stream in streams.only("name", "label")}
    rows = attempt.rows if attempt else {}
    done: dict[str, StreamSync] = {}
    if attempt is not None:
        done = {sync.stream.name: sync for sync in attempt.stream_syncs.select_related("stream")}
    is_running = attempt is not None and attempt.status == Attempt.Status.RUNNING
    lines = []
    for name in sorted({*labels, *rows, *done}):
        sync = done.get(name)
        if sync is not None:
            state = "succeeded" if sync.is_ok else "failed"
        else:
            state = "running" if is_running and name in rows else "waiting"
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
        "streams": stream_lines(run, attempts[-1] if attempts else None),
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
    shown, context = _region(request, _get(pk))
    return render(request, "run.html", {**context, "region": shown.html})


@require_safe
def live(request: HttpRequest, pk: int) -> HttpResponse:
    return _region(request, _get(pk))[0].answer(request)
