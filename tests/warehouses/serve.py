"""`local-bigquery`, in less time: what tests/warehouses/emulator.py starts, with the emulator's own Python.

To know one table it asks DuckDB for all tables and all columns there are, several times a statement, and every answer it
ever gave is a table: that is most of what it does. What it asks stands in DuckLake's own tables, and answers are forgotten.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from functools import partial
from typing import Any

import duckdb
from local_bigquery import cli
from local_bigquery.catalog import tables
from local_bigquery.engine import database
from local_bigquery.jobs import query

ANSWERS = "emulator"  # the database in which an answer is a table of its own
KEPT_ANSWERS = 40  # many more than clients read at the same time
# What a session left behind; nobody here opens one, and a new cursor has none.
NO_TABLES = "SELECT '' AS table_name WHERE false"

IN_DATASET = """
    with here as (
        select schema_id from {catalog}.ducklake_schema where end_snapshot is null and schema_name = $1
    )
    select tables.table_name, 'TABLE', coalesce(stats.record_count, 0)
    from {catalog}.ducklake_table as tables
    left join {catalog}.ducklake_table_stats as stats using (table_id)
    where tables.end_snapshot is null and tables.table_name = coalesce($2, tables.table_name)
      and tables.schema_id in (from here)
    union all
    select view_name, 'VIEW', 0
    from {catalog}.ducklake_view
    where end_snapshot is null and view_name = coalesce($2, view_name) and schema_id in (from here)
    order by 1
"""
COLUMNS = """(
    select
        '{project}' as database_name, schemas.schema_name, tables.table_name, columns.column_name,
        columns.nulls_allowed as is_nullable
    from {catalog}.ducklake_column as columns
    inner join {catalog}.ducklake_table as tables using (table_id)
    inner join {catalog}.ducklake_schema as schemas using (schema_id)
    where columns.parent_column is null
      and columns.end_snapshot is null and tables.end_snapshot is null and schemas.end_snapshot is null
)"""
DATASETS = (
    "(select '{project}' as database_name, schema_name from {catalog}.ducklake_schema where end_snapshot is null)"
)
COLUMNS_OF_ANSWERS = (
    "(select null as database_name, '' as schema_name, '' as table_name, '' as column_name, true as is_nullable)"
)

_every_object = database.objects
_fetch = database.fetch
_write = tables.write
_answers: deque[tuple[str, str, str]] = deque()
_answers_lock = threading.Lock()


def _catalog(project_id: str) -> str:
    return database.quote(f"__ducklake_metadata_{project_id}")


def fetch(sql: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """The answer to a question of the emulator's own. Of one table's columns it reads that table's alone."""
    project = params[0] if params else ANSWERS
    if "duckdb_schemas()" in sql and project != ANSWERS:
        sql = sql.replace("duckdb_schemas()", DATASETS.format(project=project, catalog=_catalog(project)))
    if "duckdb_columns()" in sql and params:
        columns = (
            COLUMNS.format(project=project, catalog=_catalog(project)) if project != ANSWERS else COLUMNS_OF_ANSWERS
        )
        sql = sql.replace("duckdb_columns()", columns)
    return _fetch(sql, params)


def objects(project_id: str, dataset_id: str, table_id: str | None = None) -> list[tuple[str, str, int]]:
    """(name, "TABLE" or "VIEW", rows) of what is in a dataset; `table_id`: of this one alone."""
    if project_id != ANSWERS:
        return _fetch(IN_DATASET.format(catalog=_catalog(project_id)), [dataset_id, table_id])
    if table_id is None:
        return _every_object(project_id, dataset_id)
    try:
        rows = _fetch(f"select count(*) from {database.quote(project_id, dataset_id, table_id)}")
    except duckdb.CatalogException:
        return []
    return [(table_id, "TABLE", rows[0][0])]


def write(cur: Any, sql: str, params: Any, reference: tuple[str, str, str], *rest: Any, **options: Any) -> bool:
    """Write an answer, and forget the oldest."""
    is_new: bool = _write(cur, sql, params, reference, *rest, **options)
    if reference[1] == tables.RESULTS:
        with _answers_lock:
            _answers.append(reference)
            old = _answers.popleft() if len(_answers) > KEPT_ANSWERS else None
        if old:
            database.execute(f"drop table if exists {tables.name(*old)}")
            tables.forget(*old)
    return is_new


def ask_instead(function: Any, question: str, other: str) -> None:
    """Have `function` ask `other` where it asks `question`."""
    code = function.__code__
    assert question in code.co_consts, question
    constants = tuple(other if each == question else each for each in code.co_consts)
    function.__code__ = code.replace(co_consts=constants)


if __name__ == "__main__":
    ask_instead(
        query.execute,
        "SELECT table_name FROM duckdb_tables() WHERE temporary",
        NO_TABLES,
    )
    # It is not there, and DuckDB looks for it in every folder with each value that it is given.
    sys.modules["pandas"] = None
    database.objects, database.fetch, tables.write = objects, fetch, write
    cli.uvicorn.run = partial(cli.uvicorn.run, fd=int(os.environ["EMULATOR_SOCKET"]))
    cli.main()
