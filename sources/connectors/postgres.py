"""Any PostgreSQL table, by a cursor column or whole; rows travel as Arrow batches from the server's COPY to the warehouse.

Everything of one read happens in one snapshot (repeatable read), so the cursor reaches exactly as far as the rows do.
A row may become visible after rows with a later cursor (its transaction took long), so each read looks again at the
last few minutes (or ids): when their checksum is still the one kept in the cursor nothing is read twice, else that
window is read again and merged by primary key.

The cursor: {"value": the highest seen, "edge": where the window begins, "window": count and checksum of its rows}.

Rows that were deleted are not noticed by a cursor; a full refresh notices them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from portal.failures import TerminalError
from portal.redact import secrets_hidden
from sources.connectors.base import Column, FieldKind, FormField, Page, StreamRequest, StreamSpec, SyncMode
from sources.connectors.postgres_errors import explain
from sources.connectors.postgres_types import TableColumn, literal, quoted

CONNECT_TIMEOUT = 10  # seconds
LATE_MINUTES = 5
LATE_IDS = 1000
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

# Cursor columns that people mean, best first.
_UPDATED = ("updated_at", "modified_at", "last_modified", "updated", "changed_at", "update_time", "updated_on")
_CREATED = ("created_at", "inserted_at", "created", "occurred_at", "timestamp", "event_time", "created_on")

ENCRYPTION = (
    ("prefer", "if the server can"),
    ("require", "always, without checking the certificate"),
    ("verify-full", "always, and check the certificate"),
    ("disable", "never"),
)


class PostgresConnector:
    name = "postgres"
    label = "PostgreSQL"
    summary = "Tables of a PostgreSQL database, such as the one behind your product."
    fields = (
        FormField(
            "host",
            "Host",
            "The server's name or address, as engineering gives it to you. A read replica is a good choice.",
            placeholder="db.example.com",
        ),
        FormField("port", "Port", "Nearly always 5432.", FieldKind.INTEGER, default=5432),
        FormField("database", "Database", "The database's name on that server.", placeholder="app_production"),
        FormField("user", "User", "A user that may only read.", placeholder="portal_reader"),
        FormField("password", "Password", "Stored encrypted and never shown again.", FieldKind.SECRET),
        FormField(
            "sslmode",
            "Encryption",
            "Whether the connection is encrypted. Over the internet choose “always”.",
            FieldKind.CHOICE,
            default="prefer",
            choices=ENCRYPTION,
            is_advanced=True,
        ),
        FormField(
            "schemas",
            "Schemas",
            "One a line, to offer only their tables. Empty: all that the user may read.",
            FieldKind.LIST,
            required=False,
            is_advanced=True,
        ),
        FormField(
            "late_minutes",
            "Look back (minutes)",
            "How long your database's longest write may take. Rows that become visible this late are still found.",
            FieldKind.INTEGER,
            required=False,
            default=LATE_MINUTES,
            is_advanced=True,
        ),
        FormField(
            "statement_minutes",
            "Longest query (minutes)",
            "A query that takes longer is called off, so that it cannot burden the server.",
            FieldKind.INTEGER,
            required=False,
            default=STATEMENT_MINUTES,
            is_advanced=True,
        ),
    )
    permissions = ("CONNECT on the database", "USAGE on the schemas", "SELECT on the tables")
    setup_help = (
        "Ask whoever runs the database for a user that may only read: CREATE USER portal_reader PASSWORD '…'; "
        "GRANT CONNECT ON DATABASE … TO portal_reader; GRANT USAGE ON SCHEMA public TO portal_reader; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO portal_reader."
    )
    rate_limits = ()
    streams: tuple[StreamSpec, ...] = ()  # depends on the database
    reads_back = "every row dated"

    def check(self, settings: Mapping[str, Any]) -> str:
        with secrets_hidden([settings.get("password") or ""]), _connected(settings) as connection:
            version = connection.value("select current_setting('server_version')")
            count = len(connection.tables(settings))
        if not count:
            raise TerminalError(
                "The user can log in, but may read no table. Whoever runs the database can allow it: "
                "GRANT USAGE ON SCHEMA … and GRANT SELECT ON ALL TABLES IN SCHEMA … TO the user.",
                kind="forbidden",
            )
        tables = "one table" if count == 1 else f"{count} tables"
        return f"Connected to PostgreSQL {version.split()[0]}. The user can read {tables}."

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        with secrets_hidden([settings.get("password") or ""]), _connected(settings) as connection:
            return [_spec(table) for table in connection.tables(settings)]

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        # A window whose checksum cannot match is read again from its edge. A number says nothing about days.
        try:
            datetime.fromisoformat(since["value"])
        except (KeyError, TypeError, ValueError):
            return None
        if since["value"][4:5] != "-":
            return None
        edge = moment.strftime("%Y-%m-%d %H:%M:%S+00")
        return {**since, "edge": min(edge, since["edge"]), "window": ""}

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        with secrets_hidden([settings.get("password") or ""]), _connected(settings, stream.name) as connection:
            table = connection.table(stream.name)
            if stream.sync_mode is SyncMode.FULL_REFRESH:
                yield from connection.rows(table)
            else:
                yield from _changes(connection, table, _cursor_column(table, stream), settings, since)


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


class _Connection:
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
        to_warehouse = _Casts(table)
        is_empty = True
        for batch in reader:
            if batch.num_rows:
                is_empty = False
                yield Page(to_warehouse(batch))
        if is_empty:
            yield Page(to_warehouse(reader.schema.empty_table()))


class _Casts:
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
def _connected(settings: Mapping[str, Any], stream: str = "") -> Iterator[_Connection]:
    import adbc_driver_manager
    import adbc_driver_postgresql.dbapi as postgresql

    for name in ("host", "database", "user"):
        if not settings.get(name):
            raise TerminalError(f"The {name} is missing in the settings of this source.", kind="settings")
    try:
        connection = postgresql.connect(_address(settings))
    except adbc_driver_manager.Error as error:
        raise explain(error) from error
    try:
        with connection.cursor() as cursor:
            minutes = int(settings.get("statement_minutes") or STATEMENT_MINUTES)
            cursor.execute("set transaction isolation level repeatable read read only")
            # Set here and not in the address: connection poolers refuse start-up options.
            cursor.execute(f"set local statement_timeout = {minutes * MINUTE}")
            cursor.execute("set local timezone = 'UTC'")
            cursor.execute("set local datestyle = 'ISO, YMD'")
            cursor.execute("set local intervalstyle = 'postgres'")
            yield _Connection(cursor)
    except (adbc_driver_manager.Error, OSError) as error:  # OSError: what goes wrong while a batch is on its way
        raise explain(error, stream) from error
    finally:
        connection.close()


def _address(settings: Mapping[str, Any]) -> str:
    wanted = {
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
    # libpq decodes %20 but not "+".
    return "postgresql:///?" + urlencode(wanted, quote_via=quote, safe="")


def _changes(
    connection: _Connection, table: Table, cursor: TableColumn, settings: Mapping[str, Any], since: Any
) -> Iterator[Page]:
    name = f"t.{quoted(cursor.name)}"
    is_moment = cursor.type not in {"int2", "int4", "int8"}
    # Rows without a usable place on the cursor's line belong to every window.
    aside = [f"{name} is null"] if not cursor.is_required else []
    if is_moment:
        aside.append(f"{name} in ('infinity', '-infinity')")
    also = "".join(f" or {condition}" for condition in aside)

    top = f"{name} < 'infinity'" if is_moment else f"{name} is not null"
    newest = connection.value(f"select {name}::text from {table.sql} where {top} order by {name} desc limit 1")
    known = since if since and since.get("value") else None

    def window(edge: str, value: str) -> str:
        """Count and checksum of the rows that may still have company."""
        between = f"({name} >= {literal(edge)}::{cursor.type} and {name} <= {literal(value)}::{cursor.type})"
        return connection.value(
            "select count(*) || ':' || coalesce(sum(hashtextextended((t.*)::text, 0)), 0)::text"
            f" from {table.sql} where {between}{also}"
        )

    if known is None:
        yield from connection.rows(table)
    else:
        is_same = window(known["edge"], known["value"]) == known["window"]
        value = literal(known["value"] if is_same else known["edge"]) + f"::{cursor.type}"
        if not is_same:
            yield from connection.rows(table, f"where {name} >= {value}{also}")
        elif newest is not None and newest != known["value"]:
            above = f"{name} > {value}" + (f" and {name} < 'infinity'" if is_moment else "")
            yield from connection.rows(table, f"where {above}")
        else:
            yield Page([], cursor=known)
            return
    if newest is not None:
        late = int(settings.get("late_minutes") or LATE_MINUTES)
        back = f"interval '{late} minutes'" if is_moment else str(LATE_IDS)
        edge = connection.value(f"select ({literal(newest)}::{cursor.type} - {back})::{cursor.type}::text")
        yield Page([], cursor={"value": newest, "edge": edge, "window": window(edge, newest)})


def _cursor_column(table: Table, stream: StreamRequest) -> TableColumn:
    wanted = stream.cursor_field or next(iter(_spec(table).cursor_fields), "")
    for column in table.columns:
        if column.name == wanted and column.can_be_cursor:
            return column
    raise TerminalError(
        f"The table “{stream.name}” has no column “{wanted}” that could tell what is new (a time or a whole number). "
        "Choose another cursor, or read everything every time."
        if wanted
        else f"The table “{stream.name}” has no column that could tell what is new. Read everything every time.",
        kind="cursor",
    )


def _spec(table: Table) -> StreamSpec:
    key = tuple(
        column.name
        for column in sorted(table.columns, key=lambda column: column.key_position or 0)
        if column.key_position is not None
    )

    def rank(column: TableColumn) -> tuple[int, int]:
        name = column.name.lower()
        for place, names in enumerate((_UPDATED, _CREATED)):
            if name in names:
                return place, names.index(name)
        if column.type.startswith("timestamp"):
            return 2, 0
        return (3, 0) if (column.name,) == key else (4, 0)

    candidates = tuple(column.name for column in sorted(filter(_may_lead, table.columns), key=rank))
    both = (SyncMode.INCREMENTAL, SyncMode.FULL_REFRESH)
    return StreamSpec(
        name=table.stream,
        label=table.stream,
        primary_key=key,
        cursor_fields=candidates,
        sync_modes=both if key and candidates else (SyncMode.FULL_REFRESH, SyncMode.INCREMENTAL),
        columns=tuple(Column(column.name, column.warehouse_type) for column in table.columns),
        permission=f"SELECT on {table.stream}",
    )


def _may_lead(column: TableColumn) -> bool:
    """Times always; whole numbers only as a key (an amount is no cursor)."""
    return column.can_be_cursor and (column.type.startswith("timestamp") or column.key_position is not None)
