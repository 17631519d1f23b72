"""What a database must allow and keep so that its log can be followed: rights, a publication, a replication slot.

Every refusal says the SQL that whoever runs the database would run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from portal.failures import TerminalError, TransientError
from sources.connectors.log import LogPosition
from sources.connectors.pgoutput import lsn_number, lsn_text
from sources.connectors.postgres_errors import explain
from sources.connectors.postgres_session import address
from sources.connectors.postgres_types import quoted

PLUGIN = "pgoutput"
LONGEST_NAME = 63
RELEASE_PATIENCE = 10.0  # seconds for the server to notice that a reader has gone
INSTEAD = " Or choose “by a column” under Changes: that needs no such right."
FIRST_WITH_COLUMNS = 150_000  # server versions
FIRST_WITH_GENERATED = 180_000


@dataclass(frozen=True)
class Names:
    slot: str
    publication: str
    is_own_publication: bool


def names_of(settings: Mapping[str, Any], source: str) -> Names:
    """Derived from the source's short name unless the settings name existing ones."""
    own = f"data_portal_{re.sub(r'[^a-z0-9_]', '_', source.lower())}"[:LONGEST_NAME]
    slot, publication = str(settings.get("slot") or "").strip(), str(settings.get("publication") or "").strip()
    if slot and not re.fullmatch(r"[a-z0-9_]{1,63}", slot):
        raise TerminalError(
            "The name of the replication slot may have small letters, digits and underscores only.", kind="settings"
        )
    return Names(slot or own, publication or own, publication in ("", own))


class Control:
    """An ordinary connection for questions and commands, each in a transaction of its own."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.version = connection.info.server_version

    def fetch(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        # Without values nothing is a placeholder.
        return self.connection.execute(sql.encode(), values or None).fetchall()

    def value(self, sql: str, *values: Any) -> Any:
        rows = self.fetch(sql, *values)
        return rows[0][0] if rows else None

    def run(self, sql: str) -> None:
        self.connection.execute(sql.encode())


@contextmanager
def controlled(settings: Mapping[str, Any]) -> Iterator[Control]:
    parameters = address(settings)
    try:
        connection = psycopg.connect(**parameters, autocommit=True)
    except psycopg.Error as error:
        raise explain(error) from error
    try:
        yield Control(connection)
    except psycopg.Error as error:
        raise explain(error) from error
    finally:
        connection.close()


# --- rights ---------------------------------------------------------------------------------------------------------
def demand(control: Control) -> None:
    """Raises `TerminalError` (kind "cdc_rights") with what to run when the log cannot be followed with these rights."""
    level, is_replica, may_replicate, user = control.fetch(
        "select current_setting('wal_level'), pg_is_in_recovery(),"
        " exists (select from pg_roles r where r.rolname = current_user and (r.rolreplication or r.rolsuper))"
        # Where a provider keeps the attribute to itself it gives a role instead.
        " or exists (select from pg_roles r where r.rolname = 'rds_replication' and pg_has_role(r.oid, 'member')),"
        " current_user"
    )[0]
    if is_replica:
        raise TerminalError(
            "This server is a read replica, and changes can only be followed on the server that is written to. Enter "
            f"that one's address.{INSTEAD}",
            kind="cdc_rights",
        )
    wanted = []
    if level != "logical":
        wanted.append(f"ALTER SYSTEM SET wal_level = 'logical'; (it is “{level}” now) and then restart the server")
    if not may_replicate:
        wanted.append(f"ALTER ROLE {quoted(user)} REPLICATION;")
    if wanted:
        raise TerminalError(
            f"Changes cannot be followed yet. Whoever runs the database can allow it: {' — and '.join(wanted)}"
            f"{'' if wanted[-1].endswith(';') else '.'}{INSTEAD}",
            kind="cdc_rights",
        )


# --- the publication ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Published:
    """What the publication tells of one table. `columns`: None when the server cannot say (before version 15)."""

    columns: tuple[str, ...] | None
    is_filtered: bool
    # Of the publication, and of the table's place in it: others when either was made anew, and changes were missed.
    oids: tuple[int, int] = (0, 0)


def publish(control: Control, names: Names, tables: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Published]:
    """What is published, after making or widening the publication for `tables` (schema, name) where the user may.

    Raises `TerminalError` (kind "publication") with the SQL for the owner.
    """
    found = control.fetch(
        "select pubinsert and pubupdate and pubdelete and pubtruncate, puballtables from pg_publication"
        " where pubname = %s",
        names.publication,
    )
    if not found:
        _ask_owner(control, creation(control.version, names.publication, tables), "there is no publication for it yet")
    else:
        is_complete, _ = found[0]
        if not is_complete:
            raise TerminalError(
                f"The publication “{names.publication}” leaves out some kinds of changes. Its owner can mend that: "
                f"ALTER PUBLICATION {quoted(names.publication)} SET (publish = 'insert, update, delete, truncate');",
                kind="publication",
            )
        missing = [table for table in tables if table not in published(control, names.publication)]
        if missing:
            _ask_owner(
                control,
                f"ALTER PUBLICATION {quoted(names.publication)} ADD TABLE {_listed(missing)};",
                f"its publication leaves out {', '.join(name for _, name in missing)}",
            )
    return published(control, names.publication)


def published(control: Control, publication: str) -> dict[tuple[str, str], Published]:
    has_columns = control.version >= FIRST_WITH_COLUMNS
    more = "attnames::text[], rowfilter is not null" if has_columns else "null::text[], false"
    rows = control.fetch(
        f"select schemaname, tablename, {more} from pg_publication_tables where pubname = %s", publication
    )
    publication_oid = control.value("select oid::int8 from pg_publication where pubname = %s", publication) or 0
    places = {
        (schema, name): oid
        for schema, name, oid in control.fetch(
            "select n.nspname, c.relname, r.oid::int8 from pg_publication_rel r join pg_class c on c.oid = r.prrelid"
            " join pg_namespace n on n.oid = c.relnamespace where r.prpubid = %s",
            publication_oid,
        )
    }
    return {
        (schema, name): Published(
            tuple(columns) if columns else None, bool(f), (publication_oid, places.get((schema, name), 0))
        )
        for schema, name, columns, f in rows
    }


def creation(version: int, publication: str, tables: Sequence[tuple[str, str]]) -> str:
    """The command that makes the publication."""
    options = "publish_via_partition_root = true"
    if version >= FIRST_WITH_GENERATED:
        options += ", publish_generated_columns = stored"
    return f"CREATE PUBLICATION {quoted(publication)} FOR TABLE {_listed(tables)} WITH ({options});"


def _listed(tables: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{quoted(schema)}.{quoted(name)}" for schema, name in tables)


def _ask_owner(control: Control, command: str, why: str) -> None:
    try:
        control.run(command)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState) as error:
        raise TerminalError(
            f"The log cannot be followed, because {why}, and the user may not change that. The tables' owner can: "
            f"{command}",
            str(error),
            kind="publication",
        ) from error


# --- the slot -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Slot:
    confirmed: int
    is_lost: bool


def find_slot(control: Control, slot: str) -> Slot | None:
    """The slot of that name; raises `TerminalError` when it is somebody else's."""
    # As JSON: which columns there are depends on the server's version.
    facts = control.value("select to_jsonb(s) from pg_replication_slots s where s.slot_name = %s", slot)
    if facts is None:
        return None
    if facts["plugin"] != PLUGIN or facts["database"] != control.connection.info.dbname:
        raise TerminalError(
            f"The database has a replication slot “{slot}” that serves something else "
            f"({facts['plugin'] or facts['slot_type']}). Choose another name for the slot in the settings.",
            kind="slot",
        )
    is_lost = (
        facts.get("wal_status") == "lost" or bool(facts.get("invalidation_reason")) or bool(facts.get("conflicting"))
    )
    return Slot(lsn_number(facts["confirmed_flush_lsn"] or "0/0"), is_lost or not facts["confirmed_flush_lsn"])


def confirm(control: Control, slot: str, place: int) -> None:
    """Let the database forget what is before `place`; nothing happens when it has."""
    found = find_slot(control, slot)
    if found is not None and not found.is_lost and place > found.confirmed:
        _when_free(lambda: control.fetch("select pg_replication_slot_advance(%s, %s)", slot, lsn_text(place)))


def drop_slot(control: Control, slot: str) -> bool:
    """Whether there was one."""
    if control.value("select true from pg_replication_slots where slot_name = %s", slot) is None:
        return False
    _when_free(lambda: control.fetch("select pg_drop_replication_slot(%s)", slot))
    return True


def _when_free(action: Any) -> None:
    """The server needs a moment to notice that a reader has gone."""
    deadline = time.monotonic() + RELEASE_PATIENCE
    while True:
        try:
            action()
            return
        except psycopg.errors.ObjectInUse as error:
            if time.monotonic() > deadline:
                raise TransientError(
                    "Another process is reading the database's log for this source.", str(error), kind="busy"
                ) from error
            time.sleep(0.05)


def position(control: Control, names: Names) -> LogPosition:
    found = control.value(
        "select to_jsonb(s) || jsonb_build_object("
        " 'lag', pg_wal_lsn_diff(pg_current_wal_flush_lsn(), s.confirmed_flush_lsn)::int8,"
        " 'kept', pg_wal_lsn_diff(pg_current_wal_flush_lsn(), s.restart_lsn)::int8)"
        " from pg_replication_slots s where s.slot_name = %s",
        names.slot,
    )
    if found is None:
        return LogPosition(names.slot, names.publication, is_lost=True)
    return LogPosition(
        names.slot,
        names.publication,
        confirmed=found["confirmed_flush_lsn"] or "",
        lag_bytes=found["lag"],
        kept_bytes=found["kept"],
        is_lost=found.get("wal_status") == "lost" or bool(found.get("invalidation_reason")),
    )


def let_go(control: Control, names: Names) -> str:
    """Drop the slot, and the publication when it was ours; harmless when they are gone."""
    had_slot = drop_slot(control, names.slot)
    sentence = f"The replication slot “{names.slot}” {'was dropped' if had_slot else 'was gone already'}"
    if not names.is_own_publication:
        return f"{sentence}; the publication “{names.publication}” is not ours and stays."
    command = f"DROP PUBLICATION {quoted(names.publication)};"
    if control.value("select true from pg_publication where pubname = %s", names.publication) is None:
        return f"{sentence}, and there is no publication left."
    try:
        control.run(command)
    except psycopg.errors.InsufficientPrivilege as error:
        raise TerminalError(
            f"{sentence}. The user may not drop the publication; it costs nothing, and its owner can remove it: {command}",
            str(error),
            kind="publication",
        ) from error
    return f"{sentence}, and so was the publication."
