"""One look into a PostgreSQL database: a read-only transaction, its tables, and their rows as Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from portal.failures import TerminalError
from sources.connectors.base import Page
from sources.connectors.postgres_errors import explain
from sources.connectors.postgres_types import TableColumn, literal, quoted

CONNECT_TIMEOUT = 10  # seconds
STATEMENT_MINUTES = 60
MINUTE = 60_000  # in the milliseconds that PostgreSQL counts in

CATALOGUE = """
select n.nspname as schema, c.relname as relation, a.attname as name, a.attnotnull as is_required,
       coalesce(base.typname, t.typname) as type, coalesce(base.typcategory, t.typcategory)::text as category,
       case when base.oid is null then a.atttypmod else t.typtypmod end as modifier,
       array_position(i.indkey::int2[], a.attnum) as key_position
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_type base on t.typtype = 'd' and base.oid = t.typbasetype
left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname not like 'pg\\_temp%'
"""


@dataclass(frozen=True)
class Table:
    schema: str
    relation: str
    columns: tuple[TableColumn, ...]

    @property
    def stream(self) -> str:
        return self.relation if self.schema == "public" else f"{self.schema}.{self.relation}"

    @property
    def sql(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.relation)} AS t"


class Session:
    """One read-only transaction: every query in it sees the same moment."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        self.cursor.execute(sql)
        return self.cursor.fetchall()

    def value(self, sql: str) -> Any:
        rows = self.fetch(sql)
        return rows[0][0] if rows else None

    def tables(self, settings: Mapping[str, Any]) -> list[Table]:
        """What the user may read, in the schemas that were chosen."""
        schemas = [str(name).strip() for name in settings.get("schemas") or () if str(name).strip()]
        only = f" and n.nspname in ({', '.join(map(literal, schemas))})" if schemas else ""
        return self._catalogue(
            f"and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'){only}"
        )

    def table(self, stream: str) -> Table:
        schema, dot, relation = stream.rpartition(".")
        named = [(schema, relation)] if dot else []
        named.append(("public", stream))  # a table in public may have a dot in its name
        where = " or ".join(f"(n.nspname = {literal(s)} and c.relname = {literal(r)})" for s, r in named)
        found = self._catalogue(f"and ({where})")
        if not found:
            raise TerminalError(
                f"The database has no table “{stream}” any more, or the user may not know of it.", kind="missing"
            )
        return found[0]

    def _catalogue(self, condition: str) -> list[Table]:
        found: dict[tuple[str, str], list[TableColumn]] = {}
        for schema, relation, *column in self.fetch(f"{CATALOGUE} {condition} order by 1, 2, a.attnum"):
            name, is_required, kind, category, modifier, key_position = column
            found.setdefault((schema, relation), []).append(
                TableColumn(name, kind, category, modifier, is_required, key_position)
            )
        return [Table(schema, relation, tuple(columns)) for (schema, relation), columns in found.items()]

    def rows(self, table: Table, where: str = "") -> Iterator[Page]:
        """All rows as Arrow batches of about 16 MB; at least one page, so that an empty table is a table too."""
        columns = ", ".join(column.select() for column in table.columns)
        self.cursor.execute(f"select {columns} from {table.sql} {where}")
        reader = self.cursor.fetch_record_batch()
        to_warehouse = Casts(table)
        is_empty = True
        for batch in reader:
            if batch.num_rows:
                is_empty = False
                yield Page(to_warehouse(batch))
        if is_empty:
            yield Page(to_warehouse(reader.schema.empty_table()))


class Casts:
    """Gives batches their final types: text back to decimals, and JSON marked as JSON."""

    def __init__(self, table: Table) -> None:
        import pyarrow as pa

        self.kinds: list[tuple[Any, Any]] = []
        for column in table.columns:
            kind = column.warehouse_type
            arrow = {
                "bigint": pa.int64(),
                "double": pa.float64(),
                "bool": pa.bool_(),
                "date": pa.date32(),
                "timestamp": pa.timestamp("us", "UTC"),
            }.get(kind, pa.string())
            if kind == "decimal" and column.numeric:
                arrow = pa.decimal128(*column.numeric)
            metadata = {"type": "json"} if kind == "json" else None
            self.kinds.append((pa.field(column.name, arrow, metadata=metadata), arrow))
        self.schema = pa.schema([field for field, _ in self.kinds])

    def __call__(self, batch: Any) -> Any:
        import pyarrow as pa

        arrays = [
            column if column.type == arrow else column.cast(arrow)
            for column, (_, arrow) in zip(batch.columns, self.kinds, strict=True)
        ]
        make = pa.RecordBatch if isinstance(batch, pa.RecordBatch) else pa.Table
        return make.from_arrays(arrays, schema=self.schema)


@contextmanager
def connected(settings: Mapping[str, Any], stream: str = "", snapshot: str = "") -> Iterator[Session]:
    """A session of its own. `stream`: what it reads, for sentences. `snapshot`: see the moment that another exported."""
    import adbc_driver_manager
    import adbc_driver_postgresql.dbapi as postgresql

    parameters = address(settings)
    try:
        # libpq decodes %20 but not "+".
        connection = postgresql.connect("postgresql:///?" + urlencode(parameters, quote_via=quote, safe=""))
    except adbc_driver_manager.Error as error:
        raise explain(error) from error
    try:
        with connection.cursor() as cursor:
            minutes = int(settings.get("statement_minutes") or STATEMENT_MINUTES)
            cursor.execute("set transaction isolation level repeatable read read only")
            if snapshot:  # must come before any query
                cursor.execute(f"set transaction snapshot {literal(snapshot)}")
            # Set here and not in the address: connection poolers refuse start-up options.
            cursor.execute(f"set local statement_timeout = {minutes * MINUTE}")
            cursor.execute("set local timezone = 'UTC'")
            cursor.execute("set local datestyle = 'ISO, YMD'")
            cursor.execute("set local intervalstyle = 'postgres'")
            yield Session(cursor)
    except (adbc_driver_manager.Error, OSError) as error:  # OSError: what goes wrong while a batch is on its way
        raise explain(error, stream) from error
    finally:
        connection.close()


def address(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where and as whom to connect, in libpq's words. Raises `TerminalError` naming what is missing."""
    for name in ("host", "database", "user"):
        if not settings.get(name):
            raise TerminalError(f"The {name} is missing in the settings of this source.", kind="settings")
    return {
        "host": settings["host"],
        "port": settings.get("port") or 5432,
        "dbname": settings["database"],
        "user": settings["user"],
        "password": settings.get("password") or "",
        "sslmode": settings.get("sslmode") or "prefer",
        "connect_timeout": CONNECT_TIMEOUT,
        "application_name": "data-portal",
        "keepalives_idle": 30,
    }
