"""The embedded warehouse: one DuckDB file that workers write, and versioned files of marts that pages read.

    <dir>/warehouse.duckdb           raw_*, staging, intermediate and candidate mart_*; one writing process at a time
    <dir>/warehouse.duckdb.lock      held (flock) by the process that writes; the kernel frees it when that one dies
    <dir>/published/<version>.duckdb mart_* only, never changed after its rename; pages open it read-only

A process that holds an old DuckDB connection keeps seeing the old file after a rename, so a version is never
overwritten: each publication is a file of its own, and the portal's database says which one counts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from portal.failures import TerminalError
from portal.warehouse import names
from portal.warehouse.addresses import duckdb_path
from portal.warehouse.base import QUERY_TIMEOUT, QueryResult, cannot_be_read, took_too_long
from portal.warehouse.locks import FileLock


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


class DuckDBWarehouse:
    scheme = "duckdb"

    def __init__(self, url: str) -> None:
        self.path = duckdb_path(url)
        self.published_dir = self.path.parent / "published"
        self._lock = FileLock(Path(f"{self.path}.lock"))

    def writer(self, timeout: float | None = None) -> AbstractContextManager[None]:
        return self._lock.hold(timeout)

    def tables(self, *, schema_prefix: str = "") -> set[str]:
        if not self.path.exists():
            return set()
        import duckdb

        with duckdb.connect(str(self.path)) as connection:
            return {f"{schema}.{table}" for schema, table in self._tables(connection, schema_prefix)}

    def tables_with(self, column: str, *, schema_prefix: str = "") -> set[str]:
        if not self.path.exists():
            return set()
        import duckdb

        with duckdb.connect(str(self.path)) as connection:
            rows = connection.execute(
                "select schema_name, table_name from duckdb_columns()"
                " where database_name = current_database() and column_name = ?",
                [column],
            ).fetchall()
        return {f"{schema}.{table}" for schema, table in rows if schema.startswith(schema_prefix)}

    @staticmethod
    def _tables(connection: Any, schema_prefix: str) -> list[tuple[str, str]]:
        rows = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = current_database()"
            " union all select schema_name, view_name from duckdb_views()"
            " where database_name = current_database() and not internal order by 1, 2"
        ).fetchall()
        return [(schema, table) for schema, table in rows if schema.startswith(schema_prefix)]

    def publish(
        self, version: str, *, schema_prefix: str = "mart_", kept: Collection[str] = (), kept_from: str = ""
    ) -> str:
        import duckdb

        self.published_dir.mkdir(parents=True, exist_ok=True)
        final = self.published_dir / f"{version}.duckdb"
        draft = self.published_dir / f".{version}.{os.getpid()}.draft"
        draft.unlink(missing_ok=True)
        try:
            with self.writer(), duckdb.connect(str(self.path)) as connection:
                connection.execute(f"attach '{draft}' as published")
                for schema, table in self._tables(connection, schema_prefix):
                    if f"{schema}.{table}" not in kept:
                        self._copy(connection, "", schema, table)
                if kept and kept_from:
                    self._keep(connection, kept, self.published_dir / Path(kept_from).name)
                connection.execute("checkpoint published")
                connection.execute("detach published")
            with open(draft, "rb") as file:
                os.fsync(file.fileno())
            os.replace(draft, final)
        finally:
            draft.unlink(missing_ok=True)
            Path(f"{draft}.wal").unlink(missing_ok=True)
        return final.name

    def _keep(self, connection: Any, kept: Collection[str], before: Path) -> None:
        connection.execute(f"attach '{before}' as before (read_only)")
        there = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'before' order by 1, 2"
        ).fetchall()
        for schema, table in there:
            if f"{schema}.{table}" in kept:
                self._copy(connection, "before.", schema, table)
        connection.execute("detach before")

    @staticmethod
    def _copy(connection: Any, database: str, schema: str, table: str) -> None:
        target = f"published.{quoted(schema)}"
        connection.execute(f"create schema if not exists {target}")
        connection.execute(
            f"create table {target}.{quoted(table)} as select * from {database}{quoted(schema)}.{quoted(table)}"
        )

    def discard_unpublished(self, keep: Iterable[str]) -> list[str]:
        kept = set(keep)
        gone = []
        if self.published_dir.is_dir():
            for file in self.published_dir.glob("*.duckdb"):
                # A reader that has the file open keeps its inode until it closes; unlinking is safe on POSIX.
                if file.name not in kept:
                    file.unlink(missing_ok=True)
                    gone.append(file.name)
        return gone

    def columns(self, location: str) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        sql = (
            "select table_schema || '.' || table_name, column_name from information_schema.columns"
            " where table_catalog = current_database() order by table_schema, table_name, ordinal_position"
        )
        for table, column in self.query(location, sql, limit=1_000_000).rows:
            found.setdefault(table, []).append(column)
        return {table: tuple(names) for table, names in found.items()}

    def query(
        self,
        location: str,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        limit: int = 10_000,
        timeout: float = QUERY_TIMEOUT,
        before: str | None = None,
    ) -> QueryResult:
        import duckdb

        path = self._file_of(location)
        try:
            with duckdb.connect(str(path), read_only=True) as connection:
                if before is not None:
                    connection.execute(f"attach '{self._file_of(before)}' as version_before (read_only)")
                    sql = names.with_schemas(sql, _beside)
                alarm = threading.Timer(timeout, connection.interrupt)
                alarm.start()
                try:
                    cursor = connection.execute(sql, list(parameters))
                    columns = tuple(column[0] for column in cursor.description or ())
                    return QueryResult(columns, cursor.fetchmany(limit))
                finally:
                    alarm.cancel()
        except duckdb.InterruptException as error:
            raise took_too_long(timeout) from error
        except duckdb.Error as error:
            raise cannot_be_read(error) from error

    def _file_of(self, location: str) -> Path:
        path = self.published_dir / Path(location).name
        if not path.exists():
            raise TerminalError(
                "The published data cannot be found on this machine.", f"Missing file: {path.name}", kind="published"
            )
        return path


def _beside(schema: str) -> str:
    """The earlier version is another database of the same connection."""
    return f"version_before.{schema.removeprefix(names.BEFORE)}" if schema.startswith(names.BEFORE) else schema
