"""How templates say ages, numbers and states. The words come from `portal.text`; badges have their one home here."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal import text
from sources import cursors

register = template.Library()

# State → (tone, icon, label). The label is always written: colour and shape only repeat it.
BADGES: dict[str, tuple[str, str, str]] = {
    # streams and sources
    "fresh": ("good", "check", "Fresh"),
    "late": ("warn", "alert", "Late"),
    "failing": ("bad", "cross", "Failing"),
    "never_synced": ("quiet", "dashed", "Never synced"),
    "unknown": ("quiet", "question", "Unknown"),
    "off": ("quiet", "dashed", "Switched off"),
    # runs and attempts
    "queued": ("quiet", "dashed", "Queued"),
    "running": ("busy", "running", "Running"),
    "retrying": ("warn", "running", "Waiting to retry"),
    "succeeded": ("good", "check", "Succeeded"),
    "healed": ("good", "check", "Healed"),
    "failed": ("bad", "cross", "Failed"),
    "cancelled": ("quiet", "dashed", "Cancelled"),
    "lost": ("bad", "cross", "Worker lost"),
    # stages that have not come yet, or will not, or that ended without being right
    "found_failures": ("bad", "cross", "Found failures"),
    "found_warnings": ("warn", "alert", "Found warnings"),
    "waiting": ("quiet", "dashed", "Not started"),
    "nothing_new": ("quiet", "check", "Nothing new"),
    # checks and dbt's own words
    "pass": ("good", "check", "Passed"),
    "success": ("good", "check", "Built"),
    "warn": ("warn", "alert", "Warned"),
    "fail": ("bad", "cross", "Failed"),
    "error": ("bad", "cross", "Error"),
    "runtime error": ("bad", "cross", "Error"),
    "skipped": ("quiet", "dashed", "Skipped"),
    "learning": ("quiet", "dashed", "Still learning"),
    # datasets
    "built": ("good", "check", "Built"),
    "not_built": ("bad", "cross", "Not built"),
    "check_fails": ("bad", "cross", "Check fails"),
    "check_warns": ("warn", "alert", "Check warns"),
    "left_as_it_was": ("warn", "alert", "Left as it was"),
    "left_out": ("quiet", "dashed", "Left out"),
    "never_built": ("quiet", "dashed", "Never built"),
    "not_checked": ("quiet", "question", "Not checked"),
    "not_all_checked": ("quiet", "question", "Not all checked"),
    "not_connected": ("quiet", "dashed", "Not connected"),
    "not_read": ("quiet", "dashed", "Not read"),
    # incidents, publications, mails
    "open": ("bad", "cross", "Open"),
    "acknowledged": ("warn", "eye", "Acknowledged"),
    "resolved": ("good", "check", "Resolved"),
    "published": ("good", "check", "Published"),
    "published_in_part": ("warn", "alert", "Published in part"),
    "held": ("bad", "hold", "Held"),
    "delivered": ("good", "check", "Delivered"),
    "undelivered": ("warn", "alert", "Not delivered"),
}


@cache
def _icon(name: str) -> SafeString:
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("portal/icons.svg"),
        name,
    )


@register.simple_tag
def icon(name: str) -> SafeString:
    return _icon(name)


@register.simple_tag
@cache
def badge(state: str, label: str = "") -> SafeString:
    """A state nobody has met before is shown by its own word and never as good."""
    tone, shape, words = BADGES.get(state, ("quiet", "question", str(state).capitalize()))
    return format_html('<span class="badge badge--{}">{}{}</span>', tone, _icon(shape), label or words)


@register.filter
def state_words(state: str) -> str:
    """The badge's label inside a sentence: "pass" → "passed"."""
    return BADGES[state][2].lower() if state in BADGES else state


@register.filter
def tone(state: str) -> str:
    return BADGES.get(state, ("quiet", "", ""))[0]


@register.simple_tag(takes_context=True)
def age(context: dict[str, Any], then: datetime | None, never: str = "never") -> SafeString | str:
    """A relative age whose tooltip is the whole moment. `now` of the page keeps all ages of a page consistent."""
    if then is None:
        return never
    return _time(then, text.ago(then, context.get("now") or timezone.now(), short=True))


@register.simple_tag(takes_context=True)
def due(context: dict[str, Any], then: datetime | None, unknown: str = "soon") -> SafeString | str:
    """When something will be tried: what should have begun already is awaited, not past."""
    now = context.get("now") or timezone.now()
    return age(context, then, unknown) if then is None or then > now else _time(then, "any moment")


@register.simple_tag(takes_context=True)
def at(context: dict[str, Any], then: datetime | None, never: str = "–", seconds: bool = False) -> SafeString | str:
    """The clock time, with the day when it is not today."""
    if then is None:
        return never
    return _time(then, text.clock(then, context.get("now") or timezone.now(), seconds=seconds))


@register.simple_tag(takes_context=True)
def cursor(context: dict[str, Any], value: Any) -> SafeString | str:
    """How far a stream has been read: a moment where it names one, else in words, without "read up to"."""
    moment = cursors.moment_of(value)
    return at(context, moment) if moment else cursors.read_up_to(value).removeprefix("read up to ")


def _time(then: datetime, words: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', then.isoformat(timespec="seconds"), text.moment(then), words
    )


@register.filter
def duration(value: timedelta | float | None) -> str:
    return text.duration(value)


@register.filter
def span(value: timedelta | None) -> str:
    return text.span(value)


@register.filter
def minutes(value: int | None) -> str:
    """A promise kept as minutes, in words."""
    return text.span(None if value is None else timedelta(minutes=value))


@register.filter
def number(value: float | None) -> str:
    return text.number(value)


@register.filter
def measured(value: float | None) -> str:
    """A measured number with as many digits as it needs: 170,000 · 0.25."""
    if value is None:
        return "–"
    return text.number(value, 0 if value == int(value) else 2)


@register.filter
def plural(count: int, words: str) -> str:
    """{{ 3|plural:"source" }} → "3 sources"; {{ n|plural:"query,queries" }}."""
    one, _, many = words.partition(",")
    return text.plural(count, one, many)


@register.filter
def money(value: Decimal | None, currency: str = "usd") -> str:
    return text.money(value, currency)


@register.filter
def signed_money(value: Decimal | None, currency: str = "usd") -> str:
    return text.money(value, currency, signed=True)


@register.filter
def signed_percent(value: Decimal | None) -> str:
    return text.percent(value, signed=True)


@register.filter
def signed_number(value: int | None) -> str:
    return text.number(value) if value is None or value <= 0 else f"+{text.number(value)}"


@register.filter
def axis(value: float, currency: str = "usd") -> str:
    symbol = text.SYMBOLS.get(currency.lower(), "")
    return f"{symbol}{text.compact(value)}"
