"""A plain dlt script for a paged JSON API, as somebody would write it. `BASE_URL DATABASE_FILE`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import dlt
import duckdb
import pyarrow.parquet  # noqa: F401 - imported before the clock starts, as on the other side
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

from bench.meter import tell

base_url, database = sys.argv[1:3]


@dlt.resource(primary_key="id", write_disposition="replace", max_table_nesting=0)
def charges():
    client = RESTClient(
        base_url,
        headers={"Authorization": "Bearer sk_test_bench"},
        data_selector="data",
        paginator=JSONResponseCursorPaginator(cursor_path="data[-1].id", cursor_param="starting_after"),
    )
    yield from client.paginate("v1/charges", params={"limit": 100})


began = time.perf_counter()
pipeline = dlt.pipeline(
    "plain",
    destination=dlt.destinations.duckdb(database),
    dataset_name="raw_plain",
    pipelines_dir=str(Path(database).parent / "dlt"),
)
pipeline.run(charges(), loader_file_format="parquet").raise_on_failed_jobs()
seconds = time.perf_counter() - began
with duckdb.connect(database) as connection:
    tell(seconds, connection.sql("select count(*) from raw_plain.charges").fetchone()[0])
