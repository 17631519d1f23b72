"""dlt's folder of one source of own code, and the warehouse, as one.

As with `dlt_store`, the warehouse is the truth and the folder a copy that is thrown away when in doubt. Beyond that:
the folder is put back as it was when what a child extracted is not to be loaded, and rows that an append had written
when its load died are removed before the next load. So a retry reads again from the committed cursor and doubles nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from typing import Any

from portal.failures import TransientError
from sources.engines.dlt_store import DltStore, as_load_error


class OwnCodeStore(DltStore):
    """Not shared between threads."""

    base: str | None = None  # the version of the state that the child starts from
    has_base = False  # whether that state holds anything, a cursor for example
    known: dict[str, str]  # table → resource, of the tables that were loaded before
    known_columns: dict[str, dict[str, str]]  # table → column → type, of the same

    @property
    def kept(self) -> Any:
        return self.folder.with_name("pipeline.kept")

    def settle(self) -> None:
        """Make the local copy trustworthy, and remember it, before the child starts."""
        self._open(None)
        if self._has_leftovers() or not self.backend.exists():
            self._forget()
        if not self._pipeline.default_schema_name and self.backend.exists():
            with self.warehouse.writer(), self.connected() as connection:
                self.restore(connection)
        self._keep()

    def restore(self, connection: Any) -> None:
        super().restore(connection)
        self._keep()

    def _keep(self) -> None:
        state = self._pipeline.state
        self.base, self.has_base = state.get("_version_hash"), bool(state.get("sources"))
        schemas = map(self._pipeline.schemas.__getitem__, self._pipeline.schemas)
        tables = [table for schema in schemas for table in schema.data_tables(seen_data_only=True)]
        self.known = {table["name"]: table["resource"] for table in tables if "resource" in table}
        self.known_columns = {
            table["name"]: {name: kind for name, c in table["columns"].items() if (kind := c.get("data_type"))}
            for table in tables
        }
        self._copy()

    def _copy(self) -> None:
        shutil.rmtree(self.kept, ignore_errors=True)
        if self.folder.exists():
            shutil.copytree(self.folder, self.kept)

    def go_back(self) -> None:
        """Forget what the child extracted: packages, cursors, columns."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.kept.exists():
            shutil.copytree(self.kept, self.folder)
        self._open(None)

    def is_current(self, connection: Any) -> bool:
        """Whether the warehouse still holds the state the child started from."""
        committed = self._committed_version(connection)
        return not self.has_base if committed is None else committed == self.base

    def _open(self, connection: Any) -> None:
        from sources.engines.own_code.destination import destination

        self._pipeline = self.dlt.pipeline(
            self.name,
            pipelines_dir=str(self.folder),
            destination=destination(self.backend, connection),
            dataset_name=self.dataset,
        )

    def has_news(self) -> bool:
        """Whether the child left anything to load."""
        self._tidy()
        self._open(None)
        return self._has_leftovers()

    def lost(self, connection: Any, streams: Collection[str]) -> set[str]:
        """Which of these had a table that somebody dropped since: they must be read from the beginning."""
        there = self.tables(connection)
        gone = {name for table, name in self.known.items() if table not in there}
        return (gone & set(streams)) - self._dropped

    def start_over(self, connection: Any, streams: Collection[str]) -> None:
        """Forget what the child extracted, and of these streams also how far they had been read."""
        self.go_back()
        if "_dlt_version" in self.tables(connection):
            # dlt believes that the tables it once made are there; this makes it look.
            self.backend.rows(connection, f"delete from {self._named('_dlt_version')} where true")
        with self._pipeline.managed_state() as state:
            for kept in state.get("sources", {}).values():
                for stream in streams:
                    kept.get("resources", {}).pop(stream, None)
        self._dropped |= set(streams)
        self._copy()

    def load(self, connection: Any) -> None:  # type: ignore[override]
        """Load the packages that the child left; call it as the writer. Raises `PortalError`."""
        self._open(connection)
        try:
            self._remove_unfinished(connection)
            info = self._pipeline.load()
            info.raise_on_failed_jobs()
            if self._pipeline.has_pending_data:
                raise TransientError("Not everything could be written to the warehouse.", str(info), kind="load")
        except Exception as error:
            raise as_load_error(error) from error
        finally:
            self._tidy()

    def _tidy(self) -> None:
        super()._tidy()
        # dlt's account of the run holds what it was configured with.
        (self.folder / self.name / "trace.pickle").unlink(missing_ok=True)

    def _remove_unfinished(self, connection: Any) -> None:
        """Rows of a load that never ended, where rows are only ever added: the next load brings them again."""
        there = self.tables(connection)
        for table, parent in self._appended(there):
            gone = "true"  # neither loads nor parents are there
            if parent is None and "_dlt_loads" in there:
                gone = f"_dlt_load_id not in (select load_id from {self._named('_dlt_loads')} where status = 0)"
            elif parent is not None and parent in there:
                gone = f"_dlt_parent_id not in (select _dlt_id from {self._named(parent)})"
            self.backend.rows(connection, f"delete from {self._named(table)} where {gone}")

    def _named(self, table: str) -> str:
        return self.backend.named(self.dataset, table)

    def _appended(self, there: Collection[str]) -> Iterator[tuple[str, str | None]]:
        """(table, its parent) of the tables that are only added to, parents first."""
        for schema_name in self._pipeline.schemas:
            schema = self._pipeline.schemas[schema_name]
            # A nested table's name begins with its parent's, so parents come first.
            for table in sorted(schema.data_tables(include_incomplete=True), key=lambda table: table["name"]):
                root = table
                while root.get("parent"):
                    root = schema.tables[root["parent"]]
                keys = [c for c in root["columns"].values() if c.get("primary_key") or c.get("merge_key")]
                disposition = root.get("write_disposition", "append")
                # Without a key dlt merges by adding.
                is_added = disposition == "append" or (disposition == "merge" and not keys)
                marker = "_dlt_parent_id" if table.get("parent") else "_dlt_load_id"
                if is_added and table["name"] in there and marker in table["columns"]:
                    yield table["name"], table.get("parent")
