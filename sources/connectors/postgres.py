"""Any PostgreSQL table, by a cursor column or whole; rows travel as Arrow batches from the server's COPY to the warehouse.

Everything of one read happens in one snapshot (repeatable read), so the cursor reaches exactly as far as the rows do.
A row may become visible after rows with a later cursor (its transaction took long), so each read looks again at the
last few minutes (or ids): when their checksum is still the one kept in the cursor nothing is read twice, else that
window is read again and merged by primary key.

The cursor: {"value": the highest seen, "edge": where the window begins, "window": count and checksum of its rows}.

Rows that were deleted are not noticed by a cursor; a full refresh notices them, and so does the database's log, which
`postgres_log` follows when the settings ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from portal.failures import TerminalError
from portal.redact import secrets_hidden
from sources.connectors.base import Column, FieldKind, FormField, Page, StreamRequest, StreamSpec, SyncMode
from sources.connectors.log import LogPosition, News
from sources.connectors.postgres_session import STATEMENT_MINUTES, Session, Table, connected
from sources.connectors.postgres_types import TableColumn, literal, quoted

LATE_MINUTES = 5
LATE_IDS = 1000

# Cursor columns that people mean, best first.
_UPDATED = ("updated_at", "modified_at", "last_modified", "updated", "changed_at", "update_time", "updated_on")
_CREATED = ("created_at", "inserted_at", "created", "occurred_at", "timestamp", "event_time", "created_on")

ENCRYPTION = (
    ("prefer", "if the server can"),
    ("require", "always, without checking the certificate"),
    ("verify-full", "always, and check the certificate"),
    ("disable", "never"),
)


BY_COLUMN, BY_LOG = "cursor", "cdc"
CHANGES = (
    (BY_COLUMN, "by a column of each table"),
    (BY_LOG, "from the database's log (change data capture)"),
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
            "changes",
            "Changes",
            "How new and changed rows are found. By a column: looks for rows whose “updated at” is newer; deleted rows "
            "are not noticed. From the database's log: every insert, change and delete, within minutes and with little "
            "work for the server; whoever runs it must allow that once (the connection test says what to run). The "
            "database then keeps its log until it was read here; going back to “by a column” ends that.",
            FieldKind.CHOICE,
            default=BY_COLUMN,
            choices=CHANGES,
        ),
        FormField(
            "deletes",
            "Rows deleted at the source",
            "Only with the log. Kept and marked: the row stays, with the time of its deletion in _deleted_at. Removed: "
            "it is deleted here too.",
            FieldKind.CHOICE,
            default="soft",
            choices=(("soft", "kept and marked"), ("hard", "removed")),
        ),
        FormField(
            "publication",
            "Publication",
            "Only with the log. Empty: one is made. Or the name of one that the tables' owner has made.",
            required=False,
            is_advanced=True,
        ),
        FormField(
            "slot",
            "Replication slot",
            "Only with the log. Empty: one is made and named after this source.",
            required=False,
            is_advanced=True,
        ),
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
        from sources.connectors import postgres_log

        with secrets_hidden([settings.get("password") or ""]), connected(settings) as connection:
            version = connection.value("select current_setting('server_version')")
            tables = connection.tables(settings)
        if not tables:
            raise TerminalError(
                "The user can log in, but may read no table. Whoever runs the database can allow it: "
                "GRANT USAGE ON SCHEMA … and GRANT SELECT ON ALL TABLES IN SCHEMA … TO the user.",
                kind="forbidden",
            )
        count = "one table" if len(tables) == 1 else f"{len(tables)} tables"
        sentence = f"Connected to PostgreSQL {version.split()[0]}. The user can read {count}."
        if self.is_followed(settings):
            with secrets_hidden([settings.get("password") or ""]):
                sentence += f" {postgres_log.check(settings)}"
        return sentence

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        from sources.connectors import postgres_log

        with secrets_hidden([settings.get("password") or ""]), connected(settings) as connection:
            specs = [_spec(table) for table in connection.tables(settings)]
            return postgres_log.offered(connection, specs) if self.is_followed(settings) else specs

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
        with secrets_hidden([settings.get("password") or ""]), connected(settings, stream.name) as connection:
            table = connection.table(stream.name)
            if stream.sync_mode is SyncMode.FULL_REFRESH:
                yield from connection.rows(table)
            else:
                yield from _changes(connection, table, _cursor_column(table, stream), settings, since)

    # --- the log (`sources.connectors.log.FollowsLog`) -------------------------------------------------------------
    def is_followed(self, settings: Mapping[str, Any]) -> bool:
        return settings.get("changes") == BY_LOG

    def keeps_deleted(self, settings: Mapping[str, Any]) -> bool:
        from sources.connectors import postgres_log

        return postgres_log.keeps_deleted(settings)

    def follow(
        self, settings: Mapping[str, Any], source: str, streams: Sequence[tuple[StreamRequest, Any]]
    ) -> Iterator[News]:
        from sources.connectors import postgres_log

        with secrets_hidden([settings.get("password") or ""]):
            yield from postgres_log.follow(settings, source, streams)

    def committed(self, settings: Mapping[str, Any], source: str, cursors: Sequence[Any]) -> LogPosition:
        from sources.connectors import postgres_log

        with secrets_hidden([settings.get("password") or ""]):
            return postgres_log.committed(settings, source, cursors)

    def position(self, settings: Mapping[str, Any], source: str) -> LogPosition:
        from sources.connectors import postgres_log

        with secrets_hidden([settings.get("password") or ""]):
            return postgres_log.position(settings, source)

    def let_go(self, settings: Mapping[str, Any], source: str) -> str:
        from sources.connectors import postgres_log

        with secrets_hidden([settings.get("password") or ""]):
            return postgres_log.let_go(settings, source)


def _changes(
    connection: Session, table: Table, cursor: TableColumn, settings: Mapping[str, Any], since: Any
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
