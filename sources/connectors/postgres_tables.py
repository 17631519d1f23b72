"""Tables as a follower of the log sees them: who is who (oid, column numbers), what a row is known by, what is published.

A column's number never changes and is never used again: so a renamed column is told from a dropped and a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from portal.failures import TerminalError
from sources.connectors.pgoutput import Attribute
from sources.connectors.postgres_literals import TEXT, TypeInfo
from sources.connectors.postgres_slots import Published
from sources.connectors.postgres_text import TextColumn
from sources.connectors.postgres_types import TableColumn, literal, quoted

Fetch = Callable[[str], list[tuple[Any, ...]]]

_TABLES = """
select c.oid::int8, n.nspname, c.relname, c.relkind::text, c.relreplident::text, a.attname, a.attnum::int8,
       a.atttypid::int8, a.atttypmod::int8, a.attgenerated::text <> '', a.atthasdef or a.atthasmissing,
       array_position(p.indkey::int2[], a.attnum)::int8, array_position(r.indkey::int2[], a.attnum)::int8
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_index p on p.indrelid = c.oid and p.indisprimary
left join pg_catalog.pg_index r on r.indrelid = c.oid and r.indisreplident
where {condition}
order by c.oid, a.attnum
"""
_TYPES = """
select t.oid::int8, t.typname, t.typcategory::text, t.typtype::text, t.typbasetype::int8, t.typtypmod::int8,
       case when t.typcategory = 'A' then t.typelem::int8 else 0 end, t.typdelim::text
from pg_catalog.pg_type t
"""
_FIELDS = """
select c.reltype::int8, a.attname, a.atttypid::int8 from pg_catalog.pg_class c
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace <> 'pg_catalog'::regnamespace order by c.oid, a.attnum
"""
_VARCHAR, _VARBIT = 1043, 1562


@dataclass(frozen=True)
class LogColumn:
    name: str
    number: int
    type_oid: int
    modifier: int
    has_default: bool

    def facts(self) -> list[Any]:
        return [self.number, self.name, self.type_oid, self.modifier]


@dataclass(frozen=True)
class LogTable:
    """`key`: what the log names a row by (the replica identity); () when it names nothing."""

    stream: str
    oid: int
    schema: str
    name: str
    kind: str
    identity: str
    key: tuple[str, ...]
    columns: tuple[LogColumn, ...]
    published: tuple[int, int] = (0, 0)  # `Published.oids`

    @property
    def sql(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def facts(self) -> dict[str, Any]:
        """What a cursor keeps, to notice what was altered since."""
        return {
            "table": self.oid,
            "published": list(self.published),
            "key": list(self.key),
            "columns": [column.facts() for column in self.columns],
        }

    def altered_since(self, facts: Mapping[str, Any]) -> str:
        """Why the rows in the warehouse can no longer be brought up to date by changes alone; "" when they can.

        What an ALTER does to rows that are there is not in the log. A column without a default is empty in all of
        them, and a dropped one stays as it was: these two need nothing.
        """
        if facts.get("table") != self.oid:
            return "the table was made anew"
        if facts.get("key") != list(self.key):
            return "its key was changed"
        known = {number: (name, type_oid, modifier) for number, name, type_oid, modifier in facts.get("columns") or ()}
        for column in self.columns:
            if column.number not in known:
                if column.has_default:
                    return f"the column “{column.name}” came with a value for the rows that were there"
                continue
            name, type_oid, modifier = known[column.number]
            if name != column.name:
                return f"the column “{name}” is called “{column.name}” now"
            if type_oid != column.type_oid or (modifier != column.modifier and type_oid not in (_VARCHAR, _VARBIT)):
                return f"the type of “{column.name}” was changed"
        return ""

    def refusal(self) -> TerminalError | None:
        """Why this table cannot be followed, with what to run."""
        if self.kind not in ("r", "p"):
            return TerminalError(
                f"“{self.stream}” is no table (but a view or a foreign table), and its changes are in no log. Choose "
                "“everything, each time” for it.",
                kind="primary_key",
            )
        if self.key:
            return None
        if self.identity == "n":
            command = f"ALTER TABLE {self.sql} REPLICA IDENTITY DEFAULT;"
        else:
            command = (
                f"ALTER TABLE {self.sql} ADD PRIMARY KEY (…); or, with a unique index over columns that are never "
                f"empty: ALTER TABLE {self.sql} REPLICA IDENTITY USING INDEX …;"
            )
        return TerminalError(
            f"The log does not say which row of “{self.stream}” was changed, because it has no key there. Its owner can "
            f"run: {command} Or choose “everything, each time” for it.",
            kind="primary_key",
        )


def find_tables(fetch: Fetch, streams: Iterable[str]) -> dict[str, LogTable]:
    """Stream → table, of those that are there."""
    wanted = {}
    for stream in streams:
        schema, dot, name = stream.rpartition(".")
        wanted["public", stream] = stream
        if dot:
            wanted[schema, name] = stream
    if not wanted:
        return {}
    pairs = ", ".join(f"({literal(schema)}, {literal(name)})" for schema, name in wanted)
    found: dict[str, LogTable] = {}
    rows: dict[int, list[tuple[Any, ...]]] = {}
    for row in fetch(_TABLES.format(condition=f"(n.nspname, c.relname) in ({pairs})")):
        rows.setdefault(row[0], []).append(row)
    for oid, columns in rows.items():
        _, schema, name, kind, identity = columns[0][:5]
        place = 12 if identity == "i" else 11
        key = sorted((row[place], row[5]) for row in columns if row[place] is not None) if identity != "n" else []
        found[wanted[schema, name]] = LogTable(
            stream=wanted[schema, name],
            oid=oid,
            schema=schema,
            name=name,
            kind=kind,
            identity=identity,
            key=tuple(name for _, name in key),
            columns=tuple(
                LogColumn(name, number, type_oid, modifier, is_generated or has_default)
                for _, _, _, _, _, name, number, type_oid, modifier, is_generated, has_default, *_ in columns
            ),
        )
    return found


def only_published(table: LogTable, published: Published, generated: set[str]) -> LogTable:
    """`table` with the columns whose changes the log tells."""
    if published.columns is None:
        columns = tuple(column for column in table.columns if column.name not in generated)
    else:
        columns = tuple(column for column in table.columns if column.name in published.columns)
    return replace(table, columns=columns, published=published.oids)


def generated_columns(fetch: Fetch, oids: Sequence[int]) -> dict[int, set[str]]:
    """Columns that the server computes: before version 18 the log never tells them."""
    found: dict[int, set[str]] = {}
    if oids:
        rows = fetch(
            "select attrelid::int8, attname from pg_catalog.pg_attribute where attgenerated::text <> ''"
            f" and attrelid in ({', '.join(map(str, oids))})"
        )
        for oid, name in rows:
            found.setdefault(oid, set()).add(name)
    return found


def find_types(fetch: Fetch) -> dict[int, TypeInfo]:
    """Every type the database knows, by oid."""
    fields: dict[int, list[tuple[str, int]]] = {}
    for oid, name, type_oid in fetch(_FIELDS):
        fields.setdefault(oid, []).append((name, type_oid))
    return {
        oid: TypeInfo(
            oid,
            name,
            category,
            kind,
            base,
            modifier,
            element,
            delimiter,
            tuple(fields.get(oid, ())) if category == "C" else (),
        )
        for oid, name, category, kind, base, modifier, element, delimiter in fetch(_TYPES)
    }


def text_column(attribute: Attribute, types: dict[int, TypeInfo]) -> TextColumn:
    """A column of the log, described as the catalogue would."""
    kind = types.get(attribute.type_oid, TEXT)
    base = types.get(kind.base) if kind.kind == "d" else None
    seen = base or kind
    column = TableColumn(
        name=attribute.name,
        type=seen.name,
        category=seen.category,
        modifier=kind.modifier if base else attribute.modifier,
        is_required=False,
        key_position=None,
    )
    return TextColumn(column, kind, types)
