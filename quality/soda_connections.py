"""What workers write, as Soda reads it: one class a warehouse.

Checks are SQL that colleagues wrote, so whatever one says, it can only read: DuckDB opens its file so, PostgreSQL
declares a cursor (one SELECT and nothing else) in a transaction that may not write, BigQuery is asked first in a dry run
what the statement is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from portal.failures import TerminalError
from portal.warehouse import names
from portal.warehouse.base import Warehouse
from portal.warehouse.bigquery import BigQueryWarehouse
from portal.warehouse.duckdb import DuckDBWarehouse
from portal.warehouse.postgres import PostgresWarehouse
from quality.sodacl import CheckText, quoted

# A check that takes longer than this is not answered.
CHECK_SECONDS = 600


class CheckConnection(Protocol):
    """`place` of a schema: where what everybody calls `mart_finance` is kept before it is published."""

    def place(self, schema: str) -> str: ...

    def quoted(self, identifier: str) -> str: ...

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Lower case → spelling, of every column; {} when there is no such table."""

    def add_to(self, scan: Any, schema: str, *, qualify: bool) -> None:
        """Make this the data source `schema` of a scan; `qualify`: its checks name bare tables of that schema."""


def placed(text: CheckText, connection: CheckConnection) -> CheckText:
    """The check with every mart where it is kept: in its line, its own SQL and conditions."""

    def rename(value: Any) -> Any:
        match value:
            case str():
                return names.with_schemas(value, connection.place)
            case list():
                return [rename(each) for each in value]
            case Mapping():
                return {key: rename(each) for key, each in value.items()}
            case _:
                return value

    return CheckText(rename(text.line), rename(text.config))


@contextmanager
def connected(warehouse: Warehouse) -> Iterator[CheckConnection]:
    """A connection to what workers write, call it as the writer."""
    if isinstance(warehouse, DuckDBWarehouse):
        opened: Any = _duckdb(warehouse)
    elif isinstance(warehouse, PostgresWarehouse):
        opened = _postgres(warehouse)
    elif isinstance(warehouse, BigQueryWarehouse):
        opened = _bigquery(warehouse)
    else:
        raise TerminalError(
            "Checks cannot be run on this kind of warehouse.",
            f"The Soda adapter has no connection for “{warehouse.scheme}:”.",
            kind="warehouse",
        )
    with opened as connection:
        yield connection


# --- DuckDB -----------------------------------------------------------------------------------------------------------
class _LastingConnection:
    """Our DuckDB connection, as Soda sees it.

    After a failed query Soda rolls back, which DuckDB refuses when no transaction is open; that refusal is what
    makes one broken check abort all the others.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rollback(self) -> None:
        return

    def commit(self) -> None:
        return

    def close(self) -> None:
        return  # whoever opened it closes it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class DuckDBChecks:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def place(self, schema: str) -> str:
        return schema

    def quoted(self, identifier: str) -> str:
        return quoted(identifier)

    def columns(self, schema: str, table: str) -> dict[str, str]:
        import duckdb

        try:
            # Asking the table itself is a hundred times faster than asking information_schema.
            found = self._connection.execute(f"select * from {quoted(schema)}.{quoted(table)} limit 0").description
        except duckdb.CatalogException:
            return {}
        return {column[0].lower(): column[0] for column in found}

    def add_to(self, scan: Any, schema: str, *, qualify: bool) -> None:
        scan.add_duckdb_connection(_LastingConnection(self._connection), schema)
        if qualify:
            scan._configuration.data_source_properties_by_name[schema]["schema"] = schema


@contextmanager
def _duckdb(warehouse: DuckDBWarehouse) -> Iterator[DuckDBChecks]:
    """Read-only, and it reads no other file: SQL of DuckDB can read and write whatever the process may."""
    import duckdb

    if not warehouse.path.exists():
        yield DuckDBChecks(duckdb.connect())  # nothing was synced yet: every table is missing
        return
    try:
        connection = duckdb.connect(str(warehouse.path), read_only=True)
        is_shared = False
    except duckdb.ConnectionException:
        # The same process has the file open for writing (a warm engine): DuckDB wants the same settings for both.
        connection = duckdb.connect(str(warehouse.path))
        is_shared = True
    connection.execute("set TimeZone = 'UTC'")
    if not is_shared:  # these are settings of the whole database instance
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
    try:
        yield DuckDBChecks(connection)
    finally:
        connection.close()


# --- PostgreSQL -------------------------------------------------------------------------------------------------------
class _ReadingCursor:
    """One SELECT in a transaction that may not write and that is never committed."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor: Any = None

    def execute(self, statement: str, *_: Any) -> None:
        self.close()
        self._connection.execute("begin read only")
        self._cursor = self._connection.cursor(name="check")
        self._cursor.execute(statement)

    def close(self) -> None:
        """Also after a failure, from which a transaction only gets out this way."""
        self._cursor = None
        if self._connection.info.transaction_status.value:
            self._connection.execute("rollback")

    def __getattr__(self, name: str) -> Any:
        return None if self._cursor is None and name == "description" else getattr(self._cursor, name)


class _ReadingConnection(_LastingConnection):
    def cursor(self) -> _ReadingCursor:
        return _ReadingCursor(self._connection)


class PostgresChecks:
    def __init__(self, warehouse: PostgresWarehouse, connection: Any) -> None:
        self._warehouse, self._connection = warehouse, connection

    def place(self, schema: str) -> str:
        return names.candidate(schema)

    def quoted(self, identifier: str) -> str:
        return quoted(identifier)

    def columns(self, schema: str, table: str) -> dict[str, str]:
        rows = self._connection.execute(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
            " order by ordinal_position",
            [self.place(schema), table],
        ).fetchall()
        return {column.lower(): column for (column,) in rows}

    def add_to(self, scan: Any, schema: str, *, qualify: bool) -> None:
        from soda.data_sources.postgres_data_source import PostgresDataSource

        properties = {"type": "postgres", "database": self._warehouse.address.database}
        if qualify:
            properties["schema"] = self.place(schema)
            self._connection.execute(f"set search_path = {quoted(self.place(schema))}")
        _add(scan, schema, properties, PostgresDataSource, _ReadingConnection(self._connection))


@contextmanager
def _postgres(warehouse: PostgresWarehouse) -> Iterator[PostgresChecks]:
    with warehouse.connected("checks") as connection:
        connection.execute("select set_config('statement_timeout', %s, false)", [f"{CHECK_SECONDS}s"])
        yield PostgresChecks(warehouse, connection)


# --- BigQuery ---------------------------------------------------------------------------------------------------------
class _AskedCursor:
    """Google's cursor; what is no SELECT, or reads more than it may, is refused by what a dry run says of it."""

    def __init__(self, cursor: Any, refuse: Any) -> None:
        self._cursor, self._refuse = cursor, refuse

    def execute(self, statement: str, *arguments: Any) -> None:
        self._refuse(statement)
        self._cursor.execute(statement, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class _AskedConnection(_LastingConnection):
    def __init__(self, connection: Any, refuse: Any) -> None:
        super().__init__(connection)
        self._refuse = refuse

    def cursor(self) -> _AskedCursor:
        return _AskedCursor(self._connection.cursor(), self._refuse)


class BigQueryChecks:
    def __init__(self, warehouse: BigQueryWarehouse) -> None:
        self._warehouse = warehouse

    def place(self, schema: str) -> str:
        return names.candidate(schema)

    def quoted(self, identifier: str) -> str:
        return "`" + identifier.replace("`", "") + "`"

    def columns(self, schema: str, table: str) -> dict[str, str]:
        return {column.lower(): column for column in self._warehouse.columns_of(f"{self.place(schema)}.{table}")}

    def add_to(self, scan: Any, schema: str, *, qualify: bool) -> None:
        from google.cloud.bigquery import dbapi
        from soda.data_sources.bigquery_data_source import BigQueryDataSource

        address = self._warehouse.address
        properties = {"type": "bigquery", "project_id": address.project, "location": address.location}
        dataset = self.place(schema)
        if qualify:
            properties |= {"dataset": dataset, "schema": dataset}
        client = self._warehouse.client_of(dataset, CHECK_SECONDS)
        opened = dbapi.Connection(client, prefer_bqstorage_client=False)

        class Source(BigQueryDataSource):
            def sql_get_table_columns(self, table_name: str, *columns: Any, **options: Any) -> str:
                # Soda compares the name with its quotes to the names there are.
                return str(super().sql_get_table_columns(table_name.strip("`"), *columns, **options))

        _add(scan, schema, properties, Source, _AskedConnection(opened, self._refuser(client)))

    @staticmethod
    def _refuser(client: Any) -> Any:
        from google.cloud.bigquery import QueryJobConfig

        def refuse(statement: str) -> None:
            kind = client.query(statement, job_config=QueryJobConfig(dry_run=True)).statement_type
            if kind != "SELECT":
                raise ValueError(f"A check can only read, and this is {kind}.")

        return refuse


@contextmanager
def _bigquery(warehouse: BigQueryWarehouse) -> Iterator[BigQueryChecks]:
    yield BigQueryChecks(warehouse)


def _add(scan: Any, name: str, properties: dict[str, Any], kind: Any, connection: Any) -> None:
    """A data source that is connected already: Soda would open one itself, with a password among its properties."""
    scan._configuration.data_source_properties_by_name[name] = properties
    source = kind(scan._logs, name, properties)
    source.connection = connection
    scan._data_source_manager.data_sources[name] = source
