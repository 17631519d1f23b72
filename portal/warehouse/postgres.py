"""A database in PostgreSQL as the warehouse. Its names are told in `portal.warehouse.names`.

    raw_*, staging, intermediate, candidate_mart_*    what workers write
    v00000012__mart_*                                 a version: copied in one transaction, never changed again
    mart_*                                            views of the newest version, for Metabase and other tools

The right to write is an advisory lock of a session that lasts as long as the work: the server frees it when that
connection ends, however it ends. Pages read a version with a cursor that can only SELECT.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql

from portal.failures import PortalError, TerminalError, TransientError
from portal.redact import secrets_hidden
from portal.warehouse import names
from portal.warehouse.addresses import PostgresAddress
from portal.warehouse.base import QUERY_TIMEOUT, QueryResult, cannot_be_found, cannot_be_read, took_too_long
from portal.warehouse.locks import WRITER_TIMEOUT, busy

CONNECT_SECONDS = 10
# How long a publication waits for people's questions to the views it replaces; others would queue up behind it.
SWAP_SECONDS = 5
SWAP_ATTEMPTS = 12

_RELATIONS = """
    select n.nspname, c.relname
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm') and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
    order by 1, 2
"""
_GRANTS = """
    select table_schema, table_name, grantee
    from information_schema.role_table_grants
    where privilege_type = 'SELECT' and starts_with(table_schema, 'mart_') and grantee <> grantor
"""


class PostgresWarehouse:
    scheme = "postgresql"

    def __init__(self, url: str) -> None:
        self.address = PostgresAddress.of(url)
        digest = hashlib.sha256(f"data portal writer {self.address.database}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._held = threading.local()

    # The right to write ----------------------------------------------------------------------------------------

    @contextmanager
    def writer(self, timeout: float | None = None) -> Iterator[None]:
        if getattr(self._held, "depth", 0):
            self._held.depth += 1
            try:
                yield
            finally:
                self._held.depth -= 1
            return
        seconds = WRITER_TIMEOUT if timeout is None else timeout
        with self.connected("writer") as connection:
            self._lock(connection, seconds)
            self._held.depth = 1
            try:
                yield
            finally:
                self._held.depth = 0
            self._unlock(connection)

    def _lock(self, connection: psycopg.Connection[Any], seconds: float) -> None:
        connection.execute("select set_config('lock_timeout', %s, false)", [f"{max(1, round(seconds * 1000))}ms"])
        try:
            connection.execute("select pg_advisory_lock(%s)", [self._key])
        except errors.LockNotAvailable:
            raise busy(seconds, self.address.database) from None

    def _unlock(self, connection: psycopg.Connection[Any]) -> None:
        """Whoever lost the connection lost the right with it, and somebody else may have written meanwhile."""
        try:
            row = connection.execute("select pg_advisory_unlock(%s)", [self._key]).fetchone()
            is_ours = bool(row and row[0])
        except psycopg.OperationalError:
            is_ours = False
        if not is_ours:
            raise TransientError(
                "The connection to the warehouse was lost during the work, so it has to be done again.",
                f"The advisory lock of {self.address.database} was gone.",
                kind="warehouse_busy",
            )

    # Candidates and versions -----------------------------------------------------------------------------------

    def tables(self, *, schema_prefix: str = "") -> set[str]:
        with self.connected("tables") as connection:
            return {
                f"{names.spoken(schema)}.{table}"
                for schema, table in connection.execute(_RELATIONS)
                if not names.is_published(schema) and names.spoken(schema).startswith(schema_prefix)
            }

    def tables_with(self, column: str, *, schema_prefix: str = "") -> set[str]:
        with self.connected("tables") as connection:
            return {
                f"{names.spoken(schema)}.{table}"
                for schema, table in connection.execute(
                    "select table_schema, table_name from information_schema.columns where column_name = %s", [column]
                )
                if not names.is_published(schema) and names.spoken(schema).startswith(schema_prefix)
            }

    def publish(
        self, version: str, *, schema_prefix: str = names.MART, kept: Collection[str] = (), kept_from: str = ""
    ) -> str:
        location = names.version_of(version)
        with self.writer(), self.connected("publish") as connection, connection.transaction():
            # One moment of all marts; and all of it or, when it breaks off, nothing.
            connection.execute("set transaction isolation level repeatable read")
            self._copy(connection, location, schema_prefix, kept, kept_from)
            self._swap(connection, location)
        return location

    @staticmethod
    def _copy(
        connection: psycopg.Connection[Any], location: str, schema_prefix: str, kept: Collection[str], kept_from: str
    ) -> None:
        relations = connection.execute(_RELATIONS).fetchall()
        _drop(connection, {schema for schema, _ in relations if schema.startswith(f"{location}__")}, with_views=True)
        for schema, table in relations:
            spoken = names.spoken(schema)
            if kept_from and schema.startswith(f"{kept_from}__"):
                spoken = schema.removeprefix(f"{kept_from}__")
                is_wanted = f"{spoken}.{table}" in kept
            else:
                is_wanted = not names.is_published(schema) and f"{spoken}.{table}" not in kept
            if not is_wanted or not spoken.startswith(schema_prefix):
                continue
            target = names.of_version(location, spoken)
            connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(target)))
            connection.execute(
                sql.SQL("create table {} as select * from {}").format(
                    sql.Identifier(target, table), sql.Identifier(schema, table)
                )
            )

    def _swap(self, connection: psycopg.Connection[Any], location: str) -> None:
        """Point every stable name to this version. It waits for people's questions only for moments at a time: whoever
        asks meanwhile waits behind it."""
        for attempt in range(1, SWAP_ATTEMPTS + 1):
            try:
                with connection.transaction():
                    connection.execute("select set_config('lock_timeout', %s, true)", [f"{SWAP_SECONDS}s"])
                    self._point_views(connection, location)
                return
            except errors.LockNotAvailable:
                if attempt == SWAP_ATTEMPTS:
                    raise TransientError(
                        "Somebody's question kept the published tables busy for too long.",
                        f"{attempt} attempts of {SWAP_SECONDS} s to replace the views.",
                        kind="warehouse_busy",
                    ) from None

    @staticmethod
    def _point_views(connection: psycopg.Connection[Any], location: str) -> None:
        relations = connection.execute(_RELATIONS).fetchall()
        # A view that is made anew has lost who may read it.
        grants = connection.execute(_GRANTS).fetchall()
        for schema, view in relations:
            if schema.startswith(names.MART):
                connection.execute(sql.SQL("drop view {}").format(sql.Identifier(schema, view)))
        made = set()
        for schema, table in relations:
            if not schema.startswith(f"{location}__"):
                continue
            stable = schema.removeprefix(f"{location}__")
            connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(stable)))
            connection.execute(
                sql.SQL("create view {} as select * from {}").format(
                    sql.Identifier(stable, table), sql.Identifier(schema, table)
                )
            )
            made.add((stable, table))
        for schema, view, grantee in grants:
            if (schema, view) in made:
                role = sql.SQL("public") if grantee == "PUBLIC" else sql.Identifier(grantee)
                connection.execute(sql.SQL("grant select on {} to {}").format(sql.Identifier(schema, view), role))

    def discard_unpublished(self, keep: Iterable[str]) -> list[str]:
        kept = set(keep)
        gone: dict[str, set[str]] = {}
        with self.connected("discard") as connection:
            schemas = {schema for schema, _ in connection.execute(_RELATIONS)}
            for schema in schemas:
                location = schema.partition("__")[0]
                if names.is_version(schema) and location not in kept:
                    gone.setdefault(location, set()).add(schema)
            dropped = []
            for location, old in sorted(gone.items()):
                try:
                    with connection.transaction():
                        connection.execute("select set_config('lock_timeout', %s, true)", [f"{SWAP_SECONDS}s"])
                        _drop(connection, old)
                except (errors.LockNotAvailable, errors.DependentObjectsStillExist):
                    continue  # somebody reads it, or the stable names still show it: the next publication tries again
                dropped.append(location)
        return dropped

    # Reading ---------------------------------------------------------------------------------------------------

    def columns(self, location: str) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        with self.connected("pages") as connection:
            rows = connection.execute(
                "select table_schema, table_name, column_name from information_schema.columns"
                " where starts_with(table_schema, %s) order by 1, 2, ordinal_position",
                [f"{location}__"],
            ).fetchall()
        for schema, table, column in rows:
            found.setdefault(f"{schema.removeprefix(f'{location}__')}.{table}", []).append(column)
        return {table: tuple(columns) for table, columns in found.items()}

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
        text = names.with_schemas(sql, names.in_versions(location, before), "%s")
        try:
            with self.connected("pages") as connection, connection.transaction():
                connection.execute("set transaction read only")
                connection.execute("select set_config('statement_timeout', %s, true)", [f"{round(timeout * 1000)}ms"])
                for version in (location, before):
                    if version is not None and not self._exists(connection, version):
                        raise cannot_be_found(f"No schema of the version {version} in {self.address.database}.")
                # A cursor takes one SELECT and nothing else, and sends no more rows than are asked for.
                with connection.cursor(name="page") as cursor:
                    cursor.execute(text, list(parameters))
                    rows = cursor.fetchmany(limit)
                    return QueryResult(tuple(column.name for column in cursor.description or ()), rows)
        except errors.QueryCanceled as error:
            raise took_too_long(timeout) from error
        except psycopg.Error as error:
            raise cannot_be_read(error) from error

    @staticmethod
    def _exists(connection: psycopg.Connection[Any], location: str) -> bool:
        row = connection.execute(
            "select exists (select from pg_catalog.pg_namespace where starts_with(nspname, %s))", [f"{location}__"]
        ).fetchone()
        return bool(row and row[0])

    # Connections -----------------------------------------------------------------------------------------------

    @contextmanager
    def connected(self, what: str) -> Iterator[psycopg.Connection[Any]]:
        """A connection of its own for each piece of work, in UTC; raises `TransientError` when there is none."""
        with secrets_hidden([self.address.password]):
            try:
                connection = psycopg.connect(
                    **self.address.parameters,  # type: ignore[arg-type]
                    autocommit=True,
                    connect_timeout=CONNECT_SECONDS,
                    application_name=f"data-portal {what}",
                    keepalives_idle=30,
                    options="-c timezone=UTC",
                )
            except psycopg.OperationalError as error:
                raise _unreachable(error) from error
            try:
                yield connection
            finally:
                connection.close()


def _drop(connection: psycopg.Connection[Any], schemas: Iterable[str], *, with_views: bool = False) -> None:
    """`with_views`: also the views upon them. Otherwise a view that still shows them is an error."""
    how = sql.SQL("cascade" if with_views else "restrict")
    for schema in sorted(schemas):
        tables = connection.execute(
            "select tablename from pg_catalog.pg_tables where schemaname = %s", [schema]
        ).fetchall()
        for (table,) in tables:
            connection.execute(sql.SQL("drop table {} {}").format(sql.Identifier(schema, table), how))
        connection.execute(sql.SQL("drop schema {} {}").format(sql.Identifier(schema), how))


def _unreachable(error: psycopg.OperationalError) -> PortalError:
    text = str(error)
    if "authentication failed" in text or "does not exist" in text or "no pg_hba.conf entry" in text:
        return TerminalError(
            "The warehouse does not let the portal in. Look at WAREHOUSE_URL.", text, kind="warehouse_access"
        )
    return TransientError("The warehouse could not be reached.", text, kind="warehouse")
