"""Run syncs in processes of their own that die at a chosen point, as `kill -9` does.

An order (see orders.py) is {"folder", "round", "point", "since"}: `since` is the day of a backfill of "a" that every
order repeats until it is done.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.sources.engines.orders import serve

POINTS = (
    "reading",
    "extracted",
    "normalized",
    "file copied",
    "file waiting",
    "before merge",
    "after merge",
    "before complete",
    "after complete",
)


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, times: int = 1) -> None:
    """Die when `owner.name` is called for the n-th time, before it does anything."""
    _wrap(owner, name, times, lambda call: die())


def after(owner: Any, name: str, times: int = 1) -> None:
    """Die when `owner.name` has done its work for the n-th time."""
    _wrap(owner, name, times, lambda call: (call(), die()))


def _wrap(owner: Any, name: str, times: int, last: Callable[[Callable[[], Any]], Any]) -> None:
    real, count = getattr(owner, name), 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        return last(lambda: real(*args, **kwargs)) if count == times else real(*args, **kwargs)

    setattr(owner, name, wrapped)


def arm(point: str) -> None:
    """Set the trap; unknown points are a mistake of the test."""
    from sources.engines.dlt_store import import_dlt

    import_dlt()
    from dlt.destinations.job_client_impl import SqlLoadJob
    from dlt.pipeline.pipeline import Pipeline

    from sources.engines.dlt_duckdb import CopyJob, PortalDuckDbClient, WaitingJob

    {
        "none": lambda: None,
        "reading": lambda: None,  # the connector itself dies
        "extracted": lambda: before(Pipeline, "normalize"),
        "normalized": lambda: before(Pipeline, "load"),
        "file copied": lambda: after(CopyJob, "run"),
        "file waiting": lambda: after(WaitingJob, "run"),
        "before merge": lambda: before(SqlLoadJob, "run"),
        "after merge": lambda: after(SqlLoadJob, "run"),
        "before complete": lambda: before(PortalDuckDbClient, "complete_load"),
        "after complete": lambda: after(PortalDuckDbClient, "complete_load"),
    }[point]()


def sync(folder: Path, round_number: int, point: str, since_day: str = "") -> None:
    from django.conf import settings

    from sources import connectors
    from sources.connectors.base import Again, Page, StreamRequest, SyncMode
    from sources.engines.base import SyncRequest
    from sources.engines.dlt_engine import DltEngine
    from tests.sources.engines.fakes import row

    settings.WAREHOUSE_URL = f"duckdb:///{folder}/warehouse.duckdb"
    connectors.CONNECTORS["fake"] = "tests.sources.engines.fakes.FakeConnector"
    fake: Any = connectors.get_connector("fake")
    top = 100 * round_number

    def new(since: Any) -> Any:
        # Half of what was known comes again with new values; what comes depends on the cursor alone.
        is_again = isinstance(since, dict)  # the fake's way to say that it reaches back: to the beginning
        begin = 0 if since is None or is_again else since - 50
        for number in range(begin, top, 10):
            if point == "reading" and number > begin:
                die()
            yield Page([row(n, name=f"round {round_number}") for n in range(number, number + 10)], cursor=None)
        yield Page([], cursor=top)

    fake.pages = {"a": new, "b": [Page([row(n, name=f"round {round_number}") for n in range(top)])]}
    arm(point)
    again = Again("wish", datetime.fromisoformat(since_day)) if since_day else None
    request = SyncRequest(
        source="fake",
        connector="fake",
        settings={"token": "x"},
        streams=(StreamRequest("a", again=again), StreamRequest("b", SyncMode.FULL_REFRESH)),
        dataset="raw_fake",
        work_dir=folder / "work",
    )
    outcome = DltEngine().sync(request, lambda stream, rows: None)
    assert outcome.streams[0].again == (again.key if again else "")


def _warm_up() -> None:
    from sources.engines.dlt_store import warm_up

    warm_up()


if __name__ == "__main__":
    serve(
        _warm_up,
        lambda order: sync(Path(order["folder"]), order["round"], order["point"], order["since"]),
    )
