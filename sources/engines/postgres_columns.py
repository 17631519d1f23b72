"""Makes the columns of a table in PostgreSQL wider, with the views that stand on it: all of it, or nothing.

PostgreSQL changes no column that a view shows. So in one transaction the views go, the columns change, and the views come
back as they were, with their owners and with who may read them. When one of them does not take the new type (it compares
the column with a number, say), everything stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from portal.failures import TerminalError, TransientError
from sources.engines.fitting import Fitted

LOCK_SECONDS = 10  # how long somebody's question may keep a view: whoever asks meanwhile waits behind us

_WORDS = {
    "character varying": "text",
    "text": "text",
    "bigint": "bigint",
    "double precision": "double",
    "boolean": "bool",
    "timestamp with time zone": "timestamp",
    "date": "date",
}
_TYPES = {"text": "text", "double": "double precision", "timestamp": "timestamptz"}

# Every view that shows something of the table, however many views are in between, the nearest first.
_VIEWS = """
with recursive above (oid, distance) as (
    select %(table)s::regclass::oid, 0
    union
    select rewrite.ev_class, above.distance + 1
    from above
    inner join pg_catalog.pg_depend as depends
        on depends.refclassid = 'pg_class'::regclass and depends.refobjid = above.oid
    inner join pg_catalog.pg_rewrite as rewrite
        on depends.classid = 'pg_rewrite'::regclass and depends.objid = rewrite.oid
    where rewrite.ev_class <> above.oid
)
select views.oid, schemas.nspname, views.relname, pg_catalog.pg_get_userbyid(views.relowner),
    pg_catalog.pg_get_viewdef(views.oid), views.reloptions
from (select oid, max(distance) as distance from above where distance > 0 group by oid) as found
inner join pg_catalog.pg_class as views on views.oid = found.oid
inner join pg_catalog.pg_namespace as schemas on schemas.oid = views.relnamespace
order by found.distance, views.oid
"""
_GRANTS = """
select case given.grantee when 0 then null else pg_catalog.pg_get_userbyid(given.grantee) end, given.privilege_type,
    given.is_grantable
from pg_catalog.pg_class as views, pg_catalog.aclexplode(views.relacl) as given
where views.oid = %s and given.grantee <> views.relowner
"""


@dataclass(frozen=True)
class _View:
    schema: str
    name: str
    owner: str
    definition: str
    options: Sequence[str]
    grants: Sequence[tuple[str | None, str, bool]]  # to whom (None: everybody), what, whether it may be passed on

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


def types_of(connection: psycopg.Connection[Any], dataset: str, table: str) -> dict[str, str]:
    """Column → type of a table, in its order; types that nobody loads are left out."""
    rows = connection.execute(
        "select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns"
        " where table_schema = %s and table_name = %s order by ordinal_position",
        [dataset, table],
    ).fetchall()
    return {
        name: f"decimal({precision},{scale})" if kind == "numeric" else _WORDS[kind]
        for name, kind, precision, scale in rows
        if kind in _WORDS or kind == "numeric"
    }


def widen(connection: psycopg.Connection[Any], dataset: str, table: str, changes: Sequence[Fitted]) -> None:
    """Raises `TerminalError` (kind "columns") when a view or a value stands against it; nothing has changed then."""
    target = sql.Identifier(dataset, table)
    try:
        with connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS}s"])
            # Nobody makes a view in between.
            connection.execute(sql.SQL("lock table {} in access exclusive mode").format(target))
            views = _views(connection, target.as_string(connection))
            for view in reversed(views):
                connection.execute(sql.SQL("drop view {}").format(view.identifier))
            for each in changes:
                connection.execute(sql.SQL("alter table {} {}").format(target, _retyped(each)))
            for view in views:
                _bring_back(connection, view)
    except errors.LockNotAvailable as error:
        raise TransientError(
            f"Somebody's question kept the table “{table}” busy for too long, so its columns could not be made wider.",
            str(error),
            kind="warehouse_busy",
        ) from error
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise TerminalError(_refusal(changes, error), str(error), kind="columns") from error


def _views(connection: psycopg.Connection[Any], table: str) -> list[_View]:
    found = connection.execute(_VIEWS, {"table": table}).fetchall()
    return [
        _View(
            schema,
            name,
            owner,
            definition.rstrip().rstrip(";"),
            options or (),
            connection.execute(_GRANTS, [oid]).fetchall(),
        )
        for oid, schema, name, owner, definition, options in found
    ]


def _retyped(each: Fitted) -> sql.Composed:
    column = sql.Identifier(each.column.name)
    # The column's own decimal: "decimal(21,2)" is what PostgreSQL calls it too.
    kind = sql.SQL(_TYPES.get(each.word, each.word))
    value = sql.SQL("({}::timestamp at time zone 'UTC')" if (each.old, each.word) == ("date", "timestamp") else "{}")
    return sql.SQL("alter column {} type {} using {}::{}").format(column, kind, value.format(column), kind)


def _bring_back(connection: psycopg.Connection[Any], view: _View) -> None:
    options = sql.SQL(f" with ({', '.join(view.options)})" if view.options else "")
    connection.execute(sql.SQL("create view {}{} as {}").format(view.identifier, options, sql.SQL(view.definition)))
    connection.execute(sql.SQL("alter view {} owner to {}").format(view.identifier, sql.Identifier(view.owner)))
    for grantee, privilege, is_grantable in view.grants:
        role = sql.SQL("public") if grantee is None else sql.Identifier(grantee)
        ending = sql.SQL(" with grant option" if is_grantable else "")
        connection.execute(sql.SQL("grant {} on {} to {}{}").format(sql.SQL(privilege), view.identifier, role, ending))


def _refusal(changes: Sequence[Fitted], error: psycopg.Error) -> str:
    told = ", ".join(f"“{each.column.name}” was {each.old} and comes as {each.comes_as}" for each in changes)
    return (
        f"Column {told} now. Something that stands on its table does not take the wider type, so nothing was loaded and "
        "the table is as it was. An engineer has to change or drop what is named in the detail; the next sync then goes on."
    )
