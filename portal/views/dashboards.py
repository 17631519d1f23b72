"""Dashboards: numbers, sentences and tables as HTML; charts join when scripts run (`portal.views.dash`)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from metrics.builds import documentation
from metrics.dashboards import choices
from metrics.dashboards.published import Published
from metrics.dashboards.registry import DASHBOARDS, Dashboard
from metrics.dashboards.shapes import Board
from portal import restatements
from portal.failures import PortalError
from portal.models import Publication
from portal.overview import look
from portal.trust import trust

NOTHING_PUBLISHED = "Nothing is published yet, so there are no numbers to show."


def _dashboard(key: str) -> Dashboard:
    if key not in DASHBOARDS:
        raise Http404
    return DASHBOARDS[key]


def _board(dashboard: Dashboard, publication: Publication | None, chosen: choices.Choices) -> Board:
    """What it shows of this publication; a sentence when there is none or it cannot be read."""
    if publication is None:
        return Board(chosen, problem=NOTHING_PUBLISHED)
    try:
        return dashboard.read(Published(publication.location, restatements.told), chosen, documentation())
    except PortalError as error:
        return Board(chosen, problem=f"These numbers cannot be shown. {error.sentence}")


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    seen = look(timezone.now())
    marts = {mart for dashboard in DASHBOARDS.values() for mart in dashboard.marts}
    current = seen.publication.current
    context = {
        "now": seen.now,
        "trust": trust(seen, marts),
        "open_incidents": seen.incident_count,
        "cards": [(dashboard, _board(dashboard, current, choices.Choices())) for dashboard in DASHBOARDS.values()],
    }
    return render(request, "dashboards/index.html", context)


@require_safe
def page(request: HttpRequest, key: str) -> HttpResponse:
    dashboard = _dashboard(key)
    seen = look(timezone.now())
    current = seen.publication.current
    board = _board(dashboard, current, choices.read(request.GET))
    context = {
        "now": seen.now,
        "dashboard": dashboard,
        "dashboards": DASHBOARDS.values(),
        "board": board,
        "trust": trust(seen, dashboard.marts),
        "comes_from": dashboard.exposure if _is_described(dashboard) else "",
        "open_incidents": seen.incident_count,
        "filters": _filters(dashboard, board),
        "query": board.choices.query(),
        "dash": _dash(dashboard, current, board),
    }
    return render(request, "dashboards/page.html", context)


def _is_described(dashboard: Dashboard) -> bool:
    """Whether the dbt project, as it was last built, knows of this dashboard."""
    return any(exposure.name == dashboard.exposure for exposure in documentation().exposures)


def _filters(dashboard: Dashboard, board: Board) -> dict[str, Any]:
    """The form of the page: each filter with what can be chosen; the month that is the latest is the default."""
    chosen = board.choices
    found: dict[str, Any] = {}
    if "month" in dashboard.filters and board.months:
        found["months_there"] = [
            ("" if month == board.months[-1] else f"{month:%Y-%m}", f"{month:%B %Y}", month == chosen.month)
            for month in reversed(board.months)
        ]
    for name, known, value in (("months", choices.RANGE_WORDS, chosen.months), ("by", choices.COUNTS, chosen.by)):
        if name in dashboard.filters:
            latest = board.months and chosen.month == board.months[-1]
            found[name] = [
                (chosen.query(**{name: key}, **({"month": None} if latest else {})), label, key == value)
                for key, label in known.items()
            ]
    return found


def _dash(dashboard: Dashboard, current: Publication | None, board: Board) -> dict[str, Any] | None:
    """What the page needs to draw; None when there is nothing to draw."""
    if current is None or not any(section.has_chart for section in board.sections):
        return None
    # Only here: the web process imports Dash when somebody first looks at a chart.
    from metrics.dashboards import dash_app

    prefix = reverse("dash", args=[dashboard.key])
    own = reverse("dash_layout", args=[dashboard.key, current.pk]).removesuffix("_dash-layout")
    return {
        "scripts": dash_app.scripts(dashboard.key, prefix),
        "config": dash_app.page_config(dashboard.key, prefix, own, settings.CSRF_COOKIE_NAME),
    }


@require_safe
def csv(request: HttpRequest, key: str, section: str) -> HttpResponseBase:
    """The table of a section for a spreadsheet, with the filters of the page. What was asked wrongly is refused: a file
    that answers another question would be taken for the answer."""
    dashboard = _dashboard(key)
    board = _board(dashboard, Publication.objects.current(), choices.read(request.GET))
    if board.choices.problems:
        return HttpResponseBadRequest(" ".join(board.choices.problems), content_type="text/plain; charset=utf-8")
    found = board.section(section)
    if found is None or found.table is None:
        raise Http404
    answer = StreamingHttpResponse(found.table.lines(), content_type="text/csv; charset=utf-8")
    month = f"-{board.choices.month:%Y-%m}" if board.choices.month else ""
    answer["Content-Disposition"] = f'attachment; filename="{key}-{section}{month}.csv"'
    return answer
