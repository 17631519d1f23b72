"""The status page: is everything all right, and if not, what is not."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from portal import charts
from portal.headlines import headlines
from portal.overview import look
from portal.verdict import judge
from portal.views.live import Region, opened, region

REFRESH_SECONDS = 15


def _region(request: HttpRequest) -> tuple[Region, dict[str, Any]]:
    now = timezone.now()
    seen = look(now, opened(request))
    numbers = headlines(seen.publication.current)
    context = {
        "now": now,
        "seen": seen,
        "verdict": judge(seen),
        "numbers": numbers,
        "chart": charts.area([float(month.mrr) for month in numbers.months], is_last_partial=numbers.is_to_date),
        "open_incidents": seen.incident_count,
    }
    address = reverse("status_live")
    return region(request, "status", "partials/_status.html", context, address=address, every=REFRESH_SECONDS), context


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    shown, context = _region(request)
    return render(request, "status.html", {**context, "region": shown.html})


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    return _region(request)[0].answer(request)
