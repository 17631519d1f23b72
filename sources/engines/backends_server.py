"""Loading into PostgreSQL and BigQuery, by dlt's own destinations: rows, cursors and loads in one package.

As on DuckDB a table is replaced or merged in one transaction, `_dlt_load_id` is added to files that were written before
the load had an id, and of two rows with one key the one that came last counts. JSON stays text, as everywhere here.

A column keeps its type: views of the metrics stand on raw tables, and a server does not change what a view shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from dlt.destinations.impl.bigquery.bigquery import BigQueryClient
from dlt.destinations.impl.bigquery.factory import bigquery
from dlt.destinations.impl.postgres.factory import get_adbc_driver_location, postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob

from portal.failures import TerminalError
from portal.warehouse.addresses import PostgresAddress
from portal.warehouse.bigquery import BigQueryWarehouse
from portal.warehouse.duckdb import quoted
from portal.warehouse.names import with_schemas
from portal.warehouse.postgres import PostgresWarehouse
from sources.engines import files
from sources.engines.columns import wider
from sources.engines.duckdb_columns import words
from sources.engines.spool import WarehouseColumn

LOAD_ID = "_dlt_load_id"


class AddsLoadId:
    """For dlt's job clients: our Parquet files get the id of the load they go with."""

    def create_load_job(self, table: Any, file_path: str, load_id: str, restore: bool = False) -> Any:
        if file_path.endswith(".parquet") and LOAD_ID in table["columns"]:
            add_load_id(Path(file_path), load_id)
        return super().create_load_job(table, file_path, load_id, restore)  # type: ignore[misc]


def add_load_id(path: Path, load_id: str) -> None:
    """Rewrite the file with one more column, group by group; a second time changes nothing."""
    with pq.ParquetFile(path) as given:
        schema = given.schema_arrow
        if LOAD_ID in schema.names:
            return
        draft = path.with_suffix(".draft")
        with pq.ParquetWriter(draft, schema.append(pa.field(LOAD_ID, pa.string()))) as writer:
            for number in range(given.num_row_groups):
                group = given.read_row_group(number)
                writer.write_table(group.append_column(LOAD_ID, pa.array([load_id] * group.num_rows, pa.string())))
    os.replace(draft, path)


class CopyJob(PostgresParquetCopyJob):
    """dlt leaves a space in a password as it is, and libpq then takes the address for a broken one."""

    def _connect(self) -> Any:
        from adbc_driver_manager import dbapi

        self._config = self._job_client.config
        known: Any = self._config.credentials
        address = PostgresAddress(
            known.host, known.port, known.username, known.password, known.database, tuple((known.query or {}).items())
        )
        return dbapi.connect(driver=get_adbc_driver_location(), db_kwargs={"uri": address.url})


class PortalPostgresClient(AddsLoadId, PostgresClient):
    def create_load_job(self, table: Any, file_path: str, load_id: str, restore: bool = False) -> Any:
        job = super().create_load_job(table, file_path, load_id, restore)
        return CopyJob(file_path) if isinstance(job, PostgresParquetCopyJob) else job


class PortalPostgres(postgres):
    @property
    def client_class(self) -> type[PostgresClient]:
        return PortalPostgresClient


class PortalBigQueryClient(AddsLoadId, BigQueryClient):
    pass


class PortalBigQuery(bigquery):
    @property
    def client_class(self) -> type[BigQueryClient]:
        return PortalBigQueryClient


class ServerBackend:
    can_follow = False

    def exists(self) -> bool:
        return True

    def types(self, connection: Any, dataset: str, table: str) -> dict[str, str]:
        raise NotImplementedError

    def before_load(self, connection: Any, loads: Sequence[Any]) -> None:
        for load in loads:
            load.columns = [_as_text(column) for column in load.columns]
            if load.disposition == "merge":
                _drop_twins(load)

    def fit(self, connection: Any, dataset: str, load: Any) -> None:
        there = self.types(connection, dataset, load.table)
        load.columns = [_as_text(column) for column in load.columns]
        for column in load.columns:
            old, new = there.get(column.name), words(column)
            if old is not None and old != new and wider(old, new) != old:
                raise TerminalError(
                    f"Column “{column.name}” was {old} and comes as {new} now. On this warehouse a column keeps its "
                    "type, so nothing was loaded and the table is as it was. If it is right, an engineer drops the "
                    "table: the next sync makes it anew, and so does the next build with what stands on it.",
                    f"{old} → {new}",
                    kind="columns",
                )


def _as_text(column: WarehouseColumn) -> WarehouseColumn:
    return replace(column, data_type="text") if column.data_type == "json" else column


def _drop_twins(load: Any) -> None:
    paths = [path for path, _ in load.files]
    if not load.key or not files.count_twins(paths, load.key):
        return
    target = paths[0].with_name(f"{load.table}.last.parquet")
    load.files = [(target, files.without_twins(paths, load.key, target, keep="last"))]


class PostgresBackend(ServerBackend):
    def __init__(self, warehouse: PostgresWarehouse) -> None:
        self.warehouse = warehouse

    def destination(self, connection: Any) -> Any:
        return PortalPostgres(
            self.warehouse.address.url, destination_name="postgres", replace_strategy="insert-from-staging"
        )

    @contextmanager
    def connected(self) -> Iterator[Any]:
        with self.warehouse.connected("load") as connection:
            yield connection

    def rows(self, connection: Any, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        text = with_schemas(statement, lambda schema: schema, "%s")
        cursor = connection.execute(text, list(parameters))
        return cursor.fetchall() if cursor.description else []

    def named(self, dataset: str, table: str) -> str:
        return f"{quoted(dataset)}.{quoted(table)}"

    def tables(self, connection: Any, dataset: str) -> dict[str, int]:
        sql = (
            "select c.relname, greatest(c.reltuples, 0)::bigint from pg_catalog.pg_class as c"
            " inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname = ?"
        )
        return dict(self.rows(connection, sql, [dataset]))

    def columns(self, connection: Any, dataset: str, table: str) -> list[str]:
        sql = "select column_name from information_schema.columns where table_schema = ? and table_name = ?"
        return [name for (name,) in self.rows(connection, sql, [dataset, table])]

    def types(self, connection: Any, dataset: str, table: str) -> dict[str, str]:
        sql = (
            "select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns"
            " where table_schema = ? and table_name = ?"
        )
        known = {
            "character varying": "text",
            "text": "text",
            "bigint": "bigint",
            "double precision": "double",
            "boolean": "bool",
            "timestamp with time zone": "timestamp",
            "date": "date",
        }
        return {
            name: f"decimal({precision},{scale})" if kind == "numeric" else known[kind]
            for name, kind, precision, scale in self.rows(connection, sql, [dataset, table])
            if kind in known or kind == "numeric"
        }


class BigQueryBackend(ServerBackend):
    def __init__(self, warehouse: BigQueryWarehouse) -> None:
        self.warehouse = warehouse

    def destination(self, connection: Any) -> Any:
        address = self.warehouse.address
        return PortalBigQuery(location=address.location, project_id=address.project, destination_name="bigquery")

    @contextmanager
    def connected(self) -> Iterator[Any]:
        yield self.warehouse  # its client asks over HTTP, there is nothing to hold open

    def rows(self, connection: Any, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.warehouse.execute(statement, parameters)

    def named(self, dataset: str, table: str) -> str:
        return f"`{self.warehouse.address.project}.{dataset}.{table}`"

    def tables(self, connection: Any, dataset: str) -> dict[str, int]:
        return dict.fromkeys(self.warehouse.tables_of(dataset), 0)

    def columns(self, connection: Any, dataset: str, table: str) -> list[str]:
        return list(self.warehouse.columns_of(f"{dataset}.{table}"))

    def types(self, connection: Any, dataset: str, table: str) -> dict[str, str]:
        known = {
            "STRING": "text",
            "INTEGER": "bigint",
            "INT64": "bigint",
            "FLOAT": "double",
            "FLOAT64": "double",
            "BOOLEAN": "bool",
            "BOOL": "bool",
            "TIMESTAMP": "timestamp",
            "DATE": "date",
        }
        found = {}
        for field in self.warehouse.fields_of(f"{dataset}.{table}"):
            if field.field_type in ("NUMERIC", "BIGNUMERIC"):
                found[field.name] = f"decimal({field.precision or 38},{field.scale or 9})"
            elif field.field_type in known:
                found[field.name] = known[field.field_type]
        return found
