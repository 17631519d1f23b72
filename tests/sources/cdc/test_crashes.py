"""`kill -9` anywhere while a log is followed: nothing is lost and nothing doubled."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.sources.cdc.test_workload import TABLES, Workload, assert_same

pytestmark = pytest.mark.slow


POINTS = [
    "slot made",
    "table read",
    "log opened",
    "changes taken",
    "changes kept",
    "changes settled",
    "extracted",
    "file copied",
    "before merge",
    "after merge",
    "before complete",
    "after complete",
    "before confirmation",
    "after confirmation",
    "slot moved",
]


@pytest.mark.parametrize("deletes", ["soft", "hard"])
def test_killed_at_every_step_it_ends_with_what_the_source_has(shop, worker, deletes):
    shop.execute(TABLES)
    shop.execute("set timezone = 'UTC'")
    work = Workload(shop, seed=11)
    work.transactions(10)
    process = worker(deletes=deletes)
    for point in ("slot made", "table read", "extracted", "after merge", "before complete"):
        assert process.sync(point) == -signal.SIGKILL, point
        work.transactions(2)
    assert process.sync() == 0
    for point in POINTS[2:]:
        work.transactions(6)
        assert process.sync(point) == -signal.SIGKILL, point
    work.transactions(3)

    assert process.sync() == 0
    assert process.sync() == 0

    assert_same(shop, process.query, soft=deletes == "soft")


def test_killed_at_ten_random_moments_it_ends_with_what_the_source_has(shop, worker):
    shop.execute(TABLES)
    shop.execute("set timezone = 'UTC'")
    chance = random.Random(5)
    work = Workload(shop, seed=5)
    work.transactions(20)
    process = worker(deletes="soft")
    killed = 0
    tries = 0
    lasts = 2.5  # seconds, until a sync that nobody killed in time has shown how long one takes here
    while killed < 10 and tries < 40:
        tries += 1
        began = time.monotonic()
        if process.sync(kill_after=chance.uniform(0.05, lasts)) == -signal.SIGKILL:
            killed += 1
        else:
            lasts = time.monotonic() - began
        work.transactions(4)
    assert killed == 10

    assert process.sync() == 0
    assert process.sync() == 0

    assert_same(shop, process.query, soft=True)
