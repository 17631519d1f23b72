"""Syncs of own code in worker processes that die at a chosen point, as `kill -9` does; orders come as JSON lines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.sources.engines.crash import after, before
from tests.sources.engines.orders import serve

# The emulator of BigQuery takes no compressed rows, and the environment of the code's own process is another one.
UNCOMPRESSED = {"NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true"}
POINTS = ("reading", "before load", "job 1", "job 2", "job 3", "before complete", "after complete")

CODE = """
import os, time
import dlt

@dlt.source
def shop(size: int = dlt.config.value, victim: int = dlt.config.value, note=dlt.config.value):
    @dlt.resource(primary_key="id", write_disposition="merge")
    def orders(at=dlt.sources.incremental("at", initial_value=0)):
        yield [{"id": n, "at": n, "lines": [{"sku": m} for m in range(2)]} for n in range(at.start_value, size)]

    @dlt.resource(write_disposition="append")
    def visits(at=dlt.sources.incremental("at", initial_value=-1, range_start="open")):
        for n in range(at.start_value + 1, size):
            if victim:
                with open(note, "w") as file:
                    file.write(str(os.getpid()))
                os.kill(victim, 9)
                time.sleep(600)
            yield {"at": n, "pages": [{"path": "/"}]}

    return orders, visits
"""


def arm(point: str, url: str) -> None:
    from sources.engines.dlt_store import import_dlt

    import_dlt()
    from dlt.destinations.impl.bigquery.bigquery import BigQueryLoadJob
    from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob
    from dlt.destinations.insert_job_client import InsertValuesLoadJob
    from dlt.destinations.job_client_impl import SqlJobClientBase
    from dlt.pipeline.pipeline import Pipeline

    jobs = {"duckdb": DuckDbCopyJob, "postgresql": InsertValuesLoadJob, "bigquery": BigQueryLoadJob}
    if point.startswith("job "):
        after(jobs[url.partition(":")[0]], "run", int(point[4:]))
    elif point == "before load":
        before(Pipeline, "load")
    elif point == "before complete":
        before(SqlJobClientBase, "complete_load")
    elif point == "after complete":
        after(SqlJobClientBase, "complete_load")


def sync(folder: Path, size: int, point: str, url: str) -> None:
    from django.conf import settings

    from sources.connectors.base import StreamRequest
    from sources.engines.base import SyncRequest
    from sources.engines.own_code import process
    from sources.engines.own_code.engine import OwnCodeEngine

    settings.WAREHOUSE_URL = url
    settings.PIPELINES_DIR = folder / "pipelines"
    settings.PIPELINES_DIR.mkdir(exist_ok=True)
    (settings.PIPELINES_DIR / "shop.py").write_text(CODE)
    process._QUIET.update(UNCOMPRESSED)
    arm(point, url)
    victim = os.getpid() if point == "reading" else 0
    request = SyncRequest(
        source="shop",
        connector="shop",
        settings={"size": size, "victim": victim, "note": str(folder / "child.pid")},
        streams=(StreamRequest("orders"), StreamRequest("visits")),
        dataset="raw_shop",
        work_dir=folder / "work",
    )
    OwnCodeEngine().sync(request, lambda stream, rows: None)


def _warm_up() -> None:
    from sources.engines.own_code.engine import OwnCodeEngine

    OwnCodeEngine().warm_up()


def _carry_out(order: dict[str, Any]) -> None:
    os.environ.update(order["environment"])
    sync(Path(order["folder"]), order["size"], order["point"], order["url"])


if __name__ == "__main__":
    serve(_warm_up, _carry_out)
