from __future__ import annotations

from datetime import time

import pytest

from sources import schedules
from sources.rhythms import HOURS, MINUTES, PAST, Kind, Rhythm, from_cron

EVERYDAY = [
    Rhythm(Kind.MANUAL),
    *(Rhythm(Kind.MINUTES, every=every) for every in MINUTES),
    *(Rhythm(Kind.HOURS, every=every, past=past) for every in HOURS for past in PAST),
    Rhythm(Kind.DAILY, at=time(6, 30)),
    Rhythm(Kind.WEEKDAYS, at=time(7)),
    Rhythm(Kind.WEEKLY, at=time(23, 59), days=(1,)),
    Rhythm(Kind.WEEKLY, at=time(0, 0), days=(0, 2, 6)),
    Rhythm(Kind.CRON, expression="10-50/20 8-18 * * *"),
]


@pytest.mark.parametrize("rhythm", EVERYDAY, ids=lambda rhythm: rhythm.to_cron() or "by hand")
def test_every_rhythm_comes_back_from_its_cron_expression(rhythm):
    assert from_cron(rhythm.to_cron()) == rhythm
    assert schedules.canonical(rhythm.to_cron()) == rhythm.to_cron()


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "Only by hand"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("0 * * * *", "Every hour"),
        ("0 */2 * * *", "Every 2 hours"),
        ("20 */4 * * *", "Every 4 hours, 20 minutes past"),
        ("5 7 * * *", "Every day at 07:05"),
        ("0 7 * * 1-5", "Weekdays at 07:00"),
        ("0 7 * * 0,1,4", "Every Monday, Thursday and Sunday at 07:00"),
        ("0 9 1 * *", "At 09:00, on day 1 of the month"),
        ("0 */7 * * *", "Every 7 hours"),
    ],
)
def test_schedules_are_said_in_words(expression, words):
    assert schedules.in_words(expression) == words


def test_the_zone_is_said_when_there_is_a_schedule():
    assert schedules.in_words("0 7 * * 1-5", "Europe/London") == "Weekdays at 07:00 (Europe/London)"
    assert schedules.in_words("", "Europe/London") == "Only by hand"


def test_only_minutes_and_hours_that_divide_evenly_are_offered():
    assert all(60 % every == 0 for every in MINUTES)
    assert all(24 % every == 0 for every in HOURS)


def test_what_is_no_everyday_rhythm_stays_a_cron_expression():
    for expression in ("*/7 * * * *", "3 */2 * * *", "0 */5 * * *", "0 7 1 * *", "0 7 * 1 *", "0 7 * * 1-4"):
        assert from_cron(expression) == Rhythm(Kind.CRON, expression=expression)
