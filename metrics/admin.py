"""How the company reads its numbers, for people who decide that: forms, and what a change would do before it is made."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin

from metrics import builds, switches
from metrics.forms import SwitchesForm
from metrics.models import MetricSwitches, SwitchPreview
from portal import dispatch, text
from portal.runs import Trigger

ANSWER = "admin/metrics/metricswitches/preview.html"
ANSWER_PAGE = "admin/metrics/metricswitches/preview_page.html"


@admin.register(MetricSwitches)
class MetricSwitchesAdmin(SimpleHistoryAdmin, ModelAdmin):
    form = SwitchesForm
    change_form_template = "admin/metrics/metricswitches/change_form.html"
    warn_unsaved_form = True

    class Media:
        css = {"all": ["sources/admin.css"]}

    fieldsets = (
        ("Money and time", {"fields": ("reporting_currency", "company_timezone")}),
        ("Monthly recurring revenue", {"fields": ("mrr_discounts", "past_due_days", "paused_is_churn")}),
        ("Churn", {"fields": ("customer_churn_of",)}),
    )

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("preview/", wrap(self.ask_view), name="metrics_metricswitches_preview"),
            path("preview/<int:pk>/", wrap(self.answer_view), name="metrics_metricswitches_preview_answer"),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> MetricSwitches | None:
        """There is one row; until somebody saves it, what counts without it."""
        return switches.stored() if object_id == "1" else None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:metrics_metricswitches_change", args=[1]))

    def save_model(self, request: HttpRequest, obj: MetricSwitches, form: Any, change: bool) -> None:
        obj.pk = 1
        super().save_model(request, obj, form, change)
        if form.changed_data or not change:
            dispatch.send("run_build", builds.request_build(Trigger.MANUAL).pk)
            messages.info(request, "All numbers are computed again; until that is done, pages show the ones before.")

    @method_decorator(require_POST)
    def ask_view(self, request: HttpRequest) -> HttpResponse:
        """Queue a preview of what is in the form right now; nothing is saved."""
        if not self.has_change_permission(request):
            raise Http404
        form = SwitchesForm(request.POST, instance=switches.stored())
        if not form.is_valid():
            problems = {form.fields[name].label: errors for name, errors in form.errors.items()}
            return self._show(request, {"problems": problems}, alone="_page" in request.POST)
        preview = switches.ask(form.instance.as_vars(), request.user)
        if "_page" in request.POST:  # without scripts the answer is a page of its own
            return HttpResponseRedirect(f"{preview.get_absolute_url()}?page=1")
        return self._answer(request, preview)

    def answer_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How the preview stands; asked again and again by the page until there is an answer."""
        if not self.has_view_permission(request):
            raise Http404
        preview = get_object_or_404(SwitchPreview, pk=pk)
        if request.GET.get("seen") == _stage(preview):
            return HttpResponse(status=204)  # nothing new: the page, and a screen reader, stay quiet
        return self._answer(request, preview)

    def _answer(self, request: HttpRequest, preview: SwitchPreview) -> HttpResponse:
        context = {
            "preview": preview,
            "seen": _stage(preview),
            "is_unanswered": switches.is_unanswered(preview, timezone.now()),
            "numbers": [_in_words(number) for number in preview.numbers],
        }
        return self._show(request, context, alone="page" in request.GET)

    def _show(self, request: HttpRequest, context: dict[str, Any], *, alone: bool) -> HttpResponse:
        if not alone:
            return TemplateResponse(request, ANSWER, context)
        page = {**self.admin_site.each_context(request), "title": "What these choices would do", "alone": True}
        return TemplateResponse(request, ANSWER_PAGE, context | page)


def _stage(preview: SwitchPreview) -> str:
    """What the page shows of a preview that has no answer yet."""
    return "unanswered" if switches.is_unanswered(preview, timezone.now()) else preview.status


def _in_words(number: dict[str, Any]) -> dict[str, Any]:
    before, after = (
        _value(number[side], number["unit"], currency or "")
        for side, currency in zip(("before", "after"), number["currencies"], strict=True)
    )
    return {"label": number["label"], "before": before, "after": after}


def _value(value: str | None, unit: str, currency: str) -> str:
    plain = None if value is None else Decimal(value)
    if unit == "money":
        return text.money(plain, currency)
    return text.percent(plain) if unit == "share" else text.number(plain)
