"""PostgreSQL's log of changes, followed from committed place to the place it had when the sync began.

    rights, publication, slot      found or made, or refused with the SQL to run
    a table without a place        read whole in the snapshot that a slot exports at its first place; its place is that
    the others                     their changes since their place, one pass over the log for all of them

The cursor of a stream: {"lsn": its place, "slot": …, "table", "key", "columns": what the table was like}. Everything
that was committed before its place is in the warehouse. The slot is moved up only by `committed`, after the load: a
slot that is further than a cursor means that changes were lost, and the table is read whole again, which is told.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from portal.failures import PortalError, TerminalError
from sources.connectors.base import Page, StreamRequest, StreamSpec, SyncMode
from sources.connectors.log import DELETED_AT, Emptied, Failed, LogPosition, News, Reached, Told
from sources.connectors.pgoutput import (
    Begin,
    Commit,
    Delete,
    Insert,
    Relation,
    Truncate,
    Update,
    decode,
    lsn_number,
    lsn_text,
)
from sources.connectors.postgres_changes import Net, Shape
from sources.connectors.postgres_session import Session, Table, connected
from sources.connectors.postgres_slots import (
    Control,
    Names,
    confirm,
    controlled,
    demand,
    drop_slot,
    find_slot,
    names_of,
    publish,
    published,
)
from sources.connectors.postgres_slots import let_go as drop_all
from sources.connectors.postgres_slots import position as current_position
from sources.connectors.postgres_stream import Replication
from sources.connectors.postgres_tables import (
    LogTable,
    find_tables,
    find_types,
    generated_columns,
    only_published,
    text_column,
)

# Without any change a cursor moves (and is committed) once the log has grown by this much: the slot may follow then.
WORTH_MOVING = 16_000_000  # bytes
Since = dict[str, Any]


@dataclass
class _Plan:
    """What is to be done in this read."""

    target: int
    whole: dict[str, str] = field(default_factory=dict)  # stream → why, "" the first time
    changes: dict[str, Since] = field(default_factory=dict)
    tables: dict[str, LogTable] = field(default_factory=dict)
    slot_is_new: bool = False


def keeps_deleted(settings: Mapping[str, Any]) -> bool:
    return settings.get("deletes") != "hard"


def follow(settings: Mapping[str, Any], source: str, streams: Sequence[tuple[StreamRequest, Any]]) -> Iterator[News]:
    names = names_of(settings, source)
    with controlled(settings) as control:
        demand(control)
        tables: dict[str, LogTable] = {}
        for found in _tables(control, names, [request.name for request, _ in streams]):
            if isinstance(found, LogTable):
                tables[found.stream] = found
            else:
                yield found
        if not tables:
            return
        known = {request.name: since for request, since in streams if request.name in tables}
        plan, told = _plan(control, names, tables, known)
        yield from told
        if plan.whole:
            yield from _read_whole(settings, control, names, plan)
        if plan.changes:
            yield from _Follower(settings, control, names, plan).read()


def _tables(control: Control, names: Names, streams: list[str]) -> Iterator[LogTable | Failed]:
    """The tables that can be followed, with the columns that are published; `Failed` for the others."""
    found = find_tables(control.fetch, streams)
    good: list[LogTable] = []
    for stream in streams:
        if stream not in found:
            error: PortalError | None = TerminalError(
                f"The database has no table “{stream}” any more, or the user may not know of it. What was read of it "
                "stays; untick the stream when the table will not come back.",
                kind="missing",
            )
        else:
            error = found[stream].refusal()
        if error is not None:
            yield Failed(stream, error)
        else:
            good.append(found[stream])
    if not good:
        return
    try:
        shown_tables = publish(control, names, [(table.schema, table.name) for table in good])
        trouble: PortalError | None = None
    except TerminalError as error:
        # What is published already can be followed all the same.
        shown_tables, trouble = published(control, names.publication), error
    generated = generated_columns(control.fetch, [table.oid for table in good])
    for table in good:
        shown = shown_tables.get((table.schema, table.name))
        if shown is None:
            yield Failed(table.stream, trouble or _unpublished(table, names))
        elif shown.is_filtered or (shown.columns and not set(table.key) <= set(shown.columns)):
            yield Failed(table.stream, _filtered(table, names))
        else:
            yield only_published(table, shown, generated.get(table.oid, set()))


def _unpublished(table: LogTable, names: Names) -> TerminalError:
    return TerminalError(
        f"The publication “{names.publication}” does not tell the changes of “{table.stream}” under its own name. Its "
        f'owner can run: ALTER PUBLICATION "{names.publication}" SET (publish_via_partition_root = true);',
        kind="publication",
    )


def _filtered(table: LogTable, names: Names) -> TerminalError:
    return TerminalError(
        f"The publication “{names.publication}” tells only some rows or not all key columns of “{table.stream}”. Its "
        f'owner can mend that: ALTER PUBLICATION "{names.publication}" DROP TABLE {table.sql}; ALTER PUBLICATION '
        f'"{names.publication}" ADD TABLE {table.sql};',
        kind="publication",
    )


def _plan(
    control: Control, names: Names, tables: Mapping[str, LogTable], known: Mapping[str, Any]
) -> tuple[_Plan, list[Told]]:
    slot = find_slot(control, names.slot)
    plan = _Plan(lsn_number(control.value("select pg_current_wal_flush_lsn()::text")), tables=dict(tables))
    told: list[Told] = []
    if slot is not None and slot.is_lost:
        drop_slot(control, names.slot)
        slot = None
    plan.slot_is_new = slot is None
    followed = {name: since for name, since in known.items() if since and since.get("slot") == names.slot}
    lost: list[str] = []
    unpublished: list[str] = []
    for name, table in tables.items():
        since = followed.get(name)
        if since is None:
            plan.whole[name] = ""
        elif slot is None or not slot.confirmed <= lsn_number(since["lsn"]) <= plan.target:
            plan.whole[name] = "lost"
            lost.append(name)
        elif since.get("published") != list(table.published):
            plan.whole[name] = "unpublished"
            unpublished.append(name)
        elif why := since.get("again") or table.altered_since(since):
            plan.whole[name] = why
            told.append(Told(f"“{name}” is read whole again: {why}."))
        else:
            plan.changes[name] = since
    if unpublished:
        told.insert(
            0,
            Told(
                f"The publication “{names.publication}” was made anew or left out {', '.join(unpublished)} for a while, "
                "so that changes were missed. Read whole again.",
                is_loss=True,
            ),
        )
    if lost:
        why = "is gone or was invalidated" if slot is None else "was moved by somebody else"
        told.insert(
            0,
            Told(
                f"The replication slot “{names.slot}” {why}, so that changes were missed. Read whole again: "
                f"{', '.join(lost)}.",
                is_loss=True,
            ),
        )
    return plan, told


# --- whole tables -----------------------------------------------------------------------------------------------------
def _read_whole(settings: Mapping[str, Any], control: Control, names: Names, plan: _Plan) -> Iterator[News]:
    """In the snapshot of the slot's first place; when there is a slot already, in that of one made for this moment.

    The slot is kept from the first try on; a try that breaks off is followed by one with a later snapshot.
    """
    with Replication(settings) as replication:
        if plan.slot_is_new:
            place, snapshot = replication.make_slot(names.slot)
        else:
            temporary = f"{names.slot[:50]}_{secrets.token_hex(4)}"
            place, snapshot = replication.make_slot(temporary, is_temporary=True)
        for name in plan.whole:
            yield from _one_whole(settings, names, plan.tables[name], snapshot, place)


def _one_whole(settings: Mapping[str, Any], names: Names, table: LogTable, snapshot: str, place: str) -> Iterator[News]:
    import pyarrow as pa

    try:
        with connected(settings, table.stream, snapshot) as session:
            seen = session.table(table.stream)
            then = find_tables(session.fetch, [table.stream])[table.stream]
            names_told = {column.name for column in table.columns}
            facts = replace(
                then, columns=tuple(c for c in then.columns if c.name in names_told), published=table.published
            ).facts()
            shown = Table(seen.schema, seen.relation, tuple(c for c in seen.columns if c.name in names_told))
            for page in session.rows(shown):
                rows = page.rows
                if keeps_deleted(settings):
                    if isinstance(rows, pa.RecordBatch):
                        rows = pa.Table.from_batches([rows])
                    empty = pa.nulls(rows.num_rows, pa.timestamp("us", "UTC"))
                    rows = rows.append_column(pa.field(DELETED_AT, empty.type), empty)
                yield Page(rows, stream=table.stream, starts_over=True)
    except PortalError as error:
        yield Failed(table.stream, error)
        return
    yield Reached(table.stream, {"lsn": place, "slot": names.slot, **facts})


# --- changes ------------------------------------------------------------------------------------------------------------
@dataclass
class _Followed:
    """One table on the way through the log."""

    table: LogTable
    since: Since
    place: int
    net: Net | None = None
    has_news: bool = False
    again: str = ""


class _Follower:
    def __init__(self, settings: Mapping[str, Any], control: Control, names: Names, plan: _Plan) -> None:
        self.settings = settings
        self.control = control
        self.names = names
        self.target = plan.target
        # By oid, which stays when a table is renamed.
        self.tables = {
            plan.tables[name].oid: _Followed(plan.tables[name], since, lsn_number(since["lsn"]))
            for name, since in plan.changes.items()
        }
        self.types = find_types(control.fetch)

    def read(self) -> Iterator[News]:
        start = min(each.place for each in self.tables.values())
        with Replication(self.settings) as replication:
            yield from self._pass(replication.messages(self.names.slot, self.names.publication, start))
        for each in self.tables.values():
            yield from self._hand_on(each)
        has_news = any(each.has_news or each.again for each in self.tables.values())
        for each in self.tables.values():
            if each.again:
                yield Told(f"“{each.table.stream}” is read whole again with the next sync: {each.again}.")
                yield Reached(each.table.stream, {**each.since, "again": each.again}, discards=True)
            elif has_news or self.target - each.place >= WORTH_MOVING:
                place = max(self.target, each.place)
                cursor = {"lsn": lsn_text(place), "slot": self.names.slot, **each.table.facts()}
                yield Reached(each.table.stream, cursor)

    def _pass(self, messages: Iterator[bytes | int]) -> Iterator[News]:
        """All transactions that were committed before the target."""
        begin: Begin | None = None
        for raw in messages:
            if isinstance(raw, int):
                if begin is None and raw >= self.target:
                    return
                continue
            change = decode(raw)
            if isinstance(change, Insert | Update | Delete):
                each = self.tables.get(change.relation)
                if each is None or each.net is None or begin is None or begin.lsn < each.place:
                    continue
                each.net.size += len(raw)
                if isinstance(change, Insert):
                    each.net.insert(change)
                elif isinstance(change, Update):
                    each.net.update(change, begin.at)
                else:
                    each.net.delete(change, begin.at)
                if each.net.is_full:
                    yield from self._hand_on(each)
            elif isinstance(change, Begin):
                if change.lsn >= self.target:
                    return
                begin = change
            elif isinstance(change, Commit):
                begin = None
                if change.end_lsn >= self.target:
                    return
            elif isinstance(change, Relation):
                yield from self._meet(change)
            elif isinstance(change, Truncate) and begin is not None:
                for oid in change.relations:
                    each = self.tables.get(oid)
                    if each is not None and not each.again and begin.lsn >= each.place:
                        yield from self._hand_on(each)
                        each.has_news = True
                        yield Emptied(each.table.stream, begin.at)

    def _hand_on(self, each: _Followed) -> Iterator[News]:
        rows = each.net.take() if each.net is not None else None
        if rows is not None and not each.again:
            each.has_news = True
            yield rows

    def _meet(self, relation: Relation) -> Iterator[News]:
        each = self.tables.get(relation.oid)
        if each is None:
            return
        yield from self._hand_on(each)
        shape, each.again = self._shape(each, relation)
        each.net = None if shape is None else Net(each.table.stream, shape, keeps_deleted=keeps_deleted(self.settings))

    def _shape(self, each: _Followed, relation: Relation) -> tuple[Shape | None, str]:
        """How this version of the table becomes the stream; or why the table must be read whole again.

        A version between the one we know and today's is fine as long as each of its columns is one of these.
        """
        if each.again:
            return None, each.again
        today = {column.name: (column.type_oid, column.modifier) for column in each.table.columns}
        known = {name: (type_oid, modifier) for _, name, type_oid, modifier in each.since["columns"]}
        columns, places = [], []
        for place, attribute in enumerate(relation.attributes):
            kind = attribute.type_oid, attribute.modifier
            if kind in (today.get(attribute.name), known.get(attribute.name)):
                columns.append(text_column(attribute, self.types))
                places.append(place)
            elif attribute.name in today or attribute.name in known:
                return None, f"the type of “{attribute.name}” was changed"
            elif self._has_column(each.table, attribute.name):
                return None, f"the column “{attribute.name}” came while the log was read"
        names = [attribute.name for attribute in relation.attributes]
        key = set(each.table.key)
        told = {attribute.name for attribute in relation.attributes if attribute.is_key}
        if relation.identity == "n" or not key <= set(names) or (relation.identity != "f" and told != key):
            return None, "its key was changed"
        key_places = tuple(names.index(name) for name in each.table.key)
        return Shape(tuple(columns), tuple(places), key_places, len(names)), ""

    def _has_column(self, table: LogTable, name: str) -> bool:
        """Whether a column that nobody knew when the sync began is there today; else it came and went in between."""
        found = find_tables(self.control.fetch, [table.stream]).get(table.stream)
        return found is not None and name in {column.name for column in found.columns}


# --- around it ----------------------------------------------------------------------------------------------------------
def check(settings: Mapping[str, Any]) -> str:
    """A sentence when the log can be followed; raises `TerminalError` with what to run when not."""
    with controlled(settings) as control:
        demand(control)
        publication = str(settings.get("publication") or "").strip()
        if publication:
            if not control.value("select true from pg_publication where pubname = %s", publication):
                raise TerminalError(
                    f"The database has no publication “{publication}”. The tables' owner can make it: CREATE PUBLICATION "
                    f'"{publication}" FOR TABLE … WITH (publish_via_partition_root = true);',
                    kind="publication",
                )
        elif not control.value("select has_database_privilege(current_database(), 'create')"):
            return (
                "Its changes can be followed once the tables' owner has made a publication and its name stands under "
                "Advanced: CREATE PUBLICATION data_portal FOR TABLE … WITH (publish_via_partition_root = true);"
            )
    return "Its changes can be followed."


def offered(session: Session, specs: Sequence[StreamSpec]) -> list[StreamSpec]:
    """`specs` as streams that are followed where the log tells enough, else to be read whole."""
    tables = find_tables(session.fetch, [spec.name for spec in specs])
    found = []
    for spec in specs:
        table = tables.get(spec.name)
        if table is not None and table.refusal() is None:
            modes = (SyncMode.INCREMENTAL, SyncMode.FULL_REFRESH)
            found.append(replace(spec, primary_key=table.key, sync_modes=modes, is_followed=True))
        else:
            found.append(replace(spec, sync_modes=(SyncMode.FULL_REFRESH,)))
    return found


def committed(settings: Mapping[str, Any], source: str, cursors: Sequence[Any]) -> LogPosition:
    names = names_of(settings, source)
    places = [lsn_number(cursor["lsn"]) for cursor in cursors if cursor and cursor.get("slot") == names.slot]
    with controlled(settings) as control:
        if places:
            confirm(control, names.slot, min(places))
        return current_position(control, names)


def position(settings: Mapping[str, Any], source: str) -> LogPosition:
    with controlled(settings) as control:
        return current_position(control, names_of(settings, source))


def let_go(settings: Mapping[str, Any], source: str) -> str:
    with controlled(settings) as control:
        return drop_all(control, names_of(settings, source))
