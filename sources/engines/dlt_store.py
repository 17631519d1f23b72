"""dlt's side of a sync: its pipeline, the state it keeps in the warehouse, and loading files.

The warehouse is the truth. dlt's folder on this machine is only a copy of the state that was committed there with the
rows; whenever the two differ, or an interrupted load left packages behind, the copy is thrown away and made anew.
So a sync that died anywhere is read again from the cursor that was committed, and merging makes that harmless.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.failures import PortalError, TerminalError, TransientError
from portal.warehouse.base import Warehouse
from sources.connectors.base import GONE
from sources.engines.backends import backend_of
from sources.engines.spool import WarehouseColumn

SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",  # failures reach us as exceptions
    # One load job after the other: DuckDB uses every core for each, and threads would only share one connection.
    "LOAD__WORKERS": "1",
    "LOAD__DELETE_COMPLETED_JOBS": "true",
    "LOAD__TRUNCATE_STAGING_DATASET": "true",
    "EXTRACT__WORKERS": "1",
}

# What dlt and pyarrow import when they are first used.
LAZY_IMPORTS = (
    "dlt._workspace",
    "dlt.common.configuration.plugins",
    "dlt.common.libs.pyarrow",
    "dlt.common.libs.sql_alchemy_compat",
    "dlt.sources.helpers.requests",
    "pandas",
    "pyarrow.compute",
    "pyarrow.parquet",
    "requests",
    "adbc_driver_postgresql.dbapi",
    "google.auth.jwt",
    "sources.connectors.github",
    "sources.connectors.hubspot",
    "sources.connectors.intercom",
    "sources.connectors.mixpanel",
    "sources.connectors.google_sheets",
    "sources.connectors.postgres",
    "sources.connectors.slack",
    "sources.connectors.postgres_log",
    "sources.connectors.sheets_table",
    "sources.connectors.rest",
    "sources.connectors.stripe",
    "sources.engines.dlt_duckdb",
    "sources.engines.dlt_engine",
    "sources.engines.following",
)


def import_dlt() -> Any:
    """dlt, told to be quiet, to phone nobody, and to keep its files in our own folder."""
    from django.conf import settings

    os.environ.setdefault("DLT_DATA_DIR", str(Path(settings.DATA_DIR) / "dlt"))
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import dlt

    return dlt


def warm_up() -> None:
    """Import all that a first sync would import, and start nothing: for a worker, before it forks."""
    import_dlt()
    for name in LAZY_IMPORTS:
        importlib.import_module(name)


@dataclass
class TableLoad:
    """Files that go into one table. `disposition`: "replace" or "merge"."""

    table: str
    disposition: str
    files: list[tuple[Path, int]]
    columns: Sequence[WarehouseColumn]
    key: Sequence[str]
    owner_key: Sequence[str] = ()
    may_go: bool = False  # the files say of owners that they have no rows left
    grows_by: str = ""  # the column that says when a row came or changed, of a table that only new rows are merged into


class DltStore:
    """What one source has in the warehouse, by way of dlt. Not shared between threads."""

    def __init__(self, source: str, dataset: str, work_dir: Path, warehouse: Warehouse) -> None:
        self.dlt = import_dlt()
        self.name = f"{source}".replace("-", "_")
        self.dataset = dataset
        self.folder = work_dir / "pipeline"
        self.warehouse = warehouse
        self.backend = backend_of(warehouse)
        self._pipeline: Any = None
        self._dropped: set[str] = set()
        self.naming = self.dlt.Schema(self.name).naming

    def normalize(self, name: str) -> str:
        """A column's or table's name the way the warehouse spells it."""
        return self.naming.normalize_identifier(name)

    # State ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Make the local copy trustworthy before anything is read."""
        self._open(None)
        if self._has_leftovers() or not self.backend.exists():
            self._forget()
        if not self.streams() and self.backend.exists():
            with self.warehouse.writer(), self.connected() as connection:
                self.restore(connection)

    def streams(self) -> dict[str, dict[str, Any]]:
        """What was committed per stream: {"table", "cursor", "cursor_field", …}; nothing of a table that is gone."""
        kept = self._pipeline.state.get("sources", {}).get(self.name, {}).get("streams", {})
        return {name: state for name, state in kept.items() if name not in self._dropped}

    def is_current(self, connection: Any) -> bool:
        """Whether the warehouse still holds exactly the state this copy was made from."""
        committed = self._committed_version(connection)
        if committed is None:
            return not self.streams()
        return committed == self._pipeline.state.get("_version_hash")

    def restore(self, connection: Any) -> None:
        """Replace the local copy by what the warehouse holds."""
        self._forget()
        if self._committed_version(connection) is not None:
            self._open(connection)
            self._pipeline.sync_destination()

    def _committed_version(self, connection: Any) -> str | None:
        tables = self.tables(connection)
        if not {"_dlt_pipeline_state", "_dlt_loads"} <= tables.keys():
            return None
        state, loads = (self.backend.named(self.dataset, name) for name in ("_dlt_pipeline_state", "_dlt_loads"))
        rows = self.backend.rows(
            connection,
            f"select s.version_hash from {state} as s inner join {loads} as l on l.load_id = s._dlt_load_id"
            " where s.pipeline_name = ? and l.status = 0 order by l.load_id desc limit 1",
            [self.name],
        )
        return rows[0][0] if rows else None

    def _has_leftovers(self) -> bool:
        return bool(self._pipeline.has_pending_data)

    def _forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._open(None)

    def _open(self, connection: Any) -> None:
        """A pipeline bound to `connection`. Without one, or once that is closed, it still reads its state."""
        self._pipeline = self.dlt.pipeline(
            self.name,
            pipelines_dir=str(self.folder),
            destination=self.backend.destination(connection),
            dataset_name=self.dataset,
        )

    # Tables -----------------------------------------------------------------------------------------------------

    def connected(self) -> AbstractContextManager[Any]:
        """A connection to the candidate warehouse, closed afterwards."""
        return self.backend.connected()

    def tables(self, connection: Any) -> dict[str, int]:
        """The tables of this source, and about how many rows each has."""
        return self.backend.tables(connection, self.dataset)

    def count(self, connection: Any, table: str, where: str = "") -> int:
        only = f" where {where}" if where else ""
        rows = self.backend.rows(connection, f"select count(*) from {self.backend.named(self.dataset, table)}{only}")
        return int(rows[0][0])

    def stored_columns(self, connection: Any, table: str) -> list[str]:
        """The columns that a table has in the warehouse; [] when there is none."""
        return self.backend.columns(connection, self.dataset, table)

    def columns(self, table: str) -> dict[str, str]:
        """Column name → type of a table, as last loaded; {} when there is none."""
        if not self._pipeline.default_schema_name:
            return {}
        known = self._pipeline.default_schema.tables.get(table, {"columns": {}})["columns"]
        return {name: column["data_type"] for name, column in known.items() if "data_type" in column}

    def note_dropped(self, connection: Any) -> set[str]:
        """Streams whose table somebody dropped; from now on they count as never read."""
        tables = self.tables(connection)
        new = {name for name, kept in self.streams().items() if kept["table"] not in tables}
        self._dropped |= new
        return new

    # Loading ----------------------------------------------------------------------------------------------------

    def load(self, connection: Any, loads: Sequence[TableLoad], streams: Mapping[str, Any]) -> None:
        """Load the files and commit `streams` as the new state with them; call it as the writer.

        Raises `PortalError`; nothing of the state is committed then, and what was merged may be merged again.
        """
        if self._dropped and "_dlt_version" in self.tables(connection):
            # dlt believes that the tables it once made are there; this makes it look.
            known = self.backend.named(self.dataset, "_dlt_version")
            self.backend.rows(connection, f"delete from {known} where true")
        self._open(connection)
        self.backend.before_load(connection, loads)
        self._retype(loads)
        try:
            if loads:
                self._pipeline.extract(self._source(loads, streams))
                self._pipeline.normalize()
            else:
                with self._pipeline.managed_state(extract_state=True) as state:
                    state.setdefault("sources", {}).setdefault(self.name, {})["streams"] = dict(streams)
                self._pipeline.normalize()
            info = self._pipeline.load()
            info.raise_on_failed_jobs()
            if self._pipeline.has_pending_data:
                raise TransientError("Not everything could be written to the warehouse.", str(info), kind="load")
            self._dropped.clear()
        except Exception as error:
            raise as_load_error(error) from error
        finally:
            self._tidy()

    def _retype(self, loads: Sequence[TableLoad]) -> None:
        """Tell dlt's schema that a column has another type now; left to itself dlt would refuse to load."""
        if not self._pipeline.default_schema_name:
            return
        tables = self._pipeline.default_schema.tables
        for load in loads:
            known = tables.get(load.table, {"columns": {}})["columns"]
            for column in load.columns:
                if column.name in known and "data_type" in known[column.name]:
                    for size in ("precision", "scale"):
                        known[column.name].pop(size, None)
                    known[column.name].update(column.hint())

    def _source(self, loads: Sequence[TableLoad], streams: Mapping[str, Any]) -> Any:
        dlt = self.dlt

        def rows_of(load: TableLoad) -> Callable[[], Iterator[Any]]:
            def files() -> Iterator[Any]:
                dlt.current.source_state()["streams"] = dict(streams)
                for path, rows in load.files:
                    yield dlt.mark.with_file_import(str(path), "parquet", rows)

            return files

        def resource(load: TableLoad) -> Any:
            columns = [column.hint() for column in load.columns]
            if load.may_go:
                columns.append({"name": GONE, "data_type": "bool", "hard_delete": True})
            columns.append({"name": "_dlt_load_id", "data_type": "text"})
            made = dlt.resource(
                rows_of(load),
                name=load.table,
                table_name=load.table,
                write_disposition=load.disposition,
                primary_key=list(load.key) or None,
                merge_key=list(load.owner_key) or None,
                columns=columns,
                file_format="parquet",
            )
            return self.backend.laid_out(made, load)

        source = dlt.source(lambda: [resource(load) for load in loads], name=self.name)
        return source()

    def _tidy(self) -> None:
        """Packages that were loaded are of no more use."""
        shutil.rmtree(self.folder / self.name / "load" / "loaded", ignore_errors=True)
        (self.folder / self.name / "load" / "loaded").mkdir(parents=True, exist_ok=True)


def as_load_error(error: Exception) -> PortalError:
    """dlt wraps what happened several times; the innermost says it best."""
    inner: BaseException = error
    chain = [inner]
    while (deeper := inner.__cause__ or inner.__context__) is not None and deeper not in chain:
        inner = deeper
        chain.append(inner)
    for each in chain:
        if isinstance(each, PortalError):
            return each
    detail = "\n".join(f"{type(each).__name__}: {each}" for each in chain)[:20_000]
    if "No space left" in detail or "disk" in str(inner).lower():
        return TransientError("There is no room left on the warehouse's disk.", detail, kind="disk_full")
    if "Out of Memory" in detail:
        return TerminalError("The rows were read but need more memory than loading may take.", detail, kind="memory")
    if "lock" in str(inner).lower():
        return TransientError("The warehouse was busy with other work.", detail, kind="warehouse_busy")
    return TerminalError("The rows were read but could not be written to the warehouse.", detail, kind="load")
