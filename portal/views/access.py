"""Who may press what. Everybody who is logged in may look."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the reader is staff and has `permission` ("sources.change_source")."""
    return bool(request.user.is_staff and request.user.has_perm(permission))


def require(permission: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Refuse (403) whoever may not; log-in itself is asked for by the middleware."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not may(request, permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return decorate
