"""Questions asked of a stream's Parquet files before they are loaded, answered by DuckDB without any lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sources.engines.memory import limit_for

EXACT = 2**53  # a double holds whole numbers exactly up to here

ROW_GROUP_ROWS = 10_000  # a writer holds one group of every column in memory


def fingerprint(files: Sequence[Path]) -> str:
    """What the files hold, in a few characters: the same rows in any order give the same."""
    import duckdb

    with _asked(files) as ask:
        row = ask("select count(*), sum(hash(t)::hugeint), bit_xor(hash(t)) from read_parquet($files) t")
    return f"{duckdb.__version__}:{row[0]}:{row[1]}:{row[2]}"


def count_twins(files: Sequence[Path], key: Sequence[str]) -> int:
    """How many rows have a key that another row has too (a page that shifted while it was read brings some twice)."""
    columns = _listed(key)
    with _asked(files) as ask:
        return ask(
            "select (select count(*) from read_parquet($files)) - (select count(*) from"
            f" (select {columns} from read_parquet($files) group by all))"
        )[0]


def without_twins(files: Sequence[Path], key: Sequence[str], target: Path, *, keep: str = "first") -> int:
    """Write one file with the first (or last) row of each key, in the order in which they came; returns how many rows
    it has. The first is the newest where a source lists newest first.
    """
    way = "asc" if keep == "first" else "desc"
    place = target.as_posix().replace("'", "''")
    numbered = "read_parquet($files, filename = true, file_row_number = true)"
    with _asked(files) as ask:
        # Only keys and places are ranked: whole rows would all have to be held.
        return ask(
            f"copy (select * exclude (filename, file_row_number) from {numbered}"
            " where (filename, file_row_number) not in"
            f" (select (filename, file_row_number) from {numbered} qualify row_number() over"
            f" (partition by {_listed(key)} order by list_position($files, filename) {way}, file_row_number {way})"
            " > 1))"
            f" to '{place}' (format parquet, compression lz4_raw, row_group_size {ROW_GROUP_ROWS})"
        )[0]


def filled(files: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Those of the columns that have a value in any row."""
    counts = ", ".join(f"count({_listed([name])})" for name in names)
    with _asked(files) as ask:
        row = ask(f"select {counts} from read_parquet($files)")
    return [name for name, count in zip(names, row, strict=True) if count]


def count_too_large(files: Sequence[Path], name: str) -> int:
    """How many whole numbers of a column a double could not hold exactly."""
    with _asked(files) as ask:
        return ask(too_large("read_parquet($files)", _listed([name])))[0]


def too_large(rows: str, column: str) -> str:
    """The question to a database, with the names as they are quoted there."""
    return f"select count(*) from {rows} where {column} not between {-EXACT} and {EXACT}"


def cast(files: Sequence[Path], types: Mapping[str, str], target: Path) -> int:
    """Write one file with these columns in other types (column → DuckDB's name of one); returns how many rows it has."""
    columns = ", ".join(f"{_listed([name])}::{kind} as {_listed([name])}" for name, kind in types.items())
    place = target.as_posix().replace("'", "''")
    with _asked(files) as ask:
        return ask(
            f"copy (select * replace ({columns}) from read_parquet($files))"
            f" to '{place}' (format parquet, compression lz4_raw, row_group_size {ROW_GROUP_ROWS})"
        )[0]


@contextmanager
def _asked(files: Sequence[Path]) -> Iterator[Any]:
    import duckdb
    import pyarrow.parquet as pq

    with duckdb.connect() as connection:
        # Beyond this DuckDB spills to disk, beside the files.
        connection.execute(f"set memory_limit = '{limit_for(len(pq.read_schema(files[0])))}'")
        connection.execute("set timezone = 'UTC'")  # how moments become text
        connection.execute("set temp_directory = $folder", {"folder": str(files[0].parent / "spill")})
        yield lambda sql: connection.execute(sql, {"files": [str(path) for path in files]}).fetchone()


def _listed(names: Sequence[str]) -> str:
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)
