"""The list of internal hosts that sources may be connected to: superusers only, with its history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin

from sources.hosts import AllowedHost


@admin.register(AllowedHost)
class AllowedHostAdmin(SimpleHistoryAdmin, ModelAdmin):
    list_display = ("host", "port", "reason", "added_by", "added_at")
    list_select_related = ("added_by",)
    search_fields = ("host", "reason")
    fields = ("host", "port", "reason")

    # A permission given to a group would not be enough: whoever is on this list decides where our network is open.
    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def save_model(self, request: HttpRequest, obj: AllowedHost, form: Any, change: bool) -> None:
        if not change:
            obj.added_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
