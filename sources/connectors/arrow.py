"""Rows of dicts as Arrow tables, by the columns of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from sources.connectors.base import Column

ARROW: dict[str, pa.DataType] = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "json": pa.string(),
    "decimal": pa.decimal128(38, 9),
}


def table_of(rows: Sequence[dict[str, Any]], columns: Sequence[Column]) -> pa.Table:
    """One table with exactly these columns; raises `pa.ArrowInvalid` or `OverflowError` for a value that does not fit."""
    schema = pa.schema(
        [
            pa.field(column.name, ARROW[column.type], metadata={"type": "json"} if column.type == "json" else None)
            for column in columns
        ]
    )
    arrays = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)
