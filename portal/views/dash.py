"""What Dash's renderer asks for: layout, callbacks and its own scripts.

django-plotly-dash brings views of its own. They keep a table of apps, write the session at each callback and answer an
unknown app or a broken request with an error of the server; these here only read, and refuse such requests. A
publication is part of the address, so that the charts of a page show the version its tables show.
"""

from __future__ import annotations

import json

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from metrics.dashboards.registry import DASHBOARDS
from portal.failures import PortalError
from portal.models import Publication

YEAR_SECONDS = 365 * 24 * 3600
JSON = "application/json"


def _prefix(key: str) -> str:
    if key not in DASHBOARDS:
        raise Http404
    return reverse("dash", args=[key])


@require_safe
def root(request: HttpRequest, key: str) -> HttpResponse:
    """The apps have no page of their own: they belong into the dashboard's."""
    if key not in DASHBOARDS:
        raise Http404
    return redirect("dashboard", key=key)


@require_safe
def layout(request: HttpRequest, key: str, publication: int) -> HttpResponse:
    from metrics.dashboards import dash_app

    return HttpResponse(dash_app.layout(key, _prefix(key)), content_type=JSON)


@require_safe
def dependencies(request: HttpRequest, key: str, publication: int) -> HttpResponse:
    from metrics.dashboards import dash_app

    return HttpResponse(dash_app.dependencies(key, _prefix(key)), content_type=JSON)


@require_POST
def update(request: HttpRequest, key: str, publication: int) -> HttpResponse:
    """One callback. Only reads, yet asks for the CSRF token as every POST does."""
    from metrics.dashboards import dash_app

    prefix = _prefix(key)
    location = Publication.objects.published().filter(pk=publication).values_list("location", flat=True).first()
    if not location:
        raise Http404
    try:
        asked = json.loads(request.body)
        answer = dash_app.update(key, prefix, asked, location) if isinstance(asked, dict) else None
    except (ValueError, UnicodeDecodeError):
        return HttpResponseBadRequest("This is no callback of the dashboard.", content_type="text/plain")
    except PortalError as error:
        return HttpResponse(error.sentence, status=503, content_type="text/plain; charset=utf-8")
    return HttpResponse(status=204) if answer is None else HttpResponse(answer, content_type=JSON)


@require_safe
def component(request: HttpRequest, key: str, path: str, publication: int = 0) -> HttpResponse:
    """Dash's and Plotly's scripts are static files; whichever address they are asked by, the way there may be kept."""
    from dash.fingerprint import check_fingerprint

    _prefix(key)
    package, _, name = path.rpartition("/")
    plain, _ = check_fingerprint(name)
    answer = redirect(static(f"dash/component/{package}/{plain}"))
    answer["Cache-Control"] = f"private, max-age={YEAR_SECONDS}, immutable"
    return answer
