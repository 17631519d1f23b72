"""What loading asks of a warehouse, whichever it is; and DuckDB's answers (`backends_server`: those of servers)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from portal.failures import TerminalError, TransientError
from portal.warehouse.base import Warehouse
from portal.warehouse.duckdb import DuckDBWarehouse, quoted
from sources.engines.memory import limit_for


class Backend(Protocol):
    """`can_follow`: changes from a source's log can be completed here. A connection is whatever `connected` gives."""

    can_follow: bool

    def exists(self) -> bool:
        """Whether there can be anything to ask for."""

    def destination(self, connection: Any) -> Any:
        """dlt's destination; `connection` None is enough to read the local state."""

    def connected(self) -> AbstractContextManager[Any]: ...

    def rows(self, connection: Any, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Carry out one statement with `?` for parameters."""

    def named(self, dataset: str, table: str) -> str: ...

    def tables(self, connection: Any, dataset: str) -> dict[str, int]:
        """The tables of a dataset, and about how many rows each has."""

    def columns(self, connection: Any, dataset: str, table: str) -> list[str]: ...

    def before_load(self, connection: Any, loads: Sequence[Any]) -> None:
        """Make ready what is about to be loaded (`TableLoad`), and the connection."""

    def fit(self, connection: Any, dataset: str, load: Any) -> None:
        """Bring a load and the table that is there together, `load.columns` as the table has them then.

        Raises `TerminalError` (kind "columns") when no type holds both; the table is as it was then.
        """


def backend_of(warehouse: Warehouse) -> Backend:
    from portal.warehouse.bigquery import BigQueryWarehouse
    from portal.warehouse.postgres import PostgresWarehouse

    if isinstance(warehouse, DuckDBWarehouse):
        return DuckDBBackend(warehouse)
    from sources.engines.backends_server import BigQueryBackend, PostgresBackend

    if isinstance(warehouse, PostgresWarehouse):
        return PostgresBackend(warehouse)
    if isinstance(warehouse, BigQueryWarehouse):
        return BigQueryBackend(warehouse)
    raise TerminalError(f"The dlt engine cannot write to a “{warehouse.scheme}” warehouse.", kind="warehouse")


class DuckDBBackend:
    can_follow = True

    def __init__(self, warehouse: DuckDBWarehouse) -> None:
        self.warehouse = warehouse

    def exists(self) -> bool:
        return self.warehouse.path.exists()

    def destination(self, connection: Any) -> Any:
        from sources.engines.dlt_duckdb import PortalDuckDb

        return PortalDuckDb(
            connection if connection is not None else ":memory:",
            destination_name="duckdb",
            replace_strategy="insert-from-staging",
        )

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """A connection to the candidate warehouse, closed afterwards: DuckDB's file is then free for others."""
        import duckdb

        self.warehouse.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = duckdb.connect(str(self.warehouse.path))
        except duckdb.IOException as error:
            raise TransientError(
                "The warehouse file is held by another program.", str(error), kind="warehouse_busy"
            ) from error
        try:
            connection.execute(f"set memory_limit = '{limit_for(0, merges=True)}'")
            connection.execute("set timezone = 'UTC'")  # how moments become text
            yield connection
        finally:
            connection.close()

    def rows(self, connection: Any, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = connection.execute(statement, list(parameters)).fetchall()
        return found

    def named(self, dataset: str, table: str) -> str:
        return f"{quoted(dataset)}.{quoted(table)}"

    def tables(self, connection: Any, dataset: str) -> dict[str, int]:
        sql = (
            "select table_name, estimated_size from duckdb_tables()"
            " where schema_name = ? and database_name = current_database()"
        )
        return dict(self.rows(connection, sql, [dataset]))

    def columns(self, connection: Any, dataset: str, table: str) -> list[str]:
        sql = (
            "select column_name from duckdb_columns()"
            " where schema_name = ? and table_name = ? and database_name = current_database()"
        )
        return [name for (name,) in self.rows(connection, sql, [dataset, table])]

    def before_load(self, connection: Any, loads: Sequence[Any]) -> None:
        widest = max((len(load.columns) for load in loads), default=0)
        merges = any(load.disposition == "merge" for load in loads)
        connection.execute(f"set memory_limit = '{limit_for(widest, merges=merges)}'")

    def fit(self, connection: Any, dataset: str, load: Any) -> None:
        from sources.engines.duckdb_columns import fit, forget_staging

        if load.disposition == "replace":
            forget_staging(connection, dataset, load.table, load.columns)
        else:
            load.columns = fit(connection, dataset, load.table, load.columns, load.files)
