"""Every raw table as a first sync would fill it: the sandbox company read through the connectors, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from sandbox.server import Sandbox
from sources.connectors import get_connector
from sources.connectors.arrow import table_of
from sources.connectors.base import Column, StreamRequest, StreamSpec
from tests.dbt.raw_schema import RAW_SCHEMA, create_raw_tables


def fill_from_sandbox(path: Path, sandbox: Sandbox) -> None:
    """Create the DuckDB file with all raw tables and read everything the company shows into it."""
    create_raw_tables(path)
    # nobody waits here for limits
    sandbox.hubspot.burst.calls = sandbox.hubspot.searches.calls = None
    with duckdb.connect(str(path)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for service, endpoint in sandbox.endpoints().items():
            connector = get_connector(service)
            specs = {spec.name: spec for spec in connector.discover(endpoint)}
            for table, rows in _read(connector, endpoint, specs):
                _insert(connection, f"raw_{service}.{table}", rows, specs[table])


def _read(connector: Any, settings: dict[str, Any], specs: dict[str, StreamSpec]) -> Iterator[tuple[str, Any]]:
    for spec in specs.values():
        if spec.comes_with in specs:
            continue
        along = tuple(each.name for each in specs.values() if each.comes_with == spec.name)
        request = StreamRequest(
            spec.name, primary_key=spec.primary_key, cursor_field=next(iter(spec.cursor_fields), ""), along=along
        )
        for page in connector.read(settings, request, None):
            yield (page.stream or spec.name).replace(".", "_"), page.rows


def _insert(connection: Any, table: str, rows: Any, spec: StreamSpec) -> None:
    """Rows whose key is there already take its place, as a merge would have it."""
    known = RAW_SCHEMA.get(table)
    if known is None or not len(rows):
        return
    page = rows if isinstance(rows, pa.Table | pa.RecordBatch) else table_of(rows, _columns(spec, known))
    names = ", ".join(f'"{name}"' for name in page.schema.names if name in known)
    connection.register("page", page)
    if spec.primary_key:
        match = " and ".join(f'{table}."{name}" = page."{name}"' for name in spec.primary_key)
        connection.execute(f"delete from {table} using page where {match}")
    connection.execute(f"insert into {table} ({names}) select {names} from page")
    connection.unregister("page")


def _columns(spec: StreamSpec, known: dict[str, str]) -> Iterable[Column]:
    return [column for column in spec.columns if column.name in known] or [
        Column(name, kind) for name, kind in known.items()
    ]
