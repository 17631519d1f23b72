"""The embedded warehouse: one DuckDB file that workers write, and versioned files of marts that pages read.

    <dir>/warehouse.duckdb           raw_*, staging, intermediate and candidate mart_*; one writing process at a time
    <dir>/warehouse.duckdb.lock      held (flock) by the process that writes; the kernel frees it when that one dies
    <dir>/published/<version>.duckdb mart_* only, never changed after its rename; pages open it read-only

A process that holds an old DuckDB connection keeps seeing the old file after a rename, so a version is never
overwritten: each publication is a file of its own, and the portal's database says which one counts.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from portal.failures import TerminalError, TransientError
from portal.warehouse.base import QueryResult

# How long a writer waits for the one before it: a build or a load takes seconds to minutes.
WRITER_TIMEOUT = 1800.0


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


class DuckDBWarehouse:
    scheme = "duckdb"

    def __init__(self, url: str) -> None:
        path = url.removeprefix("duckdb:///")
        self.path = Path(path if path.startswith("/") else os.path.abspath(path))
        self.published_dir = self.path.parent / "published"
        self._held = threading.local()

    @contextmanager
    def writer(self, timeout: float | None = None) -> Iterator[None]:
        if getattr(self._held, "depth", 0):
            self._held.depth += 1
            try:
                yield
            finally:
                self._held.depth -= 1
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(descriptor, WRITER_TIMEOUT if timeout is None else timeout)
            self._held.depth = 1
            try:
                yield
            finally:
                self._held.depth = 0
        finally:
            os.close(descriptor)  # closing is what frees the lock

    def _lock(self, descriptor: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        pause = 0.005
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TransientError(
                        "The warehouse was busy with other work for too long.",
                        f"Waited {timeout:.0f} s for the lock of {self.path.name}.",
                        kind="warehouse_busy",
                    ) from None
                time.sleep(pause)
                pause = min(pause * 2, 0.25)

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

    def publish(self, version: str, *, schema_prefix: str = "mart_") -> str:
        import duckdb

        self.published_dir.mkdir(parents=True, exist_ok=True)
        final = self.published_dir / f"{version}.duckdb"
        draft = self.published_dir / f".{version}.{os.getpid()}.draft"
        draft.unlink(missing_ok=True)
        try:
            with self.writer(), duckdb.connect(str(self.path)) as connection:
                connection.execute(f"attach '{draft}' as published")
                for schema, table in self._tables(connection, schema_prefix):
                    target = f"published.{quoted(schema)}"
                    connection.execute(f"create schema if not exists {target}")
                    connection.execute(
                        f"create table {target}.{quoted(table)} as select * from {quoted(schema)}.{quoted(table)}"
                    )
                connection.execute("checkpoint published")
                connection.execute("detach published")
            with open(draft, "rb") as file:
                os.fsync(file.fileno())
            os.replace(draft, final)
        finally:
            draft.unlink(missing_ok=True)
            Path(f"{draft}.wal").unlink(missing_ok=True)
        return final.name

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

    def query(self, location: str, sql: str, parameters: Sequence[Any] = (), *, limit: int = 10_000) -> QueryResult:
        import duckdb

        path = self.published_dir / Path(location).name
        if not path.exists():
            raise TerminalError(
                "The published data cannot be found on this machine.", f"Missing file: {path.name}", kind="published"
            )
        try:
            with duckdb.connect(str(path), read_only=True) as connection:
                cursor = connection.execute(sql, list(parameters))
                columns = tuple(column[0] for column in cursor.description or ())
                return QueryResult(columns, cursor.fetchmany(limit))
        except duckdb.Error as error:
            raise TerminalError("The published data could not be read.", str(error), kind="published") from error
