"""A plain dlt script for one source, as somebody would write it: `python -m bench.plain.sync stripe endpoints.json db`.

It reads with the portal's own connector, so that both sides ask the API for the same pages; dlt does the rest, with
Parquet files, merged on the primary key.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import dlt

from sources.connectors import get_connector
from sources.connectors.base import StreamRequest, SyncMode

slug, endpoints_file, database = sys.argv[1:4]
settings = json.loads(Path(endpoints_file).read_text())[slug]
connector = get_connector(slug)
specs = {spec.name: spec for spec in connector.discover(settings)}


def hints_of(name):
    """Key and columns: a column that is null in every row would not be made otherwise, and the SQL asks for it."""
    return dlt.mark.make_hints(
        table_name=name,
        write_disposition="merge",
        primary_key=list(specs[name].primary_key) or None,
        columns={column.name: {"data_type": column.type} for column in specs[name].columns},
    )


@dlt.source(name=slug)
def source():
    for spec in specs.values():
        if spec.comes_with:
            continue
        along = tuple(name for name, other in specs.items() if other.comes_with == spec.name)

        @dlt.resource(name=spec.name, selected=True)
        def rows(spec=spec, along=along):
            described = set()
            cursor = next(iter(spec.cursor_fields), "")
            request = StreamRequest(spec.name, SyncMode.INCREMENTAL, cursor, spec.primary_key, along=along)
            for page in connector.read(settings, request, None):
                name = page.stream or spec.name
                if name in described:
                    yield dlt.mark.with_table_name(page.rows, name)
                else:
                    described.add(name)
                    yield dlt.mark.with_hints(page.rows, hints_of(name), create_table_variant=True)

        yield rows


pipeline = dlt.pipeline(
    f"plain_{slug}",
    destination=dlt.destinations.duckdb(database),
    dataset_name=f"raw_{slug}",
    pipelines_dir=str(Path(database).parent / "dlt"),
)
pipeline.run(source(), loader_file_format="parquet")
