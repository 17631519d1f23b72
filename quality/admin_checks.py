"""Checks in the admin, for a colleague who knows no SodaCL."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin
from unfold.decorators import display

from metrics.models import Dataset
from portal import dispatch
from portal.text import ago, plural
from quality import incidents
from quality.forms import CheckForm, DbtCheckForm
from quality.models import Check, Outcome, Severity

OUTCOME_COLOURS = {
    Outcome.PASS: "success",
    Outcome.WARN: "warning",
    Outcome.FAIL: "danger",
    Outcome.ERROR: "danger",
    Outcome.LEARNING: "info",
}
RESULTS_SHOWN = 15


class OutcomeFilter(admin.SimpleListFilter):
    title = "last outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((str(value), str(label)) for value, label in Outcome.choices), ("never", "Never checked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Check]) -> QuerySet[Check]:
        wanted = {"never": {"latest_outcome__isnull": True}, None: {}}
        return queryset.filter(**wanted.get(self.value(), {"latest_outcome": self.value()}))


class CarriedOutByFilter(admin.SimpleListFilter):
    title = "carried out by"
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("soda", "Soda: written here or in a file"), ("dbt", "dbt: a test of the dbt project")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Check]) -> QuerySet[Check]:
        if self.value() == "dbt":
            return queryset.exclude(dbt_test="")
        return queryset.filter(dbt_test="") if self.value() == "soda" else queryset


@admin.register(Check)
class CheckAdmin(SimpleHistoryAdmin, ModelAdmin):
    form = CheckForm
    conditional_fields = CheckForm.conditional_fields
    list_display = ("name", "dataset", "outcome", "said", "severity_label", "is_enabled", "owner")
    list_filter = (OutcomeFilter, CarriedOutByFilter, "severity", "is_enabled", "dataset")
    list_select_related = ("owner",)
    list_per_page = 50
    search_fields = ("name", "dataset", "definition")
    actions = ("switch_on", "switch_off")
    warn_unsaved_form = True
    readonly_fields = ("where_from", "as_sodacl", "as_in_dbt", "recent_results", "lineage", "severity_label")

    # --- the list -----------------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Check]:
        queryset: Any = super().get_queryset(request)
        return queryset.with_latest()

    @display(description="last outcome", ordering="latest_outcome", label=OUTCOME_COLOURS)
    def outcome(self, check: Any) -> tuple[str, str]:
        if check.latest_outcome is None:
            return "never", "Never checked"
        return check.latest_outcome, Outcome(check.latest_outcome).label

    @display(description="what it found")
    def said(self, check: Any) -> str:
        return check.latest_sentence or "–"

    @display(description="severity", ordering="severity")
    def severity_label(self, check: Check) -> str:
        return "Critical" if check.severity == Severity.CRITICAL else "Warn"

    # --- the form -----------------------------------------------------------------------------------------------
    def get_form(self, request: HttpRequest, obj: Check | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None and obj.is_of_dbt:
            kwargs["form"] = DbtCheckForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Check | None = None) -> Any:
        if obj is not None and obj.is_of_dbt:
            return [
                ("What it promises", {"fields": ("dataset", "name", "severity_label", "where_from")}),
                ("If it does not hold", {"fields": ("owner", "is_enabled")}),
                ("What is known", {"fields": ("recent_results", "lineage", "as_in_dbt")}),
            ]
        questions = ("kind", *CheckForm.conditional_fields)
        may_edit = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        promise = [("What it promises", {"fields": ("table", *questions, "name")})]
        if not may_edit:
            promise = [("What it promises", {"fields": ("dataset", "name", "as_sodacl")})]
        consequences = ("If it does not hold", {"fields": ("severity", "owner", "is_enabled")})
        if obj is None:
            return [*promise, consequences]
        known = (
            "What is known",
            {"fields": ("recent_results", "lineage", *(("as_sodacl",) if may_edit else ()), "where_from")},
        )
        return [*promise, consequences, known]

    def get_readonly_fields(self, request: HttpRequest, obj: Check | None = None) -> Any:
        is_of_dbt = obj is not None and obj.is_of_dbt
        return (*super().get_readonly_fields(request, obj), *(("dataset", "name") if is_of_dbt else ()))

    def has_delete_permission(self, request: HttpRequest, obj: Check | None = None) -> bool:
        """One of dbt's would be back with the next build: it is switched off, or taken out of the dbt project."""
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.is_of_dbt)

    @display(description="results")
    def recent_results(self, check: Check) -> str | SafeString:
        results = list(check.results.order_by("-measured_at")[:RESULTS_SHOWN])
        if not results:
            return "It has never been checked. It is looked at after the next build that touches its table."
        now = timezone.now()
        rows = (
            (
                f"{timezone.localtime(result.measured_at):%Y-%m-%d %H:%M %Z}",
                ago(result.measured_at, now),
                result.get_outcome_display(),
                result.sentence,
            )
            for result in results
        )
        return format_html(
            "<ul>{}</ul>",
            format_html_join("", '<li><span title="{}">{}</span>: <strong>{}</strong>. {}</li>', rows),
        )

    @display(description="its table")
    def lineage(self, check: Check) -> str | SafeString:
        dataset = Dataset.objects.filter(name=check.dataset).first()
        if dataset is None:
            return "No build has looked at it yet."
        words = "where it comes from, and what is built from it"
        return format_html('<a href="{}">{}: {}</a>', dataset.get_absolute_url(), dataset.name, words)

    @display(description="as SodaCL")
    def as_sodacl(self, check: Check) -> SafeString:
        return format_html('<pre style="white-space: pre-wrap">{}</pre>', check.definition)

    @display(description="in the dbt project")
    def as_in_dbt(self, check: Check) -> SafeString:
        return format_html('<pre style="white-space: pre-wrap">{}\n\n{}</pre>', check.definition, check.dbt_test)

    @display(description="comes from")
    def where_from(self, check: Check) -> str:
        if not check.origin:
            return "Made here."
        from_where = f"{check.origin[:1].upper()}{check.origin[1:]}."
        if check.is_gone:
            return from_where
        if check.is_of_dbt:
            return f"{from_where} What it promises, and how severe it is, is changed there."
        return f"{check.origin}. The next import of that file writes over what is changed here."

    # --- saving and deleting ------------------------------------------------------------------------------------
    def save_model(self, request: HttpRequest, obj: Check, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._close_incidents(request)

    def delete_model(self, request: HttpRequest, obj: Check) -> None:
        super().delete_model(request, obj)
        self._close_incidents(request)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Check]) -> None:
        for check in queryset:  # one by one, so that each leaves its history
            check.delete()
        self._close_incidents(request)

    def _close_incidents(self, request: HttpRequest) -> None:
        if closed := incidents.resolve_retired():
            dispatch.send("deliver_mail")
            self.message_user(request, f"{plural(closed, 'open incident')} closed.", messages.INFO)

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Check]) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Check]) -> None:
        self._switch(request, queryset, on=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Check], *, on: bool) -> None:
        changed = 0
        for check in queryset.filter(is_enabled=not on):
            check.is_enabled = on
            check.save()  # one by one: each change is kept in its history
            changed += 1
        self.message_user(request, f"{plural(changed, 'check')} switched {'on' if on else 'off'}.", messages.SUCCESS)
        self._close_incidents(request)
