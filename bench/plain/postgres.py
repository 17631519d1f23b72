"""Plain dlt at its fastest for a PostgreSQL table: sql_table, connectorx, Parquet. `URI DATABASE_FILE TABLE`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import connectorx  # noqa: F401 - imported before the clock starts, as on the other sides
import dlt
import duckdb
import pyarrow.parquet  # noqa: F401
from dlt.sources.sql_database import sql_table

from bench.meter import tell

uri, database, table = sys.argv[1:4]
began = time.perf_counter()
pipeline = dlt.pipeline(
    "plain",
    destination=dlt.destinations.duckdb(database),
    dataset_name="raw_plain",
    pipelines_dir=str(Path(database).parent / "dlt"),
)
rows = sql_table(credentials=uri, schema="public", table=table, backend="connectorx", backend_kwargs={"conn": uri})
pipeline.run(rows, write_disposition="replace", loader_file_format="parquet").raise_on_failed_jobs()
seconds = time.perf_counter() - began
with duckdb.connect(database) as connection:
    tell(seconds, connection.sql(f'select count(*) from raw_plain."{table}"').fetchone()[0])
