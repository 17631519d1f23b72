"""When a source is read: a cron expression in a time zone, said in words, owned as one PeriodicTask."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from celery.schedules import ParseException, crontab
from cronsim import CronSim, CronSimError
from cronsim.cronsim import SYMBOLIC_DAYS, SYMBOLIC_MONTHS
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from sources import rhythms

if TYPE_CHECKING:
    from sources.models import Source

TASK = "portal.tasks.start_scheduled_sync"


def canonical(expression: str) -> str:
    """`expression` as it is stored: five fields, numbers for names, Sunday is 0, one space between.

    Raises `ValueError` with a sentence when it is none, or when the two programs that read it (the clock that starts
    syncs, and this portal's "next runs") would understand it differently.
    """
    fields = expression.upper().split()
    if not fields:
        return ""
    if len(fields) != 5:
        raise ValueError("A schedule has five parts: minute, hour, day of month, month, day of week.")
    refusal = f"“{expression}” is not a schedule we understand"
    try:
        with_cronsim = CronSim(" ".join(fields), datetime(2026, 1, 1))
    except CronSimError as error:
        raise ValueError(f"{refusal}: {str(error).lower()}.") from None
    fields[3] = _numbered(fields[3], {name: str(number) for number, name in enumerate(SYMBOLIC_MONTHS, start=1)})
    fields[4] = _weekdays(fields[4], with_cronsim)
    minute, hour, day_of_month, month, day_of_week = fields
    try:
        with_celery = crontab(minute, hour, day_of_week, day_of_month, month)
    except (ParseException, ValueError):
        raise ValueError(f"{refusal}: use numbers, names of days and months, and the signs * , - / only.") from None
    if not day_of_month.startswith("*") and not day_of_week.startswith("*"):
        raise ValueError(
            f"{refusal}: it names both days of the month and days of the week. Schedulers disagree on whether one "
            "or both must match, so choose one of them."
        )
    agree = (
        with_cronsim.minutes == with_celery.minute
        and with_cronsim.hours == with_celery.hour
        and with_cronsim.days == with_celery.day_of_month
        and with_cronsim.months == with_celery.month_of_year
        and {day % 7 for day in with_cronsim.weekdays if isinstance(day, int)} == with_celery.day_of_week
    )
    if not agree:
        raise ValueError(f"{refusal} the same way everywhere. Write the numbers out, with commas between.")
    return " ".join(fields)


def parse(expression: str) -> None:
    """Raise `ValueError` with a sentence when `expression` is no five-field cron expression."""
    if not canonical(expression):
        raise ValueError("A schedule has five parts: minute, hour, day of month, month, day of week.")


def check_zone(name: str) -> None:
    """Raise `ValueError` with a sentence when `name` is no time zone."""
    if name not in available_timezones():
        raise ValueError(f"“{name}” is not a time zone we know. Write it like Europe/London or UTC.")


def _numbered(field: str, names: dict[str, str]) -> str:
    return re.sub(r"[A-Z]{3}", lambda found: names.get(found[0], found[0]), field)


def _weekdays(field: str, cron: CronSim) -> str:
    """Names as numbers; a field that reaches Sunday as 7 is written out, because Celery's Sunday is 0 only."""
    field = _numbered(field, {name: str(number) for number, name in enumerate(SYMBOLIC_DAYS)})
    if field == "*" or "7" not in re.split(r"[^0-9]+", field.partition("/")[0]):
        return field
    return ",".join(str(day) for day in sorted({day % 7 for day in cron.weekdays if isinstance(day, int)}))


def in_words(expression: str, zone: str = "") -> str:
    """ "0 */2 * * *" → "Every 2 hours"; with `zone` → "Every 2 hours (Europe/London)"."""
    words = rhythms.from_cron(expression).in_words()
    return f"{words} ({zone})" if zone and expression else words


def next_runs(expression: str, zone: str, after: datetime, count: int = 5) -> list[datetime]:
    """The next `count` moments, in the schedule's time zone; daylight saving handled as cron does."""
    if not expression:
        return []
    return list(islice(CronSim(expression, after.astimezone(ZoneInfo(zone))), count))


def last_due(expression: str, zone: str, now: datetime) -> datetime | None:
    """The latest moment at or before `now` at which the schedule wanted a run."""
    if not expression:
        return None
    # The iterator is exclusive of its start; a second's step includes `now` itself.
    start = (now + timedelta(seconds=1)).astimezone(ZoneInfo(zone))
    return next(iter(CronSim(expression, start, reverse=True)), None)


def longest_gap(expression: str, zone: str, after: datetime) -> timedelta | None:
    """The longest wait between two of the next hundred runs; None when it never runs by itself."""
    moments = [moment.astimezone(UTC) for moment in next_runs(expression, zone, after, count=100)]
    return max((late - early for early, late in pairwise(moments)), default=None)


def note_change(source: Source) -> None:
    """Remember when the schedule last changed, so that the sweep does not blame the past on the new schedule."""
    before = None
    if source.pk:
        before = type(source).objects.filter(pk=source.pk).values_list("schedule", "timezone", "is_enabled").first()
    if before != (source.schedule, source.timezone, source.is_enabled):
        source.schedule_changed_at = timezone.now()


def own_periodic_task(source: Source) -> None:
    """Make the source's PeriodicTask say what the source says. Each source owns exactly one."""
    if not source.schedule:
        owned = _crontab("0 0 1 1 *", source.timezone)
    else:
        owned = _crontab(canonical(source.schedule), source.timezone)
    values = {
        "task": TASK,
        "crontab": owned,
        "args": json.dumps([source.pk]),
        "queue": "default",
        "enabled": bool(source.is_enabled and source.schedule),
        "description": f"Reads {source.name}. Change it on the source, not here.",
    }
    task, created = PeriodicTask.objects.get_or_create(name=f"source:{source.slug}", defaults=values)
    if not created and any(getattr(task, key) != value for key, value in values.items()):
        for key, value in values.items():
            setattr(task, key, value)
        task.save()
    if source.periodic_task_id != task.pk:
        source.periodic_task = task
        type(source).objects.filter(pk=source.pk).update(periodic_task=task)


def _crontab(expression: str, zone: str) -> CrontabSchedule:
    minute, hour, day_of_month, month_of_year, day_of_week = expression.split()
    schedule, _ = CrontabSchedule.objects.get_or_create(
        minute=minute,
        hour=hour,
        day_of_month=day_of_month,
        month_of_year=month_of_year,
        day_of_week=day_of_week,
        timezone=zone,
    )
    return schedule
