"""What the source form's templates need."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template

register = template.Library()


@register.filter
def get(mapping: Mapping[str, Any], key: str) -> Any:
    return mapping.get(key)


@register.filter
def local_moment(moment: datetime) -> str:
    """In the moment's own time zone, whatever the page's is: "Tuesday 24 November 2026, 07:00 GMT"."""
    return f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M %Z}"
