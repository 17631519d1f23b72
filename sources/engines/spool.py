"""Rows on their way: each stream's pages are written to Parquet files here before anything touches the warehouse.

That keeps memory flat, lets a stream fail without the others, and says how many rows a full refresh would bring before
it replaces anything. The folder is private to one sync and goes with it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from portal.failures import TerminalError
from sources.connectors.arrow import ARROW
from sources.connectors.base import GONE, Column
from sources.engines import files

BATCH_ROWS = 5_000  # rows of dicts are turned into Arrow at least this many at a time
FILE_ROWS = 1_000_000
ROW_GROUP_ROWS = 100_000


@dataclass(frozen=True)
class WarehouseColumn:
    """A column as the warehouse will have it: `name` is spelled the warehouse's way, `data_type` is dlt's word."""

    name: str
    data_type: str
    arrow: pa.DataType
    is_key: bool = False

    def hint(self) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "data_type": self.data_type, "nullable": not self.is_key}
        if pa.types.is_decimal(self.arrow):
            found |= {"precision": self.arrow.precision, "scale": self.arrow.scale}
        return found


class Spool:
    """The rows of one stream. Columns come from the stream's declaration, or from the first Arrow page."""

    def __init__(
        self, folder: Path, stream: str, key: Sequence[str], normalize: Any, declared: Sequence[Column]
    ) -> None:
        self.folder = folder
        self.stream = stream
        self.normalize = normalize
        self.key = {normalize(name) for name in key}
        self.rows = 0
        self.files: list[tuple[Path, int]] = []
        self.columns: list[WarehouseColumn] = []
        self.has_gone = False
        self._waiting: list[dict[str, Any]] = []
        self._writer: pq.ParquetWriter | None = None
        self._in_file = 0
        if declared:
            self.columns = self._checked(
                [
                    WarehouseColumn(normalize(c.name), c.type, ARROW[c.type], normalize(c.name) in self.key)
                    for c in declared
                ]
            )
            self._from = [c.name for c in declared]

    @property
    def schema(self) -> pa.Schema:
        fields = [pa.field(column.name, column.arrow, nullable=not column.is_key) for column in self.columns]
        if self.has_gone:
            fields.append(pa.field(GONE, pa.bool_()))
        return pa.schema(fields)

    def watch_for_gone(self) -> None:
        """This stream may say that an owner has no rows left: one more column says so. Before the first row."""
        self.has_gone = True

    def add(self, rows: Any) -> int:
        """Take one page (dicts, or an Arrow table or batch); returns how many rows it had."""
        if isinstance(rows, list):
            self._waiting += rows
            if len(self._waiting) >= BATCH_ROWS:
                self._flush()
            self.rows += len(rows)
            return len(rows)
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        if not self.columns:
            self._learn(table.schema)
        if table.num_rows:
            self._write(self._renamed(table))
            self.rows += table.num_rows
        return table.num_rows

    def close(self) -> None:
        """Everything is in files after this; at least one file, so that an empty stream still makes its table."""
        self._flush()
        if not self.files and self.columns:
            self._open()
        self._close_file()

    def drop_twins(self) -> None:
        """Keep the first row of each key, after `close`."""
        paths = [path for path, _ in self.files]
        key = [column.name for column in self.columns if column.is_key]
        if not key or not self.rows or not files.count_twins(paths, key):
            return
        target = self.folder / f"{self.normalize(self.stream.replace('.', '_'))}.once.parquet"
        rows = files.without_twins(paths, key, target)
        self.discard()
        self.files, self.rows = [(target, rows)], rows

    def discard(self) -> None:
        """Forget all rows; the columns stay."""
        self._waiting = []
        self._close_file()
        for path, _ in self.files:
            path.unlink(missing_ok=True)
        self.files, self.rows = [], 0

    def _learn(self, schema: pa.Schema) -> None:
        self._from = schema.names
        self.columns = self._checked([self._column(field) for field in schema])

    def _column(self, field: pa.Field) -> WarehouseColumn:
        name = self.normalize(field.name)
        return WarehouseColumn(name, data_type_of(field), field.type, name in self.key)

    def _checked(self, columns: list[WarehouseColumn]) -> list[WarehouseColumn]:
        names = [column.name for column in columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise TerminalError(
                f"The stream “{self.stream}” has columns whose names become the same in the warehouse: "
                f"{', '.join(twice)}. Rename one of them at the source.",
                kind="columns",
            )
        missing = sorted(self.key - set(names))
        if missing:
            raise TerminalError(
                f"The stream “{self.stream}” has no column {', '.join(missing)}, which its primary key names. Choose "
                "another primary key.",
                kind="primary_key",
            )
        return columns

    def _renamed(self, table: pa.Table) -> pa.Table:
        if table.schema.names != self._from:
            raise TerminalError(
                f"The columns of “{self.stream}” changed while it was read. Sync again.", kind="columns"
            )
        try:
            return pa.Table.from_arrays(table.columns, schema=self.schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise self._unfit(error) from error

    def _flush(self) -> None:
        if not self._waiting:
            return
        if not self.columns:
            raise TerminalError(f"The stream “{self.stream}” sends rows but declares no columns.", kind="columns")
        names = [*self._from, GONE] if self.has_gone else self._from
        arrays = []
        try:
            for name, field in zip(names, self.schema, strict=True):
                arrays.append(pa.array([row.get(name) for row in self._waiting], type=field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise self._unfit(error, name) from error
        self._waiting = []
        self._write(pa.Table.from_arrays(arrays, schema=self.schema))

    def _unfit(self, error: Exception, column: str = "") -> TerminalError:
        where = f"“{column}” of the stream “{self.stream}”" if column else f"the stream “{self.stream}”"
        return TerminalError(
            f"A value in {where} does not fit its column. Nothing was loaded from it.", f"{error!r}", kind="shape"
        )

    def _write(self, table: pa.Table) -> None:
        for name in self.key:
            if table.column(name).null_count:
                raise TerminalError(
                    f"The stream “{self.stream}” has rows without a {name}, which is part of its primary key. Nothing "
                    "was loaded from it.",
                    f"{table.column(name).null_count} of {table.num_rows} rows on this page",
                    kind="primary_key",
                )
        if self._writer is None or self._in_file >= FILE_ROWS:
            self._open()
        assert self._writer is not None
        self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._in_file += table.num_rows
        path, _ = self.files[-1]
        self.files[-1] = (path, self._in_file)

    def _open(self) -> None:
        self._close_file()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.normalize(self.stream.replace('.', '_'))}.{len(self.files)}.parquet"
        # Read once and thrown away: dictionaries and statistics would cost more than they save.
        self._writer = pq.ParquetWriter(
            path, self.schema, compression="lz4", use_dictionary=False, write_statistics=False
        )
        self.files.append((path, 0))
        self._in_file = 0

    def _close_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def data_type_of(field: pa.Field) -> str:
    if (field.metadata or {}).get(b"type") == b"json":
        return "json"
    kind = field.type
    for matches, name in (
        (pa.types.is_boolean, "bool"),
        (pa.types.is_integer, "bigint"),
        (pa.types.is_floating, "double"),
        (pa.types.is_decimal, "decimal"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_date, "date"),
    ):
        if matches(kind):
            return name
    return "text"


def fresh_folder(folder: Path) -> Path:
    """An empty folder at this place, whatever an interrupted sync left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Throttle:
    """Tells progress at most once a second per stream, and at the end."""

    def __init__(self, progress: Any) -> None:
        self.progress = progress
        self.told: dict[str, float] = {}

    def __call__(self, stream: str, rows: int, *, is_last: bool = False) -> None:
        now = time.monotonic()
        if is_last or now - self.told.get(stream, 0.0) >= 1.0:
            self.told[stream] = now
            self.progress(stream, rows)
