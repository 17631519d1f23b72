"""Loading into a server by dlt's own destination: rows, cursors and loads in one package. What PostgreSQL and BigQuery share.

As on DuckDB a table is replaced or merged in one transaction, `_dlt_load_id` is added to files that were written before
the load had an id, and of two rows with one key the one that came last counts. JSON stays text, as everywhere here.

What is on its way is brought into the types that the table has then before it goes there: no server casts by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from portal.warehouse.duckdb import quoted
from sources.engines import files
from sources.engines.duckdb_columns import sql_type
from sources.engines.fitting import Fitted, fitted, size_of, too_large
from sources.engines.memory import limit_for
from sources.engines.spool import ARROW, WarehouseColumn

LOAD_ID = "_dlt_load_id"
BATCH_ROWS = 5_000  # rows that come out of a server at a time


class AddsLoadId:
    """For dlt's job clients: our Parquet files get the id of the load they go with."""

    def create_load_job(self, table: Any, file_path: str, load_id: str, restore: bool = False) -> Any:
        if file_path.endswith(".parquet") and LOAD_ID in table["columns"]:
            add_load_id(Path(file_path), load_id)
        return super().create_load_job(table, file_path, load_id, restore)  # type: ignore[misc]


def add_load_id(path: Path, load_id: str) -> None:
    """Rewrite the file with one more column, group by group; a second time changes nothing."""
    with pq.ParquetFile(path) as given:
        schema = given.schema_arrow
        if LOAD_ID in schema.names:
            return
        draft = path.with_suffix(".draft")
        with pq.ParquetWriter(draft, schema.append(pa.field(LOAD_ID, pa.string()))) as writer:
            for number in range(given.num_row_groups):
                group = given.read_row_group(number)
                writer.write_table(group.append_column(LOAD_ID, pa.array([load_id] * group.num_rows, pa.string())))
    os.replace(draft, path)


class ServerBackend:
    def exists(self) -> bool:
        return True

    # What each of them has an answer of its own to ------------------------------------------------------------------

    def rows(self, connection: Any, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def named(self, dataset: str, table: str) -> str:
        raise NotImplementedError

    def column_named(self, name: str) -> str:
        raise NotImplementedError

    def types(self, connection: Any, dataset: str, table: str) -> dict[str, str]:
        """Column → type of a table, in the words of `columns`; {} when there is none."""
        raise NotImplementedError

    def widen(self, connection: Any, dataset: str, table: str, changes: Sequence[Fitted]) -> None:
        """Give these columns of a table their wider types. Raises `PortalError`; the table is as it was then."""
        raise NotImplementedError

    def fetch(
        self, connection: Any, dataset: str, table: str, columns: Sequence[str], keys: Path | None, key: Sequence[str]
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Rows of a table, some at a time: those whose `key` is in the file `keys`, or all."""
        raise NotImplementedError

    # What they share ------------------------------------------------------------------------------------------------

    def before_load(self, connection: Any, loads: Sequence[Any]) -> None:
        for load in loads:
            load.columns = [_as_text(column) for column in load.columns]
            if load.disposition == "merge":
                _drop_twins(load)

    def laid_out(self, resource: Any, load: Any) -> Any:
        return resource

    def fit(self, connection: Any, dataset: str, load: Any) -> None:
        found = fitted(self.types(connection, dataset, load.table), [_as_text(column) for column in load.columns])
        for each in found:
            self._demand_exact(connection, dataset, load, each)
        if wider := [each for each in found if each.is_widened]:
            self.widen(connection, dataset, load.table, wider)
        load.columns = [each.column for each in found]
        casts = {each.column.name: sql_type(each.word) for each in found if each.comes_as != each.word}
        if casts:
            paths = [path for path, _ in load.files]
            target = paths[0].with_name(f"{load.table}.fitted.parquet")
            load.files = [(target, files.cast(paths, casts, target))]
        words = {each.column.name: each.word for each in found}
        self._forget_staging(connection, f"{dataset}_staging", load.table, words)

    def _demand_exact(self, connection: Any, dataset: str, load: Any, each: Fitted) -> None:
        if each.word != "double" or each.old is None or each.old == each.comes_as:
            return
        name = each.column.name
        if each.old == "bigint":
            question = files.too_large(self.named(dataset, load.table), self.column_named(name))
            count = self.rows(connection, question)[0][0]
        else:
            count = files.count_too_large([path for path, _ in load.files], name)
        if count:
            raise too_large(name, count)

    def _forget_staging(self, connection: Any, staging: str, table: str, words: Mapping[str, str]) -> None:
        """Drop the table in which rows are staged if its types are not theirs; dlt looks then, and makes it anew."""
        staged = self.types(connection, staging, table)
        if any(staged.get(name, word) != word for name, word in words.items()):
            self.rows(connection, f"drop table {self.named(staging, table)}")
            self.rows(connection, f"delete from {self.named(staging, '_dlt_version')} where true")

    @contextmanager
    def at_hand(
        self, connection: Any, dataset: str, table: str, folder: Path, key: Sequence[str], wanted: str | None
    ) -> Iterator[tuple[Any, str]]:
        import duckdb

        place = folder / f"{table}.at_hand.duckdb"
        place.unlink(missing_ok=True)
        try:
            with duckdb.connect(str(place)) as local:
                local.execute(f"set memory_limit = '{limit_for(0, merges=True)}'; set timezone = 'UTC'")
                if wanted != "" and (types := self.types(connection, dataset, table)):
                    self._copy(connection, dataset, table, types, local, folder, key, wanted)
                yield local, f"{quoted(dataset)}.{quoted(table)}"
        finally:
            place.unlink(missing_ok=True)

    def _copy(
        self,
        connection: Any,
        dataset: str,
        table: str,
        types: Mapping[str, str],
        local: Any,
        folder: Path,
        key: Sequence[str],
        wanted: str | None,
    ) -> None:
        columns = ", ".join(f"{quoted(name)} {sql_type(word)}" for name, word in types.items())
        local.execute(f"create schema {quoted(dataset)}; create table {quoted(dataset)}.{quoted(table)} ({columns})")
        keys = None
        if wanted is not None:
            keys = folder / f"{table}.keys.parquet"
            if not local.execute(f"copy ({wanted}) to '{keys.as_posix()}' (format parquet)").fetchone()[0]:
                return
        schema = pa.schema([pa.field(name, _arrow(word)) for name, word in types.items()])
        for batch in self.fetch(connection, dataset, table, list(types), keys, key):
            arrived = _as_arrow(batch, schema)  # named in the statement below
            local.execute(f"insert into {quoted(dataset)}.{quoted(table)} select * from arrived")
            del arrived


def _as_arrow(batch: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns: Iterable[tuple[Any, ...]] = zip(*batch, strict=True)
    return pa.Table.from_arrays(
        [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def _arrow(word: str) -> pa.DataType:
    size = size_of(word)
    return pa.decimal128(*size) if size else ARROW[word]


def _as_text(column: WarehouseColumn) -> WarehouseColumn:
    return replace(column, data_type="text") if column.data_type == "json" else column


def _drop_twins(load: Any) -> None:
    paths = [path for path, _ in load.files]
    if not load.key or not files.count_twins(paths, load.key):
        return
    target = paths[0].with_name(f"{load.table}.last.parquet")
    load.files = [(target, files.without_twins(paths, load.key, target, keep="last"))]
