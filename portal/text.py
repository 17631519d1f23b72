"""How the portal says things: ages, durations, moments, numbers, plurals. Pages and mails read the same.

Plain functions of plain values. Whatever is unknown (None) is said in words, never shown as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

MINUTE, HOUR, DAY = 60, 3600, 86400
MINUS = "\N{MINUS SIGN}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "aud": "A$", "cad": "CA$"}


# --- counting -------------------------------------------------------------------------------------------------------
def plural(count: int, one: str, many: str = "") -> str:
    """(1, "source") → "1 source"; (3, "source") → "3 sources"; (1204, "row") → "1,204 rows"."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def listed(items: Sequence[str], *, most: int = 4) -> str:
    """["a", "b", "c"] → "a, b and c"; what is beyond `most` is counted: "a, b, c, d and 3 more"."""
    shown = list(items[:most])
    if len(items) > most:
        shown.append(f"{len(items) - most} more")
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def number(value: float | Decimal | None, digits: int = 0) -> str:
    """1204 → "1,204"; None → "unknown". A minus is a real minus sign."""
    return "unknown" if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def compact(value: float | Decimal) -> str:
    """For axes: 171204 → "171.2k", 2_400_000 → "2.4M"."""
    plain = float(value)
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(plain) >= size:
            return number(plain / size, 1).removesuffix(".0") + letter
    return number(value)


def money(value: float | Decimal | None, currency: str = "usd", *, signed: bool = False, cents: bool = False) -> str:
    """(171204, "usd") → "$171,204"; signed: "+$1,200", "−$300"; a currency without a sign: "171,204 CHF".

    `cents`: "$171,204.00", where two amounts may differ by less than one.
    """
    if value is None:
        return "unknown"
    digits = 2 if cents else 0
    rounded = round(Decimal(value), digits)
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    amount = f"{abs(rounded):,.{digits}f}"
    symbol = SYMBOLS.get(currency.lower())
    return f"{sign}{symbol}{amount}" if symbol else f"{sign}{amount}{NARROW}{currency.upper()}".rstrip()


def percent(ratio: float | Decimal | None, digits: int = 1, *, signed: bool = False) -> str:
    """0.0123 → "1.2%"; signed: "+1.2%". None (nothing to compare with) → "n/a"."""
    if ratio is None:
        return "n/a"
    value = round(float(ratio) * 100, digits)
    sign = "+" if signed and value > 0 else ""
    return f"{sign}{number(value or 0.0, digits)}%"


# --- time -----------------------------------------------------------------------------------------------------------
def _largest_unit(seconds: float) -> tuple[int, str, str]:
    """(how many, unit, short unit) of the one unit people would use."""
    if seconds < MINUTE:
        return int(seconds), "second", "s"
    if seconds < HOUR:
        return int(seconds // MINUTE), "minute", "min"
    if seconds < 2 * DAY:
        return int(seconds // HOUR), "hour", "h"
    return int(seconds // DAY), "day", "d"


def ago(then: datetime | None, now: datetime, *, short: bool = False) -> str:
    """ "12 minutes ago", "in 2 hours", "just now"; short: "12 min ago". None → "never"."""
    if then is None:
        return "never"
    seconds = (now - then).total_seconds()
    if abs(seconds) < (10 if seconds < 0 else MINUTE):
        return "just now" if seconds >= 0 else "any moment"
    count, unit, brief = _largest_unit(abs(seconds))
    span = f"{count} {brief}" if short else plural(count, unit)
    return f"{span} ago" if seconds > 0 else f"in {span}"


def span(delta: timedelta | None) -> str:
    """A promise or an age in one unit: 90 minutes → "90 minutes", 2 h → "2 hours". None → "unknown"."""
    if delta is None:
        return "unknown"
    seconds = delta.total_seconds()
    for size, unit in ((7 * DAY, "week"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= size and seconds % size == 0:
            return plural(int(seconds // size), unit)
    count, unit, _ = _largest_unit(seconds)
    return plural(count, unit)


def duration(value: timedelta | float | None) -> str:
    """How long work took: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". None → "–" (not started)."""
    if value is None:
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    seconds = max(seconds, 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, part in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def clock(then: datetime, now: datetime, *, seconds: bool = False) -> str:
    """A moment inside a sentence, in the portal's time zone: "07:10", "yesterday 07:10", "12 Nov 07:10"."""
    local, today = timezone.localtime(then), timezone.localtime(now).date()
    time = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    if local.date() == today:
        return time
    if local.date() == today - timedelta(days=1):
        return f"yesterday {time}"
    if local.date() == today + timedelta(days=1):
        return f"tomorrow {time}"
    year = f" {local.year}" if local.year != today.year else ""
    return f"{local.day} {local:%b}{year} {time}"


def moment(then: datetime) -> str:
    """The whole truth, for a tooltip: "Thu 12 Nov 2026, 07:10:04 UTC"."""
    local = timezone.localtime(then)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M:%S %Z}"
