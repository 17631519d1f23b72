"""The engine that pulls with our connectors and loads with dlt.

    read    every stream's pages into Parquet files of their own; no lock, memory stays flat
    judge   which streams are whole, which would shrink a table suspiciously; as the warehouse's writer from here on
    load    one dlt package: rows and cursors are committed together

A stream that fails leaves the others alone: theirs is loaded, then the failure is raised with its name in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from portal.failures import PortalError, TerminalError, TransientError, as_portal_error
from portal.redact import secrets_hidden
from portal.warehouse import get_warehouse
from sources.connectors import get_connector
from sources.connectors.addresses import guarding
from sources.connectors.base import Connector, Page, StreamSpec, SyncMode
from sources.engines.base import (
    Progress,
    StreamOutcome,
    SyncOutcome,
    SyncRequest,
)
from sources.engines.columns import EXTRA, compare, emptied
from sources.engines.locks import only_one
from sources.engines.readings import (
    Reading,
    comes_along,
    copy_wait,
    filled_columns,
    fingerprint_of,
    raise_failures,
    with_along,
)

# A full refresh with fewer rows than this share of what is there is more often a fault than the truth.
SUSPICIOUS_SHARE = 0.5
SUSPICIOUS_FROM = 100  # rows; smaller tables may shrink, but not to nothing
# A cursor that moved without any row is worth a load of its own once a day.
CURSOR_ONLY_AFTER = 86_400.0
# After these the other streams would only fail the same way, each after its own patience.
STOPS_ALL = {"unreachable", "rate_limited", "unauthorized", "settings", "tls", "redirect", "address", "busy"}


class DltEngine:
    name = "dlt"

    def warm_up(self) -> None:
        """Import everything a sync needs and start nothing: a worker calls it before it forks."""
        from sources.engines.dlt_store import warm_up

        warm_up()

    def check(self, connector: str, settings: Mapping[str, Any]) -> str:
        found = get_connector(connector)
        with secrets_hidden(_secrets(found, settings)), guarding(settings), _foreseen():
            return found.check(settings)

    def discover(self, connector: str, settings: Mapping[str, Any]) -> list[StreamSpec]:
        found = get_connector(connector)
        with secrets_hidden(_secrets(found, settings)), guarding(settings), _foreseen():
            return found.discover(settings)

    def sync(self, request: SyncRequest, progress: Progress) -> SyncOutcome:
        connector = get_connector(request.connector)
        with (
            secrets_hidden(_secrets(connector, request.settings)),
            guarding(request.settings),
            _foreseen(),
            only_one(request.work_dir, request.source),
        ):
            return _Sync(request, connector, progress).run()


class _Sync:
    def __init__(self, request: SyncRequest, connector: Connector, progress: Progress) -> None:
        from sources.engines.dlt_store import DltStore
        from sources.engines.following import Following
        from sources.engines.spool import Throttle, fresh_folder

        self.following = Following(connector, request)
        self.request = replace(request, streams=self.following.streams())
        self.connector = connector
        self.progress = Throttle(progress)
        self.store = DltStore(request.source, request.dataset, request.work_dir, get_warehouse())
        self.spool_dir = request.work_dir / "spool"
        self._fresh = fresh_folder

    def run(self) -> SyncOutcome:
        self.store.settle()
        specs = self._specs()
        try:
            # The second round happens only when the warehouse was restored or emptied behind our back.
            for _ in range(2):
                readings = self._readings(specs)
                self._read(readings)
                with self.store.warehouse.writer(), self.store.connected() as connection:
                    stands = self._stands_on_what_is_there(connection, readings)
                    has_new_data = stands and self._load(connection, readings)
                if stands:
                    return self._outcome(readings, has_new_data)
            raise TransientError("The warehouse changed while the source was read.", kind="warehouse_changed")
        finally:
            self._fresh(self.spool_dir)

    # Read -------------------------------------------------------------------------------------------------------

    def _specs(self) -> dict[str, StreamSpec]:
        specs = {spec.name: spec for spec in self.connector.streams}
        if not specs and any(not stream.primary_key and not stream.columns for stream in self.request.streams):
            specs = {spec.name: spec for spec in self.connector.discover(self.request.settings)}
        return specs

    def _readings(self, specs: Mapping[str, StreamSpec]) -> dict[str, Reading]:
        from sources.engines.spool import Spool

        folder = self._fresh(self.spool_dir)
        committed = self.store.streams()
        readings: dict[str, Reading] = {}
        tables: dict[str, str] = {}
        for stream in self.request.streams:
            spec = specs.get(stream.name, StreamSpec(stream.name))
            table = self.store.normalize(stream.name.replace(".", "_"))
            if table in tables:
                raise TerminalError(
                    f"The streams “{tables[table]}” and “{stream.name}” would share one table. Switch one of them off.",
                    kind="tables",
                )
            tables[table] = stream.name
            kept = committed.get(stream.name, {})
            since = None
            if stream.sync_mode is SyncMode.INCREMENTAL and kept.get("cursor_field", "") == stream.cursor_field:
                since = kept.get("cursor")
            key = stream.primary_key or spec.primary_key
            request = replace(stream, remembered=kept.get("cursor"))
            reading = Reading(request, spec, table, since=since, kept=since, key=tuple(key))
            reading.begin_again(self.connector, kept.get("again", ""))
            readings[stream.name] = reading
            if self.following.spool(reading, folder, self.store.normalize):
                continue
            reading.spool = Spool(folder, table, key, self.store.normalize, spec.columns)
            if spec.owner_key and stream.sync_mode is SyncMode.INCREMENTAL:
                reading.spool.watch_for_gone()
            if stream.sync_mode is SyncMode.INCREMENTAL and not key:
                reading.fail(
                    TerminalError(
                        "It has no primary key, so that a changed row could not be told from a new one. Choose one, or "
                        "read everything every time.",
                        kind="primary_key",
                    )
                )
        return readings

    def _read(self, readings: Mapping[str, Reading]) -> None:
        stopped: PortalError | None = None
        done = self.following.read(readings, self.progress)
        for name in sorted(readings, key=lambda name: bool(readings[name].spec.comes_with)):
            reading = readings[name]
            if name in done or reading.error:
                continue
            if stopped is not None:
                reading.fail(type(stopped)(f"It was not read: {stopped.sentence}", stopped.detail, kind=stopped.kind))
                copy_wait(stopped, reading.error)
                continue
            along = [other for other in readings.values() if comes_along(other, reading)]
            done |= {name, *(other.request.name for other in along)}
            self._read_one(reading, along)
            if reading.error is not None and reading.error.kind in STOPS_ALL:
                stopped = getattr(reading.error, "plain", reading.error)

    def _read_one(self, reading: Reading, along: Sequence[Reading]) -> None:
        together = {each.request.name: each for each in (reading, *along)}
        began = time.monotonic()
        try:
            request = with_along(reading.request, tuple(each.request.name for each in along))
            for page in self.connector.read(self.request.settings, request, reading.since):
                self._take(page, reading, together)
            for each in together.values():
                each.spool.close()
                each.is_whole = True
                if each.is_full:  # what is merged loses its twins on the way
                    each.spool.drop_twins()
                each.fingerprint = fingerprint_of(each)
        except Exception as error:
            problem = as_portal_error(error)
            for each in together.values():
                each.spool.close()
                each.fail(problem)
        seconds = (time.monotonic() - began) / len(together)
        for name, each in together.items():
            each.seconds = seconds
            self.progress(name, each.spool.rows, is_last=True)

    def _take(self, page: Page, reading: Reading, together: Mapping[str, Reading]) -> None:
        to = together[page.stream or reading.request.name]
        if page.starts_over:
            for each in together.values():
                each.starts_over = True
        to.extra.look_at(page.rows)
        if to.spool.add(page.rows):
            self.progress(to.request.name, to.spool.rows)
        if page.cursor is not None:
            for each in together.values():
                each.cursor = page.cursor

    # Judge ------------------------------------------------------------------------------------------------------

    def _stands_on_what_is_there(self, connection: Any, readings: Mapping[str, Reading]) -> bool:
        """Whether the cursors we read from still belong to what the warehouse holds; mends it when not."""
        if not self.store.is_current(connection):
            self.store.restore(connection)
            return False
        dropped = self.store.note_dropped(connection)
        return not any(readings[name].since is not None for name in dropped if name in readings)

    def _refuse_if_shrunk(self, connection: Any, reading: Reading, tables: Mapping[str, int]) -> None:
        if reading.request.accept_fewer or reading.table not in tables:
            return
        live = self.following.live(reading, connection, self.store)
        there, read = self.store.count(connection, reading.table, live), reading.spool.rows
        if (there and not read) or (there > SUSPICIOUS_FROM and read < there * SUSPICIOUS_SHARE):
            reading.fail(
                TerminalError(
                    f"It brought {read:,} rows, and the table has {there:,}. That is more often a fault than the "
                    "truth, so the table was left as it is. If it is right, accept it once on the source's page.",
                    f"{self.request.dataset}.{reading.table}: {there} rows kept, {read} read",
                    kind="shrunk",
                )
            )

    # Load -------------------------------------------------------------------------------------------------------

    def _load(self, connection: Any, readings: Mapping[str, Reading]) -> bool:
        """Load what is good; returns whether any table changed."""
        from sources.engines.following import moved

        tables = self.store.tables(connection)
        streams = self.store.streams()
        before = json.dumps(streams, sort_keys=True)
        kept = dict(streams)
        loads, taken = [], []
        for name, reading in readings.items():
            if reading.is_full and not reading.error:
                self._refuse_if_shrunk(connection, reading, tables)
            self.following.settle(reading, connection, self.store)
            self._notice_changes(reading, kept.get(name, {}))
            load = self._fitted(connection, reading, tables, self._table_load(reading, tables, kept.get(name, {})))
            if load is not None:
                loads.append(load)
                taken.append(reading)
            elif not reading.is_held:
                reading.changes = []  # they will be noticed with the first row
            if self._may_keep_cursor(reading, tables):
                kept[name] = self._state(reading, kept.get(name, {}), is_loaded=load is not None)
        is_stale = any(time.time() - state.get("saved_at", 0) > CURSOR_ONLY_AFTER for state in streams.values())
        is_stale = is_stale or moved(list(readings.values()), streams)
        if loads or (is_stale and json.dumps(kept, sort_keys=True) != before):
            now = time.time()
            kept = {name: {**state, "saved_at": now} for name, state in kept.items()}
            self.store.load(connection, loads, kept)
            for reading in taken:
                reading.loaded = reading.spool.rows
        there = self.store.tables(connection)
        for reading in readings.values():
            if reading.table in there:
                reading.table_rows = self.store.count(connection, reading.table)
        return bool(loads)

    def _table_load(self, reading: Reading, tables: Mapping[str, int], kept: Mapping[str, Any]) -> Any:
        from sources.engines.dlt_store import TableLoad

        if not self._may_load(reading, tables):
            return None
        is_new = reading.table not in tables
        replaces = reading.is_full
        is_same = replaces and reading.fingerprint and reading.fingerprint == kept.get("fingerprint")
        is_same = is_same and not any(not change.is_mere_news for change in reading.changes)
        if not is_new and (is_same or not (reading.spool.rows or replaces)):
            return None
        if not reading.spool.columns:
            return None  # nothing came, and nobody knows the columns
        normalize = self.store.normalize
        return TableLoad(
            table=reading.table,
            disposition="replace" if replaces else "merge",
            files=reading.spool.files,
            columns=reading.spool.columns,
            key=[normalize(name) for name in reading.key],
            owner_key=[normalize(name) for name in reading.spec.owner_key],
            may_go=reading.spool.has_gone,
            grows_by=self._grows_by(reading),
        )

    def _grows_by(self, reading: Reading) -> str:
        """The column that says when a row came or changed; "" for a table that is read whole every time."""
        request, spec = reading.request, reading.spec
        if request.sync_mode is not SyncMode.INCREMENTAL:
            return ""
        name = spec.grows_by or request.cursor_field or next(iter(spec.cursor_fields), "")
        return self.store.normalize(name) if name else ""

    def _notice_changes(self, reading: Reading, kept: Mapping[str, Any]) -> None:
        """What the columns were at the last load is kept with its rows; hold the stream if that is its policy."""
        reading.changes = compare(kept.get("columns", {}), _types(reading))
        reading.changes += reading.extra.new_since(kept.get("extra"))
        if reading.is_full and reading.spec.columns and reading.spool.rows and not reading.error:
            reading.filled = filled_columns(reading)
            vanished = {change.column for change in reading.changes if change.kind == "vanished"}
            was_filled = None if "filled" not in kept else set(kept["filled"]) - vanished
            reading.changes += emptied(was_filled, reading.filled, reading.spool.rows)
        reading.hold()

    def _fitted(self, connection: Any, reading: Reading, tables: Mapping[str, int], load: Any) -> Any:
        """The load with the types its table will have; None when they cannot be brought together."""
        if load is None or reading.table not in tables:
            return load
        try:
            self.store.backend.fit(connection, self.request.dataset, load)
        except TerminalError as error:
            reading.fail(error)
            return None
        return load

    def _may_load(self, reading: Reading, tables: Mapping[str, int]) -> bool:
        """Whole readings always. Of one that broke off: what the connector vouched for with a cursor."""
        if reading.error is None:
            return True
        if reading.is_held or reading.reads_again:
            return False
        if reading.is_whole or reading.cursor is None or not reading.spool.rows:
            return False
        if reading.request.sync_mode is not SyncMode.INCREMENTAL or reading.starts_over or not reading.key:
            return False
        return reading.since is not None or reading.table not in tables

    def _may_keep_cursor(self, reading: Reading, tables: Mapping[str, int]) -> bool:
        if not reading.spool.columns and reading.table not in tables:
            return False  # no table was made; a cursor would claim that there is one
        return self._may_load(reading, tables)

    def _state(self, reading: Reading, kept: Mapping[str, Any], *, is_loaded: bool) -> dict[str, Any]:
        state = {name: kept[name] for name in ("again", "columns", "extra", "filled") if name in kept}
        state |= {
            "table": reading.table,
            "cursor_field": reading.request.cursor_field,
            "cursor": reading.cursor if reading.cursor is not None else reading.kept,
            "saved_at": kept.get("saved_at", time.time()),
        }
        if reading.has_read_again:
            state["again"] = reading.has_read_again
        if is_loaded:
            state["columns"] = _types(reading)
            if any(column.name == EXTRA for column in reading.spec.columns):
                state["extra"] = sorted({*state.get("extra", ()), *reading.extra.names})
            if reading.filled is not None:
                state["filled"] = reading.filled
        if reading.fingerprint and reading.is_full:
            state["fingerprint"] = reading.fingerprint
        return state

    # Tell -------------------------------------------------------------------------------------------------------

    def _outcome(self, readings: Mapping[str, Reading], has_new_data: bool) -> SyncOutcome:
        committed = self.store.streams()
        outcome = SyncOutcome(
            streams=[
                StreamOutcome(
                    name=name,
                    rows=reading.loaded,
                    seconds=reading.seconds,
                    cursor=committed.get(name, {}).get("cursor"),
                    columns=self.store.columns(reading.table),
                    error=reading.error,
                    again=reading.has_read_again,
                    changes=reading.changes,
                    table_rows=reading.table_rows,
                )
                for name, reading in readings.items()
            ],
            has_new_data=has_new_data,
            log=self.following.confirm(readings, committed),
        )
        raise_failures([reading.error for reading in readings.values() if reading.error], outcome)
        return outcome


def _types(reading: Reading) -> dict[str, str]:
    from sources.engines.fitting import words

    return {column.name: words(column) for column in reading.spool.columns}


def _secrets(connector: Connector, settings: Mapping[str, Any]) -> list[str]:
    return [str(settings.get(field.name) or "") for field in connector.fields if field.is_secret]


@contextmanager
def _foreseen() -> Iterator[None]:
    """Whatever happens inside leaves as a `PortalError`, redacted while the secrets are known."""
    try:
        yield
    except PortalError:
        raise
    except Exception as error:
        raise as_portal_error(error) from error
