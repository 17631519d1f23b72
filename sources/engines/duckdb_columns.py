"""Makes a DuckDB table's columns hold what is about to be loaded, or says why they cannot.

Left to itself DuckDB casts while it inserts: 1.5 into a whole number becomes 2, silently. So every difference of type
is looked at first. The table is changed only in ways that lose nothing, in one transaction, before the load.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from portal.warehouse.duckdb import quoted
from sources.engines import files as parquet
from sources.engines.fitting import Fitted, fitted, too_large, words
from sources.engines.spool import WarehouseColumn

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
    found = fitted(types_of(connection, dataset, table), columns)
    for each in found:
        _demand_exact(connection, dataset, table, each, files)
    statements = [_widening(dataset, table, each) for each in found if each.is_widened]
    if statements:
        connection.execute(";".join(["begin", *statements, "commit"]))
    fitting = [each.column for each in found]
    forget_staging(connection, dataset, table, fitting)
    return fitting


def forget_staging(connection: Any, dataset: str, table: str, columns: Sequence[WarehouseColumn]) -> None:
    """Drop the table in which rows are staged if its types are not theirs: staging would cast without a word."""
    staging = f"{dataset}_staging"
    staged = types_of(connection, staging, table)
    if any(staged.get(column.name, words(column)) != words(column) for column in columns):
        # Without its record of what it made, dlt looks, and makes the table anew.
        known = f"delete from {quoted(staging)}._dlt_version"
        connection.execute(f"begin; drop table {quoted(staging)}.{quoted(table)}; {known}; commit")


def _widening(dataset: str, table: str, each: Fitted) -> str:
    name, new = quoted(each.column.name), sql_type(each.word)
    is_moment = (each.old, each.word) == ("date", "timestamp")
    value = f"({name}::timestamp at time zone 'UTC')" if is_moment else name
    return f"alter table {quoted(dataset)}.{quoted(table)} alter {name} set data type {new} using {value}::{new}"


def _demand_exact(connection: Any, dataset: str, table: str, each: Fitted, files: Sequence[Any]) -> None:
    """Whole numbers that are to live among fractions have to be small enough for it."""
    if each.word != "double" or each.old is None or each.old == each.comes_as:
        return
    name = each.column.name
    if each.old == "bigint":
        count = connection.execute(parquet.too_large(f"{quoted(dataset)}.{quoted(table)}", quoted(name))).fetchone()[0]
    else:
        count = parquet.count_too_large([path for path, _ in files], name)
    if count:
        raise too_large(name, count)
