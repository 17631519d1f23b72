"""Incidents and the mails about them: to look at, to acknowledge, to send again. The portal alone writes them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from portal import dispatch
from portal.text import plural
from quality import incidents
from quality.models import Incident, Notification

STATE_COLOURS = {"open": "danger", "acknowledged": "warning", "resolved": "success"}
MAIL_COLOURS = {"sent": "success", "waiting": "info", "retrying": "warning", "gave_up": "danger", "nobody": "danger"}
MAIL_STATES = {
    "sent": "Sent",
    "waiting": "Waiting to be sent",
    "retrying": "Not through yet, tried again",
    "gave_up": "Not sent, given up",
    "nobody": "Nobody to send it to",
}


class ReadOnly:
    """Rows that the portal writes. Whoever may change them may use the actions, not the fields."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("acknowledged", "Acknowledged"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        if self.value() == "resolved":
            return queryset.filter(resolved_at__isnull=False)
        if self.value() in ("open", "acknowledged"):
            return queryset.filter(resolved_at__isnull=True, acknowledged_at__isnull=self.value() == "open")
        return queryset


class MailInline(ReadOnly, TabularInline):
    model = Notification
    fields = ("kind", "recipient", "state_label", "sent_at", "error")
    readonly_fields = fields
    extra = 0
    verbose_name_plural = "Mails about it"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="state", label=MAIL_COLOURS)
    def state_label(self, notification: Notification) -> tuple[str, str]:
        return notification.state, MAIL_STATES[notification.state]


@admin.register(Incident)
class IncidentAdmin(ReadOnly, ModelAdmin):
    list_display = ("title", "state_label", "kind", "opened_at", "last_seen_at", "occurrences", "source")
    list_filter = (StateFilter, "kind")
    search_fields = ("title", "sentence", "fingerprint")
    date_hierarchy = "opened_at"
    actions = ("acknowledge",)
    inlines = (MailInline,)
    fieldsets = (
        (None, {"fields": ("title", "state_label", "sentence", "affected_lines")}),
        ("Times", {"fields": ("opened_at", "last_seen_at", "occurrences", "acknowledged_at", "acknowledged_by")}),
        ("How it ended", {"fields": ("resolved_at", "resolution")}),
        ("For engineers", {"fields": ("kind", "fingerprint", "source", "check_row", "owner_email", "detail")}),
    )
    readonly_fields = (
        "title", "state_label", "sentence", "affected_lines", "opened_at", "last_seen_at", "occurrences",
        "acknowledged_at", "acknowledged_by", "resolved_at", "resolution", "kind", "fingerprint", "source", "check_row",
        "owner_email", "detail",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        return super().get_queryset(request).select_related("source").defer("source__secrets")

    @display(description="state", label=STATE_COLOURS)
    def state_label(self, incident: Incident) -> tuple[str, str]:
        return incident.state, incident.state.capitalize()

    @display(description="what is affected")
    def affected_lines(self, incident: Incident) -> str:
        return "\n".join(incident.affected) or "–"

    @admin.action(description="Acknowledge: I am on it", permissions=["change"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        keys = list(queryset.values_list("pk", flat=True))
        noted = incidents.acknowledge(keys, request.user.pk or 0)
        self.message_user(request, f"{plural(noted, 'incident')} acknowledged.", messages.SUCCESS)
        if others := len(keys) - noted:
            self.message_user(
                request,
                f"{plural(others, 'other')} had been before, or {'is' if others == 1 else 'are'} resolved.",
                messages.INFO,
            )


@admin.register(Notification)
class NotificationAdmin(ReadOnly, ModelAdmin):
    list_display = ("subject", "to", "state_label", "created_at", "attempts", "next_attempt_at", "error")
    list_filter = ("kind", ("sent_at", admin.EmptyFieldListFilter))
    search_fields = ("subject", "recipient")
    date_hierarchy = "created_at"
    actions = ("send_again",)
    fields = (
        "subject", "to", "state_label", "kind", "incident", "created_at", "sent_at", "attempts", "next_attempt_at",
        "gave_up_at", "error", "text",
    )  # fmt: skip
    readonly_fields = fields
    list_select_related = ("incident",)

    @display(description="to", ordering="recipient")
    def to(self, notification: Notification) -> str:
        return notification.recipient or "nobody"

    @display(description="state", label=MAIL_COLOURS)
    def state_label(self, notification: Notification) -> tuple[str, str]:
        return notification.state, MAIL_STATES[notification.state]

    @admin.action(description="Try again now", permissions=["change"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        due = queryset.filter(sent_at__isnull=True).update(next_attempt_at=timezone.now(), gave_up_at=None)
        if due:
            dispatch.send("deliver_mail")
        self.message_user(request, f"{plural(due, 'mail')} will be sent within a minute.", messages.SUCCESS)
