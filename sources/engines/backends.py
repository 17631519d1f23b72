"""What loading asks of a warehouse, whichever it is; and DuckDB's answers (`backends_…`: those of servers)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from portal.failures import TerminalError, TransientError
from portal.warehouse.base import Warehouse
from portal.warehouse.duckdb import DuckDBWarehouse, quoted
from sources.engines.memory import limit_for


class Backend(Protocol):
    """A connection is whatever `connected` gives."""

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

    def laid_out(self, resource: Any, load: Any) -> Any:
        """dlt's resource for a load, with what it says about how its table shall lie there."""

    def at_hand(
        self, connection: Any, dataset: str, table: str, folder: Path, key: Sequence[str], wanted: str | None
    ) -> AbstractContextManager[tuple[Any, str]]:
        """A DuckDB connection, and the name in it of a table with the rows of this one that somebody wants to look at.

        `wanted`: a question to DuckDB that gives the keys of these rows, "" for none of them, None for all. The types
        are those that the table has. `folder`: for what does not fit into memory.
        """


def backend_of(warehouse: Warehouse) -> Backend:
    from portal.warehouse.bigquery import BigQueryWarehouse
    from portal.warehouse.postgres import PostgresWarehouse

    if isinstance(warehouse, DuckDBWarehouse):
        return DuckDBBackend(warehouse)
    if isinstance(warehouse, PostgresWarehouse):
        from sources.engines.backends_postgres import PostgresBackend

        return PostgresBackend(warehouse)
    if isinstance(warehouse, BigQueryWarehouse):
        from sources.engines.backends_bigquery import BigQueryBackend

        return BigQueryBackend(warehouse)
    raise TerminalError(f"The dlt engine cannot write to a “{warehouse.scheme}” warehouse.", kind="warehouse")


class DuckDBBackend:
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

    def laid_out(self, resource: Any, load: Any) -> Any:
        return resource

    @contextmanager
    def at_hand(
        self, connection: Any, dataset: str, table: str, folder: Path, key: Sequence[str], wanted: str | None
    ) -> Iterator[tuple[Any, str]]:
        yield connection, self.named(dataset, table)  # the table itself
