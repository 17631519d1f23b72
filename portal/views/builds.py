"""A build: what dbt did, what the checks found in it, and whether it was published."""

from __future__ import annotations

from collections import Counter

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from metrics.models import Build, BuildNode, Dataset
from portal import restatements
from portal.views.live import Region, region
from portal.views.stages import after_sync, is_over, stage_events
from quality.models import CheckResult, Outcome

REFRESH_SECONDS = 2
_NODE_ORDER = ("error", "fail", "runtime error", "warn", "skipped")
_OUTCOME_ORDER = ("fail", "error", "warn", "skipped", "learning", "pass")


def _region(request: HttpRequest, build: Build) -> tuple[Region, dict[str, object]]:
    now = timezone.now()
    stages = after_sync(build)
    scan = stages[1].row
    models = sorted(build.nodes.exclude(resource_type="test"), key=_attention)
    found = Q(build=build) | Q(scan=scan) if scan else Q(build=build)
    results = list(CheckResult.objects.filter(found).select_related("check_row"))
    results.sort(key=lambda result: (_OUTCOME_ORDER.index(result.outcome), result.check_row.dataset, result.pk))
    context = {
        "now": now,
        "build": build,
        "stages": stages,
        "models": models,
        "known": set(Dataset.objects.values_list("name", flat=True)),
        "trouble": [result for result in results if result.outcome != Outcome.PASS],
        "passed": [result for result in results if result.outcome == Outcome.PASS],
        "outcomes": sorted(
            Counter(result.outcome for result in results).items(), key=lambda item: _OUTCOME_ORDER.index(item[0])
        ),
        "publication": stages[2].row,
        "restated": restatements.of_publication(stages[2].row),
        "syncs": build.syncs.select_related("source").order_by("pk"),
        "events": sorted(stage_events(stages), key=lambda event: event.at),
    }
    shown = region(
        request,
        "build",
        "partials/_build.html",
        context,
        address=reverse("build_live", args=[build.pk]),
        every=None if is_over(stages, now) else REFRESH_SECONDS,
    )
    return shown, context


def _attention(node: BuildNode) -> tuple[int, int]:
    """What went wrong first, the rest in the order dbt worked."""
    return (_NODE_ORDER.index(node.status) if node.status in _NODE_ORDER else len(_NODE_ORDER), node.pk)


@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    shown, context = _region(request, get_object_or_404(Build, pk=pk))
    return render(request, "build.html", {**context, "region": shown.html})


@require_safe
def live(request: HttpRequest, pk: int) -> HttpResponse:
    return _region(request, get_object_or_404(Build, pk=pk))[0].answer(request)
