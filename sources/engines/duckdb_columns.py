"""Makes a DuckDB table's columns hold what is about to be loaded, or says why they cannot.

Left to itself DuckDB casts while it inserts: 1.5 into a whole number becomes 2, silently. So every difference of type
is looked at first. The table is changed only in ways that lose nothing, in one transaction, before the load.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from portal.failures import TerminalError
from portal.warehouse.duckdb import quoted
from sources.engines.columns import wider
from sources.engines.spool import ARROW, WarehouseColumn

# A double holds whole numbers exactly up to here.
EXACT = 2**53

_WORDS = {
    "VARCHAR": "text",
    "BIGINT": "bigint",
    "DOUBLE": "double",
    "BOOLEAN": "bool",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "DATE": "date",
    "JSON": "json",
}
_TYPES = {word: sql for sql, word in _WORDS.items()}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def words(column: WarehouseColumn) -> str:
    """The type of a column on its way, in the words of `columns`."""
    if column.data_type == "decimal" and pa.types.is_decimal(column.arrow):
        return f"decimal({column.arrow.precision},{column.arrow.scale})"
    return column.data_type


def types_of(connection: Any, dataset: str, table: str) -> dict[str, str]:
    """Column → type of a table; types that nobody loads are left out."""
    rows = connection.execute(
        "select column_name, data_type from duckdb_columns()"
        " where schema_name = ? and table_name = ? and database_name = current_database()",
        [dataset, table],
    ).fetchall()
    return {name: word for name, sql in rows if (word := _word(sql))}


def _word(sql: str) -> str | None:
    match = _DECIMAL.fullmatch(sql)
    return f"decimal({match[1]},{match[2]})" if match else _WORDS.get(sql)


def sql_type(word: str) -> str:
    return _TYPES.get(word) or word.upper()


def fit(
    connection: Any, dataset: str, table: str, columns: Sequence[WarehouseColumn], files: Sequence[Any]
) -> list[WarehouseColumn]:
    """Widen the table where that loses nothing; returns the columns as the table has them then.

    Raises `TerminalError` (kind "columns") when old and new values have no common type; the table is as it was then.
    """
    there = types_of(connection, dataset, table)
    fitted, statements = [], []
    for column in columns:
        old, new = there.get(column.name), words(column)
        if old is None or old == new:
            fitted.append(column)
            continue
        both = wider(old, new)
        if both is None:
            raise _unfit(column.name, old, new)
        if both == "double":
            _demand_exact(connection, f"{quoted(dataset)}.{quoted(table)}" if old == "bigint" else files, column.name)
        if both != old:
            statements.append(_widening(dataset, table, column.name, old, both))
        fitted.append(_as(column, both))
    if statements:
        connection.execute(";".join(["begin", *statements, "commit"]))
    forget_staging(connection, dataset, table, fitted)
    return fitted


def forget_staging(connection: Any, dataset: str, table: str, columns: Sequence[WarehouseColumn]) -> None:
    """Drop the table in which rows are staged if its types are not theirs: staging would cast without a word."""
    staging = f"{dataset}_staging"
    staged = types_of(connection, staging, table)
    if any(staged.get(column.name, words(column)) != words(column) for column in columns):
        # Without its record of what it made, dlt looks, and makes the table anew.
        known = f"delete from {quoted(staging)}._dlt_version"
        connection.execute(f"begin; drop table {quoted(staging)}.{quoted(table)}; {known}; commit")


def _widening(dataset: str, table: str, column: str, old: str, new: str) -> str:
    name = quoted(column)
    value = f"({name}::timestamp at time zone 'UTC')" if (old, new) == ("date", "timestamp") else name
    return (
        f"alter table {quoted(dataset)}.{quoted(table)} alter {name}"
        f" set data type {sql_type(new)} using {value}::{sql_type(new)}"
    )


def _as(column: WarehouseColumn, word: str) -> WarehouseColumn:
    match = re.fullmatch(r"decimal\((\d+),(\d+)\)", word)
    if match:
        return replace(column, data_type="decimal", arrow=pa.decimal128(int(match[1]), int(match[2])))
    return replace(column, data_type=word, arrow=ARROW[word])


def _demand_exact(connection: Any, rows: Any, column: str) -> None:
    source = rows if isinstance(rows, str) else "read_parquet($files)"
    given = {} if isinstance(rows, str) else {"files": [str(path) for path, _ in rows]}
    too_large = connection.execute(
        f"select count(*) from {source} where abs({quoted(column)}::hugeint) > {EXACT}", given or None
    ).fetchone()[0]
    if too_large:
        raise TerminalError(
            f"Column “{column}” has whole numbers and now also fractions. {too_large:,} of its numbers are too large to "
            "be kept exactly together with fractions, so nothing was loaded. Reset the stream to read it anew.",
            f"{too_large} values beyond 2^53",
            kind="columns",
        )


def _unfit(column: str, old: str, new: str) -> TerminalError:
    return TerminalError(
        f"Column “{column}” was {old} and comes as {new} now. No type holds both without loss, so nothing was loaded "
        "and the table is as it was. If it is right, reset the stream: its table is then made anew.",
        f"{old} → {new}",
        kind="columns",
    )
