"""Loading into PostgreSQL: Parquet by ADBC, a transaction a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from dlt.destinations.impl.postgres.factory import get_adbc_driver_location, postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob

from portal.warehouse.addresses import PostgresAddress
from portal.warehouse.duckdb import quoted
from portal.warehouse.names import with_schemas
from portal.warehouse.postgres import PostgresWarehouse
from sources.engines import postgres_columns
from sources.engines.backends_server import BATCH_ROWS, AddsLoadId, ServerBackend
from sources.engines.fitting import Fitted

KEYS = "_portal_keys"


class CopyJob(PostgresParquetCopyJob):
    """dlt leaves a space in a password as it is, and libpq then takes the address for a broken one; and it cannot copy a
    file without rows."""

    def run(self) -> None:
        if pq.read_metadata(self._file_path).num_rows:
            super().run()

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

    def column_named(self, name: str) -> str:
        return quoted(name)

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
        return postgres_columns.types_of(connection, dataset, table)

    def widen(self, connection: Any, dataset: str, table: str, changes: Sequence[Fitted]) -> None:
        postgres_columns.widen(connection, dataset, table, changes)

    def fetch(
        self, connection: Any, dataset: str, table: str, columns: Sequence[str], keys: Path | None, key: Sequence[str]
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        target = self.named(dataset, table)
        found = ", ".join(f"t.{quoted(name)}" for name in columns)
        names = ", ".join(map(quoted, key))
        joined = ""
        with connection.transaction():
            if keys is not None:
                connection.execute(
                    f"create temp table {KEYS} on commit drop as select {names} from {target} where false"
                )
                with (
                    connection.cursor().copy(f"copy {KEYS} ({names}) from stdin") as copy,
                    pq.ParquetFile(keys) as file,
                ):
                    for group in file.iter_batches(BATCH_ROWS, columns=list(key)):
                        for row in zip(*(group.column(name).to_pylist() for name in key), strict=True):
                            copy.write_row(row)
                connection.execute(f"analyze {KEYS}")
                joined = f" inner join {KEYS} using ({names})"
            with connection.cursor(name="at_hand") as cursor:
                cursor.execute(f"select {found} from {target} as t{joined}")
                while batch := cursor.fetchmany(BATCH_ROWS):
                    yield batch
