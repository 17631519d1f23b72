"""When a source is read: a cron expression in a time zone, said in words, owned as one PeriodicTask."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cron_descriptor import get_description
from cronsim import CronSim, CronSimError
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

if TYPE_CHECKING:
    from sources.models import Source

TASK = "portal.tasks.start_scheduled_sync"


def parse(expression: str) -> None:
    """Raise `ValueError` with a sentence when `expression` is no five-field cron expression."""
    if len(expression.split()) != 5:
        raise ValueError("A schedule has five parts: minute, hour, day of month, month, day of week.")
    try:
        CronSim(expression, datetime(2026, 1, 1))
    except CronSimError as error:
        raise ValueError(f"“{expression}” is not a schedule we understand: {error}.") from None


def in_words(expression: str) -> str:
    """ "0 */2 * * *" → "Every 2 hours"."""
    if not expression:
        return "Only by hand"
    try:
        return get_description(expression)
    except Exception:  # the describer's own exceptions; the expression itself was validated before
        return expression


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
        crontab = _crontab("0 0 1 1 *", source.timezone)
    else:
        parse(source.schedule)
        crontab = _crontab(source.schedule, source.timezone)
    values = {
        "task": TASK,
        "crontab": crontab,
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
