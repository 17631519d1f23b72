"""What happened, to look at: sync runs with their attempts, and connection tests. Nothing here can be edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from portal.runs import RunStatus
from sources.models import Attempt, LogTask, Probe, StreamSync, SyncRun

STATUS_COLOURS: dict[str, str | None] = {
    RunStatus.QUEUED: "info",
    RunStatus.RUNNING: "info",
    RunStatus.SUCCEEDED: "success",
    RunStatus.FAILED: "danger",
    RunStatus.CANCELLED: "warning",
    Attempt.Status.LOST: "danger",
    "never": None,
}


def seconds(value: Any) -> str:
    """A duration for a table cell."""
    return "" if value is None else f"{value.total_seconds():.1f} s"


class ReadOnly:
    """Rows that the portal writes and people only read."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AttemptInline(ReadOnly, TabularInline):
    model = Attempt
    fields = ("number", "status", "started_at", "finished_at", "rows_in_words", "failure_sentence", "failure_detail")
    readonly_fields = fields
    extra = 0

    @display(description="rows")
    def rows_in_words(self, attempt: Attempt) -> str:
        return ", ".join(f"{name}: {count:,}" for name, count in attempt.rows.items()) or "–"


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnly, ModelAdmin):
    list_display = ("number", "source", "status_label", "trigger", "queued_at", "took", "failure_sentence")
    list_display_links = ("number",)
    list_filter = ("status", "trigger", "source")
    list_select_related = ("source",)
    date_hierarchy = "queued_at"
    inlines = (AttemptInline,)
    fieldsets = (
        (None, {"fields": ("source", "status_label", "trigger", "which_streams", "has_new_data")}),
        ("Times", {"fields": ("scheduled_for", "queued_at", "not_before", "started_at", "finished_at", "took")}),
        ("Failure", {"fields": ("failure_sentence", "failure_kind", "failure_detail")}),
        ("Worker", {"fields": ("worker", "claims", "heartbeat_at"), "classes": ("collapse",)}),
    )

    @display(description="run", ordering="pk")
    def number(self, run: SyncRun) -> str:
        return f"Run {run.pk}"

    @display(description="status", ordering="status", label=STATUS_COLOURS)
    def status_label(self, run: SyncRun) -> tuple[str, str]:
        return run.status, run.get_status_display()

    @display(description="took")
    def took(self, run: SyncRun) -> str:
        return seconds(run.duration)

    @display(description="streams")
    def which_streams(self, run: SyncRun) -> str:
        return ", ".join(run.streams) or "All that are switched on"


@admin.register(StreamSync)
class StreamSyncAdmin(ReadOnly, ModelAdmin):
    """How each stream fared, attempt by attempt."""

    list_display = ("stream", "source", "is_ok", "rows", "seconds", "finished_at", "failure_sentence")
    list_filter = ("is_ok", "stream__source")
    list_select_related = ("stream__source", "attempt__run__source")
    fields = ("stream", "source", "attempt", "is_ok", "rows", "seconds", "finished_at", "failure_sentence")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StreamSync]:
        return super().get_queryset(request).select_related(*self.list_select_related)

    @display(description="source", ordering="stream__source__name")
    def source(self, sync: StreamSync) -> str:
        return sync.stream.source.name


@admin.register(LogTask)
class LogTaskAdmin(ReadOnly, ModelAdmin):
    """Work at the databases' logs outside of syncs: looks of the last week, and slots that were dropped."""

    list_display = ("number", "name", "kind", "status_label", "queued_at", "answer")
    list_display_links = ("number",)
    list_filter = ("status", "kind")
    fields = ("name", "kind", "slot", "status_label", "queued_at", "finished_at", "claims", "answer", "failure_detail")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogTask]:
        return super().get_queryset(request).defer("secrets", "config")

    @display(description="task", ordering="pk")
    def number(self, task: LogTask) -> str:
        return f"Task {task.pk}"

    @display(description="status", ordering="status", label=STATUS_COLOURS)
    def status_label(self, task: LogTask) -> tuple[str, str]:
        return task.status, task.get_status_display()

    @display(description="answer")
    def answer(self, task: LogTask) -> str:
        return task.sentence or task.failure_sentence or "No answer yet"


@admin.register(Probe)
class ProbeAdmin(ReadOnly, ModelAdmin):
    """Connection tests of the last day. What was typed in is not shown here."""

    list_display = ("number", "connector", "source", "status_label", "asked_by", "queued_at", "answer")
    list_display_links = ("number",)
    list_filter = ("status", "connector")
    list_select_related = ("source", "asked_by")
    fields = (
        "connector",
        "source",
        "asked_by",
        "status_label",
        "queued_at",
        "started_at",
        "finished_at",
        "answer",
        "offered",
        "failure_detail",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Probe]:
        # Neither read nor decrypted for a table that does not show them.
        return super().get_queryset(request).defer("secrets", "config")

    @display(description="test", ordering="pk")
    def number(self, probe: Probe) -> str:
        return f"Test {probe.pk}"

    @display(description="status", ordering="status", label=STATUS_COLOURS)
    def status_label(self, probe: Probe) -> tuple[str, str]:
        return probe.status, probe.get_status_display()

    @display(description="answer")
    def answer(self, probe: Probe) -> str:
        return probe.sentence or probe.failure_sentence or "No answer yet"

    @display(description="streams")
    def offered(self, probe: Probe) -> str:
        return ", ".join(stream["name"] for stream in probe.streams) or "–"
