"""The engine for a company's own dlt code.

    read    a child runs the file and leaves dlt's packages: without a lock, and without the portal's keys in its environment
    judge   as the warehouse's writer: does the state still belong to what is there, would a table shrink suspiciously
    load    the packages: rows and the code's own state are committed together

A resource that fails, or that is refused, is left out and the rest is read again without it: what one run of dlt
extracted is one package, so its siblings cannot be kept by themselves. When the network or the other system is to blame
nothing is read again now; the next attempt will.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from portal.failures import PortalError, TerminalError, TransientError, as_portal_error
from portal.redact import secrets_hidden
from portal.warehouse import get_warehouse
from sources.connectors import own_code
from sources.connectors.base import FieldKind, StreamSpec
from sources.connectors.own_code_reading import spec_of
from sources.engines.base import ColumnChange, Progress, StreamOutcome, SyncOutcome, SyncRequest
from sources.engines.columns import compare
from sources.engines.locks import only_one
from sources.engines.own_code import process
from sources.engines.readings import held, named, raise_failures

# As for every other source: fewer rows than this share of what is there is more often a fault than the truth.
SUSPICIOUS_SHARE = 0.5
SUSPICIOUS_FROM = 100
TEST_LIMIT = 120.0  # seconds for a test of the connection, or for a look at what there is
DEFAULT_LIMIT = 60  # minutes for a sync


class OwnCodeEngine:
    name = "code"

    def warm_up(self) -> None:
        """Import what loading needs; the code itself never runs in a worker."""
        from sources.engines.dlt_store import warm_up

        warm_up()
        importlib.import_module("sources.engines.own_code.destination")
        importlib.import_module("sources.engines.own_code.store")

    def check(self, connector: str, settings: Mapping[str, Any]) -> str:
        file = _file(connector)
        with _at_work(file, settings):
            looked: dict[str, int] = _ask(file, settings, "check")
        brought = ", ".join(f"{name} sent {_count(rows)}" for name, rows in looked.items())
        return f"{file.path.name} runs: {brought or 'it has no resources'} on a first look. Nothing was loaded."

    def discover(self, connector: str, settings: Mapping[str, Any]) -> list[StreamSpec]:
        file = _file(connector)
        with _at_work(file, settings):
            found = _ask(file, settings, "discover")
        return [
            spec_of(
                each["name"],
                description=each["description"],
                disposition=each["disposition"],
                primary_key=tuple(each["primary_key"]),
                cursor=each["cursor"],
            )
            for each in found
        ]

    def sync(self, request: SyncRequest, progress: Progress) -> SyncOutcome:
        file = _file(request.connector)
        with _at_work(file, request.settings), only_one(request.work_dir, request.source):
            return _Sync(request, file, progress).run()


class _Sync:
    def __init__(self, request: SyncRequest, file: own_code.OwnCodeConnector, progress: Progress) -> None:
        from sources.engines.own_code.store import OwnCodeStore

        self.request = request
        self.file = file
        self.progress = progress
        self.store = OwnCodeStore(request.source, request.dataset, request.work_dir, get_warehouse())
        self.failed: dict[str, PortalError] = {}
        self.changes: dict[str, list[ColumnChange]] = {}
        self.began = time.monotonic()

    def run(self) -> SyncOutcome:
        self.store.settle()
        told: dict[str, Any] = {}
        # Each round leaves out a stream that failed, or follows a warehouse that was restored behind our back.
        for _ in range(len(self.request.streams) + 2):
            wanted = [stream.name for stream in self.request.streams if stream.name not in self.failed]
            if not wanted:
                return self._outcome({}, has_new_data=False)
            try:
                told = self._read(wanted)
            except process.OwnCodeError as error:
                self._leave_out(error, wanted)
                continue
            if not self.store.has_news():
                return self._outcome(told, has_new_data=False)
            with self.store.warehouse.writer(), self.store.connected() as connection:
                if self._may_load(connection, told):
                    self.store.load(connection)
                    self._count(connection, told)
                    return self._outcome(told, has_new_data=self._changed(told))
        raise TransientError("The warehouse changed while the source was read.", kind="warehouse_changed")

    def _read(self, wanted: list[str]) -> dict[str, Any]:
        order = {
            "streams": wanted,
            "pipeline": {
                "name": self.store.name,
                "folder": str(self.store.folder),
                "dataset": self.store.dataset,
                "warehouse": self.store.warehouse.scheme,
            },
        }
        limit = max(self.request.settings.get(own_code.TIME_LIMIT) or DEFAULT_LIMIT, 1 / 60)
        home = self.request.work_dir / "home"
        return _run(self.file, self.request.settings, "extract", home, limit * 60.0, self._told_progress, order)

    def _told_progress(self, table: str, rows: int) -> None:
        if any(stream.name == table for stream in self.request.streams):
            self.progress(table, rows)

    def _leave_out(self, error: process.OwnCodeError, wanted: list[str]) -> None:
        self.store.go_back()
        concerned = [name for name in error.streams if name in wanted]
        if not concerned or error.failure.is_transient:
            if not self.failed:
                raise error.failure
            concerned = wanted
        for name in concerned:
            self.failed[name] = named(error.failure, name)

    def _may_load(self, connection: Any, told: Mapping[str, Any]) -> bool:
        if not self.store.is_current(connection):
            self.store.restore(connection)
            return False
        if lost := self.store.lost(connection, told):
            self.store.start_over(connection, lost)
            return False
        left_out = self._held(told) | self._shrunk(connection, told)
        if left_out:
            self.failed |= left_out
            self.store.go_back()
        return not left_out

    def _held(self, told: Mapping[str, Any]) -> dict[str, PortalError]:
        """Streams whose columns changed and whose policy is to wait for a person's word.

        dlt never takes a column away, and gives a value of another type a column of its own: what changed was added.
        """
        found: dict[str, PortalError] = {}
        for request in self.request.streams:
            if request.name not in told:
                continue
            stream = told[request.name]
            before = self.store.known_columns.get(stream.get("root", ""), {})
            self.changes[request.name] = compare(before, stream["columns"])
            pending = [change for change in self.changes[request.name] if change.key not in request.agreed_changes]
            if request.holds_changes and pending:
                self.changes[request.name] = [replace(change, is_held=True) for change in pending]
                found[request.name] = named(held(pending), request.name)
        return found

    def _count(self, connection: Any, told: Mapping[str, Any]) -> None:
        there = self.store.tables(connection)
        for stream in told.values():
            if (table := stream.get("root")) in there:
                stream["table_rows"] = self.store.count(connection, table)

    def _shrunk(self, connection: Any, told: Mapping[str, Any]) -> dict[str, PortalError]:
        """Replaced tables that would lose most of their rows, unless a person has accepted that."""
        accepted = {stream.name for stream in self.request.streams if stream.accept_fewer}
        there = self.store.tables(connection)
        found: dict[str, PortalError] = {}
        for name, stream in told.items():
            table = stream.get("root")
            if stream["disposition"] != "replace" or name in accepted or table not in there:
                continue
            kept, read = self.store.count(connection, table), stream["tables"].get(table, 0)
            if (kept and not read) or (kept > SUSPICIOUS_FROM and read < kept * SUSPICIOUS_SHARE):
                error = TerminalError(
                    f"It brought {read:,} rows, and the table has {kept:,}. That is more often a fault than the truth, "
                    "so the table was left as it is. If it is right, accept it once on the source's page.",
                    f"{self.request.dataset}.{table}: {kept} rows kept, {read} read",
                    kind="shrunk",
                )
                found[name] = named(error, name)
        return found

    @staticmethod
    def _changed(told: Mapping[str, Any]) -> bool:
        return any(stream["rows"] or stream["disposition"] == "replace" for stream in told.values())

    def _outcome(self, told: Mapping[str, Any], *, has_new_data: bool) -> SyncOutcome:
        shutil.rmtree(self.store.kept, ignore_errors=True)
        seconds = (time.monotonic() - self.began) / len(self.request.streams)
        outcome = SyncOutcome(has_new_data=has_new_data)
        for request in self.request.streams:
            stream = told.get(request.name, {}) if request.name not in self.failed else {}
            outcome.streams.append(
                StreamOutcome(
                    request.name,
                    rows=stream.get("rows", 0),
                    seconds=seconds,
                    cursor=stream.get("cursor"),
                    columns=stream.get("columns", {}),
                    error=self.failed.get(request.name),
                    changes=self.changes.get(request.name, []),
                    table_rows=stream.get("table_rows"),
                )
            )
            self.progress(request.name, stream.get("rows", 0))
        raise_failures(list(self.failed.values()), outcome)
        return outcome


def _file(name: str) -> own_code.OwnCodeConnector:
    """The file by that name; raises `TerminalError` when it is gone or cannot be run."""
    found = own_code.find(name)
    if found is None:
        raise TerminalError(f"{name}.py is no longer in the folder for own code.", str(own_code.folder()), kind="code")
    if found.problem:
        raise TerminalError(found.problem, found.problem_detail, kind="code")
    return found


def _ask(file: own_code.OwnCodeConnector, settings: Mapping[str, Any], action: str) -> Any:
    """A question that leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="own-code-") as home:
        try:
            return _run(file, settings, action, Path(home), TEST_LIMIT, lambda stream, rows: None, {})
        except process.OwnCodeError as error:
            raise error.failure from None


def _run(
    file: own_code.OwnCodeConnector,
    settings: Mapping[str, Any],
    action: str,
    home: Path,
    time_limit: float,
    progress: Progress,
    order: Mapping[str, Any],
) -> Any:
    asked_for = {field.name for field in file.fields} - {field.name for field in own_code.RUN_FIELDS}
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True, mode=0o700)
    try:
        return process.run(
            {
                "action": action,
                "path": str(file.path),
                "settings": {name: value for name, value in settings.items() if name in asked_for},
                "ignore_refusals": bool(settings.get(own_code.IGNORE_REFUSALS)),
                **order,
            },
            home,
            time_limit,
            progress,
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _count(rows: int) -> str:
    return "no row" if rows == 0 else "1 row" if rows == 1 else f"{rows:,} rows"


@contextmanager
def _at_work(file: own_code.OwnCodeConnector, settings: Mapping[str, Any]) -> Iterator[None]:
    """Secrets are hidden, and whatever happens inside leaves as a `PortalError`, redacted while they are known."""
    secrets = [str(settings.get(field.name) or "") for field in file.fields if field.kind is FieldKind.SECRET]
    with secrets_hidden(secrets):
        try:
            yield
        except PortalError:
            raise
        except Exception as error:
            raise as_portal_error(error) from error
