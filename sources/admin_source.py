"""Sources in the admin, for a colleague who knows no JSON, SQL or cron.

Adding is two steps: pick a connector, then fill in its own form. The pages never call another company's API: a test
of the connection is a row that a worker answers (`sources.probes`), and the page watches the row.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from portal.runs import Trigger
from sources import audit, logs, offers, probes, schedules
from sources.admin_probes import ProbeViews, rows_of_new
from sources.admin_runs import STATUS_COLOURS
from sources.admin_streams import StreamViews
from sources.connectors import all_connectors, find_connector, get_connector
from sources.connectors.base import Connector, StreamSpec
from sources.forms import SourceForm, setting_names, source_form
from sources.forms_schedule import ScheduleFields, SchedulePreviewForm, preview
from sources.forms_streams import StreamForm, StreamFormSet
from sources.models import LogWatch, Source, Stream
from sources.syncs import request_sync

ABOUT = ["name", "slug", "owner", "is_enabled"]
SCHEDULE = [*ScheduleFields.base_fields]


class StreamInline(TabularInline):
    """Whoever may edit a source may edit its streams."""

    model = Stream
    form = StreamForm
    formset = StreamFormSet
    template = "admin/sources/source/streams.html"
    fields = ("name", "is_enabled", "sync_mode", "cursor_field", "primary_key", "promise", "promise_minutes")
    can_delete = False
    extra = 0
    verbose_name_plural = "What is read"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Stream]:
        return super().get_queryset(request).select_related(None).order_by("-is_offered", "name")

    def has_view_permission(self, request: HttpRequest, obj: Source | None = None) -> bool:
        return request.user.has_perm("sources.view_source") or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Source | None = None) -> bool:
        return request.user.has_perm("sources.change_source")

    def has_add_permission(self, request: HttpRequest, obj: Source | None = None) -> bool:
        return request.user.has_perm("sources.add_source") or self.has_change_permission(request, obj)


@admin.register(Source)
class SourceAdmin(ProbeViews, StreamViews, SimpleHistoryAdmin, ModelAdmin):
    list_display = ("name", "system", "when", "owner", "last_run", "streams_summary", "is_enabled")
    list_filter = ("is_enabled", "connector", "owner")
    list_select_related = ("owner",)
    search_fields = ("name", "slug", "connector")
    actions = ("sync_now", "switch_on", "switch_off")
    inlines = (StreamInline,)
    warn_unsaved_form = True
    change_form_template = "admin/sources/source/change_form.html"
    add_form_template = "admin/sources/source/change_form.html"
    delete_confirmation_template = "admin/sources/source/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/sources/source/delete_selected_confirmation.html"
    object_history_template = "admin/sources/source/history.html"
    object_history_list_template = "admin/sources/source/history_list.html"

    class Media:
        css = {"all": ["sources/admin.css"]}
        js = ["sources/admin.js", "sources/endpoints.js"]

    # --- the list ---------------------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        # Secrets stay closed until a form needs them: a lost key must not take the list down.
        queryset: Any = super().get_queryset(request)
        return queryset.defer("secrets").with_last_run().with_stream_counts()

    @display(description="system", ordering="connector")
    def system(self, source: Source) -> str:
        connector = find_connector(source.connector)
        return connector.label if connector else f"{source.connector} (no connector yet)"

    @display(description="read", ordering="schedule")
    def when(self, source: Source) -> str:
        return schedules.in_words(source.schedule, source.timezone)

    @display(description="last run", ordering="last_run_at", label=STATUS_COLOURS)
    def last_run(self, source: Any) -> tuple[str, str]:
        if source.last_run_status is None:
            return "never", "Never run"
        return source.last_run_status, source.last_run_status.capitalize()

    @display(description="streams")
    def streams_summary(self, source: Any) -> str:
        return f"{source.streams_read} of {source.streams_known} read"

    def view_on_site(self, obj: Source) -> str:
        return obj.get_absolute_url()

    # --- actions ----------------------------------------------------------------------------------------------------
    @admin.action(description="Sync now", permissions=["change"])
    def sync_now(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        started = busy = unreadable = 0
        for source in queryset:
            if find_connector(source.connector) is None:
                unreadable += 1
            elif request_sync(source, Trigger.MANUAL) is None:
                busy += 1
            else:
                started += 1
        self._report(request, started, "sync queued", "syncs queued")
        if busy:
            self._report(request, busy, "source is being read already", "sources are being read already", messages.INFO)
        if unreadable:
            self._report(request, unreadable, "source has no connector", "sources have no connector", messages.WARNING)

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        self._switch(request, queryset, on=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Source], *, on: bool) -> None:
        changed = unreadable = 0
        for source in queryset.filter(is_enabled=not on):
            if on and find_connector(source.connector) is None:
                unreadable += 1
                continue
            source.is_enabled = on
            audit.explain(source, "Switched on." if on else "Switched off.")
            source.save()
            changed += 1
        state = "on" if on else "off"
        self._report(request, changed, f"source switched {state}", f"sources switched {state}")
        if unreadable:
            self._report(request, unreadable, "source has no connector", "sources have no connector", messages.WARNING)

    def _report(self, request: HttpRequest, count: int, one: str, many: str, level: int = messages.SUCCESS) -> None:
        self.message_user(request, f"{count or 'No'} {one if count == 1 else many}.", level)

    # --- the form ---------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("schedule/", wrap(self.schedule_view), name="sources_source_schedule"),
            *self.probe_urls(),
            *self.stream_urls(),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)  # refuses
        connector = find_connector(request.GET.get("connector", ""))
        if connector is None:
            return self._pick_connector(request)
        return super().add_view(
            request, form_url, {"title": f"Add a {connector.label} source", **(extra_context or {})}
        )

    def _pick_connector(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Which system is it?",
            "connectors": all_connectors(),
        }
        return TemplateResponse(request, "admin/sources/source/pick_connector.html", context)

    @method_decorator(sensitive_post_parameters())
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Source | None = None) -> Any:
        if obj is not None and obj.pk and not self.has_change_permission(request, obj):
            return [(None, {"fields": [*ABOUT, "system", "when", "streams_summary"]})]
        form_class = source_form(self._connector(request, obj))
        return [(None, {"fields": [*ABOUT, *setting_names(form_class), *SCHEDULE]})]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None and obj.pk and not self.has_change_permission(request, obj):
            return super().get_form(request, obj, change, **{**kwargs, "fields": ABOUT})
        return super().get_form(request, obj, change, form=source_form(self._connector(request, obj)), **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Source | None = None) -> Any:
        viewing = obj is not None and obj.pk and not self.has_change_permission(request, obj)
        return ("system", "when", "streams_summary") if viewing else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        connector = get_connector(request.GET["connector"])
        return {"name": connector.label, "slug": free_slug(connector.name.replace("_", "-")), "owner": request.user.pk}

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        kwargs = super().get_formset_kwargs(request, obj, inline, prefix)
        if obj is None or obj.pk is None:
            specs = self.specs_of_new(request)
            kwargs |= rows_of_new(self._connector(request, None), specs)
        return kwargs

    def get_formsets_with_inlines(self, request: HttpRequest, obj: Source | None = None) -> Any:
        for inline in self.get_inline_instances(request, obj):
            extra = len(self.specs_of_new(request)) if obj is None else 0
            yield inline.get_formset(request, obj, extra=extra), inline

    def specs_of_new(self, request: HttpRequest) -> list[StreamSpec]:
        """What a source that is not saved yet offers: its connector's fixed streams, or what its test has found."""
        connector = self._connector(request, None)
        if connector is None:
            return []
        return offers.fixed(connector) or self.specs_of_probe(request, connector)

    def _connector(self, request: HttpRequest, obj: Source | None) -> Connector | None:
        return find_connector(obj.connector if obj is not None and obj.pk else request.GET.get("connector", ""))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        source = context.get("original")
        connector = self._connector(request, source)
        form: Any = context["adminform"].form
        context |= {
            "connector": connector,
            "source": source,
            "about": [form[name] for name in ABOUT if name in form.fields],
            "probe_url": self.probe_url(source, connector),
            "probe": self.probe_to_show(request, source),
            "streams_probe": request.POST.get("streams_probe", ""),
            "show_save_and_add_another": False,
        }
        if isinstance(form, SourceForm):
            context["preview"] = self._preview(form)
        return super().render_change_form(request, context, *args, **kwargs)

    def _preview(self, form: SourceForm) -> dict[str, Any]:
        if not form.is_bound:
            values = {name: form[name].value() for name in ScheduleFields.base_fields}
            return SchedulePreviewForm(values).preview(timezone.now())
        if any(name in form.errors for name in ScheduleFields.base_fields):
            return {}
        return preview(form.cleaned_schedule, form.cleaned_data["timezone"], timezone.now())

    def schedule_view(self, request: HttpRequest) -> HttpResponse:
        """The schedule in words and its next five runs, as the person is choosing."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise Http404
        shown = SchedulePreviewForm(request.GET).preview(timezone.now())
        return TemplateResponse(request, "admin/sources/source/schedule_preview.html", {"preview": shown})

    # --- saving -----------------------------------------------------------------------------------------------------
    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        if find_connector(obj.connector) is None:
            obj.is_enabled = False
        # One history row a save, written below when also the streams are known.
        obj.skip_history_when_saving = True  # type: ignore[attr-defined]
        try:
            super().save_model(request, obj, form, change)
        finally:
            del obj.skip_history_when_saving  # type: ignore[attr-defined]

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        audit.record(form, formsets, user=request.user, added=add)
        # Django's own log names fields only, never values: nothing of a secret is in it.
        return super().construct_change_message(request, form, formsets, add)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if change and isinstance(form, SourceForm) and form.streams_may_have_changed():
            # What was set up anew must be looked at before it is read: the worker brings the streams up to date.
            probes.ask_saved(form.instance, request.user)
            messages.info(
                request, "The endpoints were changed: a worker looks at them and brings the streams up to date."
            )
        self._warn(request, form.instance)

    def _warn(self, request: HttpRequest, source: Source) -> None:
        if not logs.is_followed(source.connector, source.config) and logs.let_go(source) is not None:
            messages.warning(
                request,
                "Its log is not followed any more: a worker drops the replication slot at the database now. Tables are "
                "read whole once when they are read by a column.",
            )
        read = list(source.streams.enabled())
        if not read:
            messages.warning(
                request, f"Nothing of {source.name} is read yet: test the connection and tick what you need."
            )
        gap = schedules.longest_gap(source.schedule, source.timezone, timezone.now())
        late = [stream for stream in read if gap and stream.freshness and stream.freshness < gap]
        if late:
            names = ", ".join(str(stream) for stream in late)
            messages.warning(
                request,
                f"Promised fresher than it is read: {names}. {schedules.in_words(source.schedule)} leaves up to "
                f"{gap_in_words(gap)} between two runs, so this will count as late in between.",
            )

    def response_add(self, request: HttpRequest, obj: Source, post_url_continue: Any = None) -> HttpResponse:
        return self._test_saved(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Source) -> HttpResponse:
        return self._test_saved(request, obj) or super().response_change(request, obj)

    def _test_saved(self, request: HttpRequest, source: Source) -> HttpResponse | None:
        """ "Save and test": the way without JavaScript."""
        if "_test" not in request.POST:
            return None
        probe = probes.ask_saved(source, request.user)
        messages.success(request, f"{source.name} is saved; the connection is being tested.")
        address = reverse("admin:sources_source_change", args=[source.pk])
        return HttpResponseRedirect(f"{address}?probe={probe.pk}#connection")

    # --- deleting ---------------------------------------------------------------------------------------------------
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        for source in queryset:
            source.delete()

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[Any], list[Any]]:
        """What goes and what stays, in sentences; a list of a hundred thousand runs would help nobody."""
        sentences: list[str | SafeString] = []
        busy: list[str] = []
        counts = {"sources": 0, "streams": 0, "runs": 0}
        for source in objs:
            runs = source.runs.count()
            counts["sources"] += 1
            counts["streams"] += source.streams.count()
            counts["runs"] += runs
            if source.runs.active().exists():
                busy.append(f"{source.name} is being read right now. Wait until the run has ended.")
            sentences.append(
                format_html(
                    "{}: its settings, its schedule, its log-in and the record of its {} runs are deleted. The tables in "
                    "{} stay in the warehouse; nobody refreshes them any more.",
                    source.name,
                    runs,
                    source.dataset,
                )
            )
            if (watch := LogWatch.objects.filter(source=source).first()) is not None:
                sentences.append(
                    format_html(
                        "At its database a worker drops the replication slot {} and, when the portal made it, the "
                        "publication {}, so that the log is kept for nobody any more. When that fails it is tried again, "
                        "and an incident says what to run there.",
                        watch.slot,
                        watch.publication,
                    )
                )
        return sentences, counts, set(), busy

    # --- history ----------------------------------------------------------------------------------------------------
    def revert_disabled(self, request: HttpRequest, obj: Source | None = None) -> bool:
        # A past version has no secrets to go with it; "going back" would be half a source.
        return True

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> Any:
        return HttpResponseRedirect(reverse("admin:sources_source_history", args=[object_id]))


def free_slug(wanted: str) -> str:
    """`wanted`, or the first of wanted-2, wanted-3 … whose tables nobody keeps yet."""
    taken = {source.dataset for source in Source.objects.only("slug")}
    candidates = [wanted, *(f"{wanted}-{number}" for number in range(2, len(taken) + 3))]
    return next(slug for slug in candidates if Source(slug=slug).dataset not in taken)


def gap_in_words(gap: Any) -> str:
    hours = gap.total_seconds() / 3600
    if hours < 1:
        return f"{round(hours * 60)} minutes"
    return f"{round(hours)} hours" if hours < 48 else f"{round(hours / 24)} days"
