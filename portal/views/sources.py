"""A source: its state, its streams with their columns, every run and attempt, what is wrong and what hangs on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from metrics import lineage
from metrics.models import Dataset
from portal.overview import StreamRow
from portal.runs import RunStatus
from portal.views.access import may, require
from portal.views.live import Region, region
from quality.freshness import FAILING, WORST_FIRST, stream_freshness, worst
from quality.models import Incident
from sources import schedules
from sources.models import Attempt, SchemaChange, Source, Stream, SyncRun
from sources.syncs import request_sync, rows_brought

RUNS_A_PAGE = 20
NEXT_RUNS = 3
INCIDENTS_SHOWN = 5
CHANGES_SHOWN = 8
REFRESH_SECONDS, REFRESH_SECONDS_ACTIVE = 20, 3
FILTERS = {"all": "All", "failed": "Failed", "healed": "Healed by a retry", "new": "With new data"}


@dataclass(frozen=True)
class RunLine:
    """One run with what its attempts say together."""

    run: SyncRun
    attempts: list[Attempt]

    @property
    def state(self) -> str:
        return "retrying" if self.run.status == RunStatus.QUEUED and self.attempts else self.run.status

    @property
    def rows(self) -> int | None:
        """Rows of all its attempts; None before there was one."""
        return sum(rows_brought(self.attempts).values()) if self.attempts else None

    @property
    def healed_after(self) -> timedelta | None:
        """From the first failure to the success of a retry; None when no retry was needed or none helped."""
        if self.run.status != RunStatus.SUCCEEDED or len(self.attempts) < 2:
            return None
        failed_at, end = self.attempts[0].finished_at, self.run.finished_at
        return end - failed_at if failed_at and end else None


def stream_rows(source: Source, now: datetime) -> list[StreamRow]:
    """The enabled streams with their freshness, the worst first."""
    streams = {stream.pk: stream for stream in source.streams.enabled().prefetch_related("datasets")}
    found = stream_freshness(now, source.streams.enabled())
    rows = [StreamRow(streams[one.stream_id], one) for one in found if one.stream_id in streams]
    return sorted(rows, key=lambda row: (WORST_FIRST.index(row.freshness.state), row.stream.name))


def run_lines(runs: QuerySet[SyncRun]) -> list[RunLine]:
    return [RunLine(run, list(run.attempts.all())) for run in runs]


def _runs(source: Source, chosen: str) -> QuerySet[SyncRun]:
    runs = source.runs.order_by("-pk").prefetch_related("attempts")
    if chosen == "failed":
        return runs.filter(status=RunStatus.FAILED)
    if chosen == "healed":
        return runs.filter(status=RunStatus.SUCCEEDED).annotate(tries=Count("attempts")).filter(tries__gt=1)
    if chosen == "new":
        return runs.filter(has_new_data=True)
    return runs


def _shared_trouble(rows: list[StreamRow]) -> str:
    """The one reason for which all failing streams fail, said once; empty when there are several or none."""
    sentences = {row.freshness.last_sentence for row in rows if row.freshness.state == FAILING}
    return sentences.pop() if len(sentences) == 1 else ""


def _region(request: HttpRequest, source: Source) -> tuple[Region, dict[str, Any]]:
    now = timezone.now()
    chosen = request.GET.get("runs", "all")
    chosen = chosen if chosen in FILTERS else "all"
    page: Page[SyncRun] = Paginator(_runs(source, chosen), RUNS_A_PAGE).get_page(request.GET.get("page"))
    rows = stream_rows(source, now)
    active = source.runs.active().prefetch_related("attempts").first()
    context = {
        "now": now,
        "source": source,
        "state": worst({row.freshness.state for row in rows}) if source.is_enabled else "off",
        "rows": rows,
        "trouble": _shared_trouble(rows),
        "switched_off": source.streams.filter(is_enabled=False).count(),
        "schedule": schedules.in_words(source.schedule),
        "next_runs": schedules.next_runs(source.schedule, source.timezone, now, NEXT_RUNS) if source.is_enabled else [],
        "active": RunLine(active, list(active.attempts.all())) if active else None,
        "lines": [RunLine(run, list(run.attempts.all())) for run in page],
        "page": page,
        "filters": FILTERS,
        "chosen": chosen,
        "may_change": may(request, "sources.change_source"),
        "changes": SchemaChange.objects.filter(stream__source=source).select_related("stream", "decided_by")[
            :CHANGES_SHOWN
        ],
        "log": getattr(source, "log_watch", None),
        "incidents": Incident.objects.filter(source=source).order_by("-opened_at")[:INCIDENTS_SHOWN],
        **_built_from(source),
    }
    shown = region(
        request,
        "source",
        "partials/_source.html",
        context,
        address=reverse("source_live", args=[source.slug]),
        every=REFRESH_SECONDS_ACTIVE if active else REFRESH_SECONDS,
        keep=("runs", "page"),
    )
    return shown, context


def _built_from(source: Source) -> dict[str, Any]:
    """The marts that are computed from it, and what shows them."""
    graph = lineage.graph()
    below = graph.downstream(lineage.raw_tables(source.dataset, graph))
    marts = [
        dataset for name, dataset in graph.datasets.items() if name in below and dataset.layer == Dataset.Layer.MART
    ]
    return {"downstream": marts, "shown_in": graph.shown_in(below)}


def _get(slug: str) -> Source:
    return get_object_or_404(Source.objects.select_related("owner", "log_watch"), slug=slug)


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    source = _get(slug)
    shown, context = _region(request, source)
    last = source.runs.first()
    more = {
        "region": shown.html,
        "undecided": _undecided(source),
        "shrunk": last if last is not None and last.failure_kind == "shrunk" and not last.is_active else None,
    }
    return render(request, "source.html", {**context, **more})


def _undecided(source: Source) -> list[tuple[Stream, list[SchemaChange]]]:
    """Per stream, the changed columns about which a person has to decide."""
    found: dict[int, tuple[Stream, list[SchemaChange]]] = {}
    changes = SchemaChange.objects.undecided().filter(stream__source=source).select_related("stream").order_by("pk")
    for change in changes:
        found.setdefault(change.stream_id, (change.stream, []))[1].append(change)
    return list(found.values())


@require_safe
def live(request: HttpRequest, slug: str) -> HttpResponse:
    return _region(request, _get(slug))[0].answer(request)


@require_safe
def streams(request: HttpRequest, slug: str) -> HttpResponse:
    """The streams alone: what unfolds on the status page."""
    source = _get(slug)
    now = timezone.now()
    return render(request, "partials/_streams.html", {"now": now, "source": source, "rows": stream_rows(source, now)})


@require_POST
@require("sources.change_source")
def sync(request: HttpRequest, slug: str) -> HttpResponse:
    """Sync now; an active run is not doubled but shown. With `accept_fewer` a table may shrink this once."""
    source = _get(slug)
    run = request_sync(source, accept_fewer="accept_fewer" in request.POST)
    if run is not None:
        messages.success(request, f"A sync of {source.name} is queued.")
        return redirect(run)
    messages.info(request, f"{source.name} is being synced already; this is that run.")
    active = source.runs.active().first()
    return redirect(active or source)
