"""One dbt build of a warehouse file in a process of its own. `FILE WORK_DIR [CHANGED_TABLE…]`; nothing changed: everything."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import django

from bench.large_company import NOW
from bench.meter import tell

django.setup()

from metrics.dbt_adapter import build  # noqa: E402
from metrics.dbt_project import Location, parsed  # noqa: E402
from metrics.dbt_types import BuildRequest  # noqa: E402
from portal.warehouse.duckdb import DuckDBWarehouse  # noqa: E402

file, work_dir, *changed = sys.argv[1:]
warehouse = DuckDBWarehouse(f"duckdb:///{file}")
request = BuildRequest(
    changed=tuple(changed),
    raw_tables=frozenset(warehouse.tables(schema_prefix="raw_")),
    warehouse_url=f"duckdb:///{file}",
    work_dir=Path(work_dir),
    vars={"as_of": NOW},
)
parsed(Location(request.warehouse_url, request.work_dir))  # as a worker, which has this and dbt's imports behind it
began = time.perf_counter()
with warehouse.writer():
    outcome = build(request)
seconds = time.perf_counter() - began
if outcome.error is not None or outcome.failing_tests:
    raise SystemExit(f"{outcome.error!r} {getattr(outcome.error, 'detail', '')} {outcome.failing_tests}")
for node in sorted(outcome.nodes, key=lambda node: -node.seconds)[:8]:
    print(f"{node.seconds:8.2f} s  {node.name}", file=sys.stderr)
tell(seconds, outcome.models)
