"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from quality.models import Incident

THEMES = ("auto", "light", "dark")


def portal(request: HttpRequest) -> dict[str, Any]:
    """`open_incidents` is asked of the database only where a template shows it; a view may already know it."""
    theme = request.COOKIES.get("theme", "auto")
    return {
        "is_demo": settings.DEMO,
        "portal_url": settings.PORTAL_URL,
        "theme": theme if theme in THEMES else "auto",
        "themes": THEMES,
        "open_incidents": lambda: Incident.objects.open().count(),
    }
