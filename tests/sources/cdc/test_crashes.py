"""`kill -9` anywhere while a log is followed: nothing is lost and nothing doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.sources.cdc.test_workload import TABLES, Workload, assert_same

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


class Worker:
    """Syncs in children of one warm process."""

    def __init__(self, folder: Path, settings: dict[str, Any], process: Any) -> None:
        self.folder = folder
        self.process = process

    def sync(self, point: str = "none", kill_after: float | None = None) -> int:
        """The exit status of one sync, which dies at `point`, or is killed after so many seconds."""
        self.process.stdin.write(point + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        if kill_after is not None:
            timer = threading.Timer(kill_after, os.kill, (child, signal.SIGKILL))
            timer.start()
            status = int(self.process.stdout.readline())
            timer.cancel()
            return status
        return int(self.process.stdout.readline())

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def worker(tmp_path: Path, follower: dict[str, Any]) -> Iterator[Callable[..., Worker]]:
    started = []

    def start(**options: Any) -> Worker:
        environment = {**os.environ, "DEMO": "true", "DATA_DIR": str(tmp_path / "data")}
        environment["DJANGO_SETTINGS_MODULE"] = "portal.settings"
        command = [sys.executable, "-m", "tests.sources.cdc.crash", str(tmp_path), json.dumps({**follower, **options})]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return Worker(tmp_path, options, process)

    yield start
    for process in started:
        process.stdin.close()
        process.wait(30)


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
    while killed < 10 and tries < 40:
        tries += 1
        killed += process.sync(kill_after=chance.uniform(0.05, 2.5)) == -signal.SIGKILL
        work.transactions(4)
    assert killed == 10

    assert process.sync() == 0
    assert process.sync() == 0

    assert_same(shop, process.query, soft=True)
