from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django_celery_beat.models import PeriodicTask

from sources import schedules
from sources.models import Source
from tests.factories import SourceFactory


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("0 */2 * * *", "0 */2 * * *"),
        ("  0   7 * *  mon-fri ", "0 7 * * 1-5"),
        ("0 7 * * SUN,MON", "0 7 * * 0,1"),
        ("0 9 * * 7", "0 9 * * 0"),
        ("0 9 * * 5-7", "0 9 * * 0,5,6"),
        ("0 9 1 jan *", "0 9 1 1 *"),
        ("", ""),
    ],
)
def test_a_cron_expression_is_stored_in_one_form(written, stored):
    assert schedules.canonical(written) == stored


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("* * * *", "five parts"),
        ("* * * * * *", "five parts"),
        ("x * * * *", "bad minute"),
        ("61 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 L * *", "numbers, names of days"),
        ("0 0 * * 1#2", "numbers, names of days"),
        ("5/15 * * * *", "numbers, names of days"),
        ("0 0 1 * 1", "days of the month and days of the week"),
    ],
)
def test_what_the_clock_would_not_understand_is_refused_with_a_sentence(written, says):
    with pytest.raises(ValueError, match=says):
        schedules.canonical(written)


def test_the_clock_and_our_preview_read_every_accepted_expression_alike():
    """Celery's crontab starts the syncs, CronSim says when: over an ordinary fortnight they name the same minutes."""
    from cronsim import CronSim
    from django_celery_beat.tzcrontab import TzAwareCrontab

    start = datetime(2026, 6, 1, tzinfo=UTC)
    for expression in ("*/15 * * * *", "0 */2 * * *", "30 7 * * 1-5", "0 9 * * 0,3", "10-50/20 8-18/2 1-15 * *"):
        minute, hour, day, month, weekday = schedules.canonical(expression).split()
        clock = TzAwareCrontab(minute, hour, weekday, day, month, tz=UTC)
        for moment, _ in zip(CronSim(expression, start), range(40), strict=False):
            assert moment.minute in clock.minute
            assert moment.hour in clock.hour
            assert moment.day in clock.day_of_month
            assert moment.isoweekday() % 7 in clock.day_of_week


def test_next_runs_keep_the_wall_clock_time_over_both_clock_changes():
    london = ZoneInfo("Europe/London")
    for day, offsets in (("2026-03-27", {0, 1}), ("2026-10-23", {0, 1})):
        after = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=london)
        moments = schedules.next_runs("0 7 * * *", "Europe/London", after, count=4)
        assert [moment.hour for moment in moments] == [7, 7, 7, 7]
        assert [moment.day - after.day for moment in moments] == [1, 2, 3, 4]
        assert {moment.utcoffset() // timedelta(hours=1) for moment in moments} == offsets


def test_a_time_that_the_clock_change_skips_still_runs_once_that_day():
    after = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/London"))
    moments = schedules.next_runs("30 1 * * *", "Europe/London", after, count=3)
    assert [moment.day for moment in moments] == [29, 30, 31]


def test_a_time_that_the_clock_change_repeats_runs_once_that_day():
    after = datetime(2026, 10, 24, 12, tzinfo=ZoneInfo("Europe/London"))
    moments = schedules.next_runs("30 1 * * *", "Europe/London", after, count=3)
    assert [moment.day for moment in moments] == [25, 26, 27]


def test_an_hourly_schedule_runs_in_the_repeated_hour_too():
    after = datetime(2026, 10, 25, 0, 30, tzinfo=ZoneInfo("Europe/London"))
    moments = schedules.next_runs("0 * * * *", "Europe/London", after, count=3)
    stamps = [moment.astimezone(UTC) for moment in moments]
    assert [late - early for early, late in pairwise(stamps)] == [timedelta(hours=1)] * 2


def test_last_due_includes_the_moment_itself():
    now = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    assert schedules.last_due("0 */2 * * *", "UTC", now) == now
    assert schedules.last_due("0 */2 * * *", "UTC", now - timedelta(seconds=1)) == now - timedelta(hours=2)
    assert schedules.last_due("", "UTC", now) is None


def test_the_longest_gap_of_a_weekday_schedule_is_the_weekend():
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert schedules.longest_gap("0 7 * * 1-5", "UTC", now) == timedelta(days=3)
    assert schedules.longest_gap("", "UTC", now) is None


def test_a_time_zone_nobody_knows_is_refused():
    schedules.check_zone("Europe/London")
    with pytest.raises(ValueError, match="Mars/Base"):
        schedules.check_zone("Mars/Base")


# --- the PeriodicTask of a source -----------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_source_owns_exactly_one_periodic_task_that_follows_it():
    source = SourceFactory(slug="shop", schedule="0 7 * * 1-5", timezone="Europe/London")
    task = PeriodicTask.objects.get(name="source:shop")
    assert (task.task, json.loads(task.args), task.enabled) == (schedules.TASK, [source.pk], True)
    assert str(task.crontab.timezone) == "Europe/London"
    assert task.crontab.day_of_week == "1-5"

    source.schedule = "*/15 * * * *"
    source.save()
    task.refresh_from_db()
    assert (task.crontab.minute, task.crontab.day_of_week) == ("*/15", "*")

    source.is_enabled = False
    source.save()
    task.refresh_from_db()
    assert task.enabled is False
    assert PeriodicTask.objects.filter(name__startswith="source:").count() == 1


@pytest.mark.django_db
def test_a_source_read_only_by_hand_has_a_task_that_never_fires():
    source = SourceFactory(schedule="")
    assert source.periodic_task.enabled is False


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["one", "many"])
def test_deleting_sources_removes_their_tasks(how):
    source = SourceFactory()
    SourceFactory()
    if how == "one":
        source.delete()
    else:
        Source.objects.filter(pk=source.pk).delete()
    assert PeriodicTask.objects.filter(name__startswith="source:").count() == 1
    assert not PeriodicTask.objects.filter(name=f"source:{source.slug}").exists()


@pytest.mark.django_db
def test_the_moment_of_a_change_is_kept_so_that_the_past_is_not_blamed_on_the_new_schedule():
    source = SourceFactory(schedule="0 7 * * *")
    first = source.schedule_changed_at
    source.name = "Another name"
    source.save()
    assert source.schedule_changed_at == first
    source.schedule = "0 8 * * *"
    source.save()
    assert source.schedule_changed_at > first
