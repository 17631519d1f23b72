"""Sync a followed source in a process of its own, which somebody kills: python -m tests.sources.cdc.crash FOLDER SETTINGS URL

One process imports everything and forks a child per sync, as a prefork worker does. Each line on standard input is one
order: the point at which the child kills itself ("none": it does not). The answer is the child's exit status.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.sources.engines.crash import after, before

SOURCE = "shop"


def points() -> dict[str, Any]:
    from dlt.destinations.job_client_impl import SqlJobClientBase, SqlLoadJob
    from dlt.pipeline.pipeline import Pipeline

    from sources.connectors import postgres_slots
    from sources.connectors.postgres_changes import Net
    from sources.connectors.postgres_session import Session
    from sources.connectors.postgres_stream import Replication
    from sources.engines.changes import ChangeSpool
    from sources.engines.dlt_duckdb import CopyJob
    from sources.engines.following import Following

    return {
        "none": lambda: None,
        "slot made": lambda: after(Replication, "make_slot"),
        "table read": lambda: after(Session, "rows", 2),
        "log opened": lambda: after(Replication, "messages"),
        "changes taken": lambda: after(Net, "take", 2),
        "changes kept": lambda: after(ChangeSpool, "add"),
        "changes settled": lambda: after(ChangeSpool, "settle"),
        "extracted": lambda: before(Pipeline, "normalize"),
        "file copied": lambda: after(CopyJob, "run"),
        "before merge": lambda: before(SqlLoadJob, "run"),
        "after merge": lambda: after(SqlLoadJob, "run"),
        "before complete": lambda: before(SqlJobClientBase, "complete_load"),
        "after complete": lambda: after(SqlJobClientBase, "complete_load"),
        "before confirmation": lambda: before(Following, "confirm"),
        "after confirmation": lambda: after(Following, "confirm"),
        "slot moved": lambda: after(postgres_slots, "_when_free"),
    }


def sync(folder: Path, settings: dict[str, Any], point: str) -> None:
    from sources.connectors import get_connector
    from sources.connectors.base import StreamRequest
    from sources.engines.base import SyncRequest
    from sources.engines.dlt_engine import DltEngine

    points()[point]()
    streams = tuple(StreamRequest(spec.name) for spec in get_connector("postgres").discover(settings))
    request = SyncRequest(SOURCE, "postgres", settings, streams, f"raw_{SOURCE}", folder / "work")
    DltEngine().sync(request, lambda stream, rows: None)


def main(folder: Path, settings: dict[str, Any], warehouse_url: str) -> None:
    import django

    django.setup()
    from django.conf import settings as portal

    from sources.engines.dlt_store import warm_up

    portal.WAREHOUSE_URL = warehouse_url
    warm_up()
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                sync(folder, settings, line.strip())
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3])
