"""The limit: DuckDB reads the PostgreSQL table by itself (`ATTACH`). `CONNECTION_STRING DATABASE_FILE TABLE`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import duckdb
import duckdb_extensions

from bench.meter import tell

address, database, table = sys.argv[1:4]
os.environ["HOME"] = str(Path(database).parent)  # extensions are unpacked there
duckdb_extensions.import_extension("postgres_scanner")
with duckdb.connect(database) as connection:
    connection.execute("load postgres")
    began = time.perf_counter()
    connection.execute(f"attach '{address}' as there (type postgres, read_only)")
    connection.execute("create schema raw_attached")
    connection.execute(f'create table raw_attached."{table}" as select * from there.public."{table}"')
    connection.execute("checkpoint")
    seconds = time.perf_counter() - began
    tell(seconds, connection.sql(f'select count(*) from raw_attached."{table}"').fetchone()[0])
