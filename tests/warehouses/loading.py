"""The same raw rows in any of the three warehouses: out of a DuckDB file with raw tables, by way of Parquet.

Types are those the loading engine chooses in each: JSON stays text, moments carry their zone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet
from psycopg import sql

from tests.dbt.raw_schema import RAW_SCHEMA

POSTGRES_TYPES = {
    "text": "text",
    "json": "text",
    "bigint": "bigint",
    "double": "double precision",
    "bool": "boolean",
    "timestamp": "timestamptz",
    "date": "date",
    "decimal": "numeric(38, 9)",
}
BIGQUERY_TYPES = {
    "text": "STRING",
    "json": "STRING",
    "bigint": "INT64",
    "double": "FLOAT64",
    "bool": "BOOL",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "decimal": "NUMERIC",
}


def _columns(table: str) -> dict[str, str]:
    return {**RAW_SCHEMA[table], "_extra": "json", "_dlt_load_id": "text"}


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def into_postgres(path: Path, connection: psycopg.Connection[Any], tables: Iterable[str] = RAW_SCHEMA) -> None:
    with duckdb.connect(str(path), read_only=True) as raw:
        raw.execute("set TimeZone = 'UTC'")
        for table in tables:
            schema, name = table.split(".")
            columns = _columns(table)
            identifier = sql.Identifier(schema, name)
            connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
            definitions = ", ".join(f'"{column}" {POSTGRES_TYPES[kind]}' for column, kind in columns.items())
            connection.execute(sql.SQL("create table {} ({})").format(identifier, sql.SQL(definitions)))
            rows = raw.execute(f"select {_quoted(columns)} from {table}")
            with connection.cursor().copy(sql.SQL("copy {} from stdin").format(identifier)) as copy:
                while batch := rows.fetchmany(5_000):
                    for row in batch:
                        copy.write_row(row)


def into_bigquery(path: Path, folder: Path, tables: Iterable[str] = RAW_SCHEMA) -> None:
    from google.cloud import bigquery

    client = bigquery.Client()
    with duckdb.connect(str(path), read_only=True) as raw:
        raw.execute("set TimeZone = 'UTC'")
        for table in tables:
            schema, _name = table.split(".")
            columns = _columns(table)
            client.create_dataset(schema, exists_ok=True)
            file = folder / f"{table}.parquet"
            rows = raw.execute(f"select {_quoted(columns)} from {table}").to_arrow_table()
            pa.parquet.write_table(rows, file)
            config = bigquery.LoadJobConfig(
                source_format="PARQUET",
                schema=[bigquery.SchemaField(column, BIGQUERY_TYPES[kind]) for column, kind in columns.items()],
            )
            with file.open("rb") as stream:
                client.load_table_from_file(stream, f"{client.project}.{table}", job_config=config).result()
