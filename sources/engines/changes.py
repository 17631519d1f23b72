"""Changes on their way: rows of a log, a file for each batch, until they are made whole against what the warehouse has.

`settle` turns them into one file with one complete row a key, which is then merged like any other. It may be done twice
with the same changes (a sync that died after its merge): the second time ends with the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from portal.failures import TerminalError
from portal.warehouse.duckdb import quoted
from sources.connectors.base import GONE
from sources.connectors.log import BASE, DELETED_AT, EVERYTHING, KEPT
from sources.engines.spool import ARROW, WarehouseColumn, data_type_of

NET, FRESH = "_changes_net", "_changes_fresh"

# `Backend.at_hand` of one table: (its key, whose rows) → a DuckDB connection and the table's name in it.
AtHand = Callable[[Sequence[str], str | None], AbstractContextManager[tuple[Any, str]]]


@dataclass(frozen=True)
class Batch:
    path: Path
    rows: int
    columns: Mapping[str, WarehouseColumn]  # by its name at the source
    needs: bool  # some rows are to be completed


class ChangeSpool:
    """The changes of one stream. What an engine asks of a `Spool` it may ask of this one after `settle`."""

    def __init__(self, folder: Path, table: str, key: Sequence[str], normalize: Callable[[str], str]) -> None:
        self.folder = folder
        self.table = table
        self.normalize = normalize
        self.key = [normalize(name) for name in key]
        self.rows = 0
        self.steps: list[Batch | datetime] = []
        self.files: list[tuple[Path, int]] = []
        self.columns: list[WarehouseColumn] = []
        self.has_gone = False

    def add(self, rows: pa.Table) -> None:
        columns: dict[str, WarehouseColumn] = {}
        names = []
        for field in rows.schema:
            if field.name == GONE:
                self.has_gone = True
                names.append(GONE)
            elif field.name.startswith(BASE) or field.name == KEPT:
                prefix = BASE if field.name != KEPT else KEPT
                names.append(prefix + self.normalize(field.name.removeprefix(BASE)) if prefix == BASE else KEPT)
            else:
                name = self.normalize(field.name)
                columns[field.name] = WarehouseColumn(name, data_type_of(field), field.type, name in self.key)
                names.append(name)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise TerminalError(
                f"The stream “{self.table}” has columns whose names become the same in the warehouse: "
                f"{', '.join(twice)}. Rename one of them at the source.",
                kind="columns",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.table}.{len(self.steps):06}.parquet"
        pq.write_table(rows.rename_columns(names), path, compression="snappy")
        self.steps.append(Batch(path, rows.num_rows, columns, KEPT in names))
        self.rows += rows.num_rows

    def empty(self, at: datetime) -> None:
        self.steps.append(at)

    def close(self) -> None:
        pass

    def discard(self) -> None:
        for step in self.steps:
            if isinstance(step, Batch):
                step.path.unlink(missing_ok=True)
        self.steps, self.files, self.rows = [], [], 0

    def settle(self, at_hand: AtHand, there: Sequence[str], *, keeps_deleted: bool) -> None:
        """Make the rows complete. `there`: the columns that the table in the warehouse has. Call it as the writer."""
        if not self.steps:
            return
        batches = [step for step in self.steps if isinstance(step, Batch)]
        merged = {column.name: column for batch in batches for column in batch.columns.values()}
        self.has_gone = not keeps_deleted
        if len(self.steps) == 1 and batches and not batches[0].needs:
            self.columns, self.files = list(merged.values()), [(batches[0].path, batches[0].rows)]
            return
        path = self.folder / f"{self.table}.net.parquet"
        wanted = self._wanted(batches)
        with at_hand(self.key, wanted) as (connection, target):
            if len(batches) == len(self.steps) and wanted == "":
                rows = self._last_of_each(connection, batches, list(merged), path)
            else:
                rows = _Settling(self, connection, target, there, merged, keeps_deleted).run(path)
        for batch in batches:
            batch.path.unlink(missing_ok=True)
        self.columns = list(merged.values())
        self.files, self.rows = [(path, rows)], rows

    def _wanted(self, batches: Sequence[Batch]) -> str | None:
        """Which rows of the warehouse complete these: a question to DuckDB for their keys, "" for none, None for all."""
        if len(batches) < len(self.steps):  # emptied: every row that is there is meant
            return None
        questions = []
        for batch in batches:
            if batch.needs:
                rows = f"FROM read_parquet({literal(batch.path)}) WHERE {KEPT} IS NOT NULL"
                for prefix in (BASE, ""):  # the row they had been, and, when they were merged before, the one they are
                    names = ", ".join(f"{quoted(prefix + name)} AS {quoted(name)}" for name in self.key)
                    questions.append(f"SELECT {names} {rows}")
        return " UNION ".join(questions)

    def _last_of_each(self, connection: Any, batches: Sequence[Batch], names: list[str], path: Path) -> int:
        """Complete rows only: of each key the one that came last."""
        columns = ", ".join(map(quoted, [*names, GONE] if self.has_gone else names))
        keys = ", ".join(map(quoted, self.key))
        files = ", ".join(literal(batch.path) for batch in batches)
        return _copy(
            connection,
            f"SELECT {columns} FROM read_parquet([{files}], union_by_name = true, filename = '_file')"
            f" QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY _file DESC) = 1",
            path,
        )


class _Settling:
    """Step by step, in a table beside the warehouse's: a row there counts before the one in the warehouse."""

    def __init__(
        self,
        spool: ChangeSpool,
        connection: Any,
        target: str,
        there: Sequence[str],
        merged: dict[str, WarehouseColumn],
        keeps_deleted: bool,
    ) -> None:
        self.spool = spool
        self.connection = connection
        self.target = target
        self.there = set(there)
        self.keeps_deleted = keeps_deleted
        self.flag = DELETED_AT if keeps_deleted else GONE
        if not merged:  # nothing but a TRUNCATE: the columns are those that are there
            merged.update(_described(connection, target, spool.key, there))
        if keeps_deleted:
            merged.setdefault(DELETED_AT, WarehouseColumn(DELETED_AT, "timestamp", pa.timestamp("us", "UTC")))
        self.names = [name for name in merged if name != self.flag]
        self.types = {name: sql_type(column.arrow) for name, column in merged.items()}

    def run(self, path: Path) -> int:
        columns = ", ".join(f"{quoted(name)} {self.types[name]}" for name in self.names)
        flag = "TIMESTAMPTZ" if self.keeps_deleted else "BOOLEAN"
        self._do(f"CREATE OR REPLACE TEMP TABLE {NET} ({columns}, {quoted(self.flag)} {flag}, {KEPT} VARCHAR[])")
        try:
            for step in self.spool.steps:
                if isinstance(step, Batch):
                    self._apply(step)
                else:
                    self._empty(step)
            names = ", ".join(map(quoted, [*self.names, self.flag]))
            return _copy(self.connection, f"SELECT {names} FROM {NET}", path)
        finally:
            self._do(f"DROP TABLE IF EXISTS {NET}")
            self._do(f"DROP TABLE IF EXISTS {FRESH}")

    def _apply(self, batch: Batch) -> None:
        source = f"read_parquet({literal(batch.path)})"
        has = {column.name for column in batch.columns.values()}
        if batch.needs:
            self._do(f"CREATE OR REPLACE TEMP TABLE {FRESH} AS {self._completed(batch, source)}")
            source = FRESH
        self._do(f"DELETE FROM {NET} AS n USING {source} AS s WHERE {self._same('n', 's')}")
        names = ", ".join(map(quoted, [*(name for name in self.names if name in has), self.flag]))
        kept = f", {KEPT}" if batch.needs else ""
        self._do(f"INSERT INTO {NET} BY NAME SELECT {names}{kept} FROM {source}")

    def _completed(self, batch: Batch, source: str) -> str:
        """Rows of the batch with their missing values: from the row that had them, else from the row's own last state.

        The latter is what is left when these changes were merged before and the row that had them is gone since.
        """
        # Whether a row beside ours has a value, which one from an earlier step may itself be missing.
        found_net = f"(n.{quoted(self.spool.key[0])} IS NOT NULL AND NOT {{hole}})"
        outputs = []
        for original, column in batch.columns.items():
            name = quoted(column.name)
            if column.name in self.spool.key or column.name == self.flag:
                outputs.append(f"s.{name}")
                continue
            in_net = found_net.format(hole=_hole("n", original))
            there = column.name in self.there
            outputs.append(
                f"CASE WHEN NOT {_hole('s', original)} THEN s.{name} WHEN {in_net} THEN n.{name}"
                + (
                    f" WHEN n.{quoted(self.spool.key[0])} IS NULL AND b.{quoted(self.spool.key[0])} IS NOT NULL"
                    f" THEN {self._as_typed('b', column.name)} ELSE {self._as_typed('o', column.name)}"
                    if there
                    else ""
                )
                + f" END AS {name}"
            )
        if self.flag == GONE:
            outputs.append(f"s.{GONE}")
        first = quoted(self.spool.key[0])
        is_open = (
            f"s.{KEPT} IS NOT NULL AND o.{first} IS NULL AND"
            f" ((n.{first} IS NULL AND b.{first} IS NULL) OR n.{KEPT} IS NOT NULL)"
        )
        outputs.append(f"CASE WHEN {is_open} THEN s.{KEPT} END AS {KEPT}")
        base = " AND ".join(f"{{0}}.{quoted(name)} = s.{quoted(BASE + name)}" for name in self.spool.key)
        return (
            # Complete rows are joined too, for nothing: with a condition on them DuckDB compares every pair of rows.
            f"SELECT {', '.join(outputs)} FROM {source} s"
            f" LEFT JOIN {NET} n ON {base.format('n')}"
            f" LEFT JOIN {self.target} b ON {base.format('b')}"
            f" LEFT JOIN {self.target} o ON {self._same('o', 's')}"
        )

    def _as_typed(self, alias: str, name: str) -> str:
        return f"{alias}.{quoted(name)}::{self.types[name]}"

    def _empty(self, at: datetime) -> None:
        """All rows so far are gone: those of earlier steps, and those of the warehouse."""
        shared = [name for name in self.names if name in self.there]
        names = ", ".join(map(quoted, shared))
        values = ", ".join(f"{self._as_typed('t', name)}" for name in shared)
        if self.keeps_deleted:
            value, still = f"{literal(at.isoformat())}::TIMESTAMPTZ", f"{DELETED_AT} IS NULL"
            alive = f"t.{DELETED_AT} IS NULL" if DELETED_AT in self.there else "true"
        else:
            value, still, alive = "true", "true", "true"
        self._do(f"UPDATE {NET} SET {quoted(self.flag)} = {value} WHERE {still}")
        self._do(
            f"INSERT INTO {NET} ({names}, {quoted(self.flag)}) SELECT {values}, {value} FROM {self.target} t"
            f" WHERE {alive} AND NOT EXISTS (SELECT 1 FROM {NET} n WHERE {self._same('n', 't')})"
        )

    def _same(self, one: str, other: str) -> str:
        return " AND ".join(f"{one}.{quoted(name)} = {other}.{quoted(name)}" for name in self.spool.key)

    def _do(self, sql: str) -> None:
        self.connection.execute(sql)


def missing_as_deleted(
    connection: Any, target: str, there: Sequence[str], spool: Any, key: Sequence[str], at: datetime
) -> None:
    """Rows of the warehouse that a new reading of the whole table no longer has: added to it, marked as deleted."""
    types = {column.name: sql_type(column.arrow) for column in spool.columns}
    if not set(key) <= set(there):
        return
    outputs = []
    for name, kind in types.items():
        if name == DELETED_AT:
            known = f"t.{DELETED_AT}" if DELETED_AT in there else "NULL"
            outputs.append(f"coalesce({known}, {literal(at.isoformat())}::TIMESTAMPTZ) AS {DELETED_AT}")
        elif name in there:
            outputs.append(f"TRY_CAST(t.{quoted(name)} AS {kind}) AS {quoted(name)}")
        else:
            outputs.append(f"NULL::{kind} AS {quoted(name)}")
    files = ", ".join(literal(path) for path, _ in spool.files)
    same = " AND ".join(f"s.{quoted(name)} = TRY_CAST(t.{quoted(name)} AS {types[name]})" for name in key)
    present = " AND ".join(f"TRY_CAST(t.{quoted(name)} AS {types[name]}) IS NOT NULL" for name in key)
    path = spool.folder / f"{spool.stream}.missing.parquet"
    rows = _copy(
        connection,
        f"SELECT {', '.join(outputs)} FROM {target} t WHERE {present}"
        f" AND NOT EXISTS (SELECT 1 FROM read_parquet([{files}]) s WHERE {same})",
        path,
    )
    if rows:
        spool.files.append((path, rows))


def _hole(alias: str, name: str) -> str:
    """Whether the value of `name` (at the source) is missing in that row."""
    kept = f"{alias}.{KEPT}"
    return f"({kept} IS NOT NULL AND ({kept}[1] = '{EVERYTHING}' OR list_contains({kept}, {literal(name)})))"


def _copy(connection: Any, query: str, path: Path) -> int:
    return connection.execute(f"COPY ({query}) TO {literal(path)} (FORMAT parquet)").fetchone()[0]


def _described(connection: Any, target: str, key: Sequence[str], there: Sequence[str]) -> dict[str, WarehouseColumn]:
    """The columns of a table in the warehouse, apart from those that dlt and we add."""
    own = {GONE, DELETED_AT, "_dlt_load_id", "_dlt_id"}
    found = {}
    for name, kind, *_ in connection.execute(f"DESCRIBE {target}").fetchall():
        if name in there and name not in own:
            found[name] = WarehouseColumn(name, *_types_of(kind), name in key)
    return found


def _types_of(kind: str) -> tuple[str, pa.DataType]:
    """(dlt's word, Arrow's type) of one of DuckDB's types."""
    if decimal := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", kind):
        return "decimal", pa.decimal128(int(decimal[1]), int(decimal[2]))
    word = {
        "BIGINT": "bigint",
        "DOUBLE": "double",
        "BOOLEAN": "bool",
        "DATE": "date",
        "TIMESTAMP WITH TIME ZONE": "timestamp",
        "JSON": "json",
    }.get(kind, "text")
    return word, ARROW[word]


def sql_type(kind: pa.DataType) -> str:
    """What DuckDB calls it."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    for matches, name in (
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_integer, "BIGINT"),
        (pa.types.is_floating, "DOUBLE"),
        (pa.types.is_date, "DATE"),
    ):
        if matches(kind):
            return name
    return "VARCHAR"


def literal(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"
