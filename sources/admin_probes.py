"""*Test connection* in the admin: ask, then watch the row until a worker has answered."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from portal.runs import RunStatus
from sources import offers, previews, probes
from sources.connectors import find_connector, get_connector
from sources.connectors.base import Connector, StreamSpec
from sources.forms import source_form
from sources.forms_streams import initial_rows
from sources.models import Probe, Source

TEMPLATE = "admin/sources/source/probe.html"


class ProbeViews:
    """Mix-in of `SourceAdmin`."""

    admin_site: Any

    def probe_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("probe/", wrap(self.ask_view), name="sources_source_probe"),
            path("<int:source_pk>/probe/", wrap(self.ask_view), name="sources_source_probe_saved"),
            path("probe/<int:probe_pk>/", wrap(self.answer_view), name="sources_source_probe_answer"),
        ]

    def probe_url(self, source: Source | None, connector: Connector | None) -> str:
        if connector is None:
            return ""
        if source is not None:
            return reverse("admin:sources_source_probe_saved", args=[source.pk])
        return f"{reverse('admin:sources_source_probe')}?connector={connector.name}"

    @method_decorator([sensitive_post_parameters(), require_POST])
    def ask_view(self, request: HttpRequest, source_pk: int | None = None) -> HttpResponse:
        """Queue a probe of what is in the form right now; an empty secret is the stored one."""
        source = self._source(request, source_pk)
        name = source.connector if source else request.GET.get("connector", "")
        if find_connector(name) is None:
            raise Http404
        form = source_form(get_connector(name))(request.POST, instance=source)
        form.is_valid()
        if problems := form.connection_errors():
            return self._show(request, {"problems": problems}, alone="_page" in request.POST)
        probe = probes.ask(
            connector=name, config=form.settings, secrets=form.new_secrets, user=request.user, source=source
        )
        if "_page" in request.POST:  # without scripts the answer is a page of its own
            return HttpResponseRedirect(f"{reverse('admin:sources_source_probe_answer', args=[probe.pk])}?page=1")
        return self._answer(request, probe)

    def answer_view(self, request: HttpRequest, probe_pk: int) -> HttpResponse:
        """How the probe stands; asked again and again by the page until there is an answer."""
        probe = Probe.objects.defer("secrets").filter(pk=probe_pk).select_related("source").first()
        if probe is None or not self._may_see(request, probe):
            raise Http404
        if request.GET.get("seen") == _stage(probe):
            return HttpResponse(status=204)  # nothing new: the page, and a screen reader, stay quiet
        return self._answer(request, probe)

    def probe_to_show(self, request: HttpRequest, source: Source | None) -> dict[str, Any] | None:
        """The probe that "Save and test" has asked for, for the page that is loaded after it."""
        number = request.GET.get("probe", "")
        if source is None or not number.isdecimal():
            return None
        probe = Probe.objects.defer("secrets").filter(pk=int(number), source=source).first()
        return probe_context(probe) if probe is not None and self._may_see(request, probe) else None

    def specs_of_probe(self, request: HttpRequest, connector: Connector) -> list[StreamSpec]:
        """What this person's last successful test found, for a source that is not saved yet."""
        number = request.POST.get("streams_probe", "")
        if not number.isdecimal():
            return []
        probe = Probe.objects.defer("secrets").filter(
            pk=int(number), connector=connector.name, asked_by_id=request.user.pk, status=RunStatus.SUCCEEDED
        )
        return probes.offered_by(found) if (found := probe.first()) else []

    def _source(self, request: HttpRequest, pk: int | None) -> Source | None:
        if pk is None:
            if not self.has_add_permission(request):  # type: ignore[attr-defined]
                raise PermissionDenied
            return None
        source = Source.objects.defer("secrets").filter(pk=pk).first()
        if source is None:
            raise Http404
        if not self.has_change_permission(request, source):  # type: ignore[attr-defined]
            raise PermissionDenied
        return source

    def _may_see(self, request: HttpRequest, probe: Probe) -> bool:
        if probe.asked_by_id == request.user.pk:
            return True
        return probe.source_id is not None and self.has_view_permission(request, probe.source)  # type: ignore[attr-defined]

    def _answer(self, request: HttpRequest, probe: Probe) -> HttpResponse:
        context = probe_context(probe)
        alone = "page" in request.GET
        if not alone:
            context |= self._rows_to_choose(request, probe)
        return self._show(request, context, alone=alone)

    def _show(self, request: HttpRequest, context: dict[str, Any], *, alone: bool) -> HttpResponse:
        """A part of the form's page, or (`alone`) a page with a link to look again."""
        if not alone:
            return TemplateResponse(request, TEMPLATE, context)
        context |= {**self.admin_site.each_context(request), "title": "Test of the connection", "alone": True}
        return TemplateResponse(request, "admin/sources/source/probe_page.html", context)

    def _rows_to_choose(self, request: HttpRequest, probe: Probe) -> dict[str, Any]:
        """For a source that is not saved yet: the streams the test has found, as rows of the form."""
        connector = get_connector(probe.connector)
        if probe.status != RunStatus.SUCCEEDED or probe.source_id is not None or offers.fixed(connector):
            return {}
        specs = probes.offered_by(probe)
        inline = self.get_inline_instances(request)[0]  # type: ignore[attr-defined]
        formset_class = inline.get_formset(request, None, extra=len(specs))
        formset = formset_class(instance=Source(), **rows_of_new(connector, specs))
        return {"formset": formset, "streams_probe": probe.pk}


def probe_context(probe: Probe) -> dict[str, Any]:
    known = set()
    if probe.source_id is not None:
        known = set(probe.source.streams.values_list("name", flat=True)) if probe.source else set()
    return {
        "probe": probe,
        "seen": _stage(probe),
        "is_unanswered": probes.is_unanswered(probe, timezone.now()),
        "streams": probes.offered_by(probe),
        "previews": previews.shown(probe.previews),
        "known": known,
    }


def _stage(probe: Probe) -> str:
    """What the page shows of a probe that has no answer yet."""
    return "unanswered" if probes.is_unanswered(probe, timezone.now()) else probe.status


def rows_of_new(connector: Connector | None, specs: list[StreamSpec]) -> dict[str, Any]:
    """What the formset needs to show `specs` as rows of a source that is not saved yet."""
    # A fixed set is what the connector is for, and an endpoint was typed in to be read; of somebody's database, people
    # choose the tables.
    read = bool(connector and offers.fixed(connector)) or any(spec.is_learned for spec in specs)
    return {
        "initial": initial_rows(specs, read=read),
        "form_kwargs": {"offers": {spec.name: spec for spec in specs}},
    }
